"""Each claim of the security page names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEST = r"`tests/[\w/]+\.py::test_\w+`"
CLAIM = re.compile(rf"^\| .+ \| {TEST}(?:, {TEST})* \|$", re.MULTILINE)


def missing(page: str) -> list[str]:
    """Tests that the page names and that are not there."""
    found = []
    for each in re.findall(TEST, page):
        name, test = each.strip("`").split("::")
        file = ROOT / name
        if not file.exists() or f"def {test}(" not in file.read_text("utf-8"):
            found.append(each)
    return found


def test_every_claim_names_a_test_that_there_is() -> None:
    page = (ROOT / "docs" / "concepts" / "security.md").read_text("utf-8")
    rows = page.split("| claim | test |")[1].split("\n\n")[0].strip().splitlines()[1:]
    assert len(CLAIM.findall(page)) == len(rows) > 20, "every row names one, or several"
    assert missing(page) == []
    assert missing(page.replace("::test_a", "::test_no_a")) != []
