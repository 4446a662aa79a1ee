"""Each claim of the security page names a test that there is."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLAIM = re.compile(r"^\| .+ \| `(?P<file>tests/[\w/]+\.py)::(?P<test>test_\w+)` \|$", re.MULTILINE)


def missing(page: str) -> list[str]:
    """Tests that the page names and that are not there."""
    found = []
    for claim in CLAIM.finditer(page):
        file = ROOT / claim["file"]
        if not file.exists() or f"def {claim['test']}(" not in file.read_text("utf-8"):
            found.append(f"{claim['file']}::{claim['test']}")
    return found


def test_every_claim_names_a_test_that_there_is() -> None:
    page = (ROOT / "docs" / "concepts" / "security.md").read_text("utf-8")
    rows = page.split("| claim | test |")[1].split("\n\n")[0].strip().splitlines()[1:]
    assert len(CLAIM.findall(page)) == len(rows) > 20, "every row names one"
    assert missing(page) == []
    assert missing(page.replace("::test_a", "::test_no_a")) != []
