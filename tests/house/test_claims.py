"""Each claim of the security page names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEST = r"`tests/[\w/]+\.py::(?:Test\w+::)?test_\w+`"
CLAIM = re.compile(rf"^\| .+ \| {TEST}(?:, {TEST})* \|$", re.MULTILINE)

HEADS = ("| claim | test |", "| attempt | what came of it | test |")


def missing(page: str) -> list[str]:
    """Tests that the page names and that are not there."""
    found = []
    for each in re.findall(TEST, page):
        name, *_, test = each.strip("`").split("::")
        file = ROOT / name
        if not file.exists() or f"def {test}(" not in file.read_text("utf-8"):
            found.append(each)
    return found


def test_every_claim_names_a_test_that_there_is() -> None:
    page = (ROOT / "docs" / "concepts" / "security.md").read_text("utf-8")
    tables = [page.split(head)[1].split("\n\n")[0].strip().splitlines()[1:] for head in HEADS]
    assert [len(CLAIM.findall("\n".join(rows))) for rows in tables] == [len(rows) for rows in tables], "all name one"
    assert min(map(len, tables)) > 10
    assert missing(page) == []
    assert missing(page.replace("::test_a", "::test_no_a")) != []
