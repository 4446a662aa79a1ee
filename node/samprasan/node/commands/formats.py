"""How commands show rows, moments, days and joint documents to people."""

from datetime import date, datetime
from typing import Any

from samprasan.edge import texts
from samprasan.edge.texts import Words
from samprasan.ledger import calendar
from samprasan.node.imports.importer import Rejection

_WORDS_A_LINE = 8
_LINE_CHARACTERS = 80
_GOES_ON = "      │ "
words = Words("samprasan.node")
labels = Words("samprasan.node.documents")


def rejection_message(each: Rejection) -> str:
    """``Row 12, column "…": what is wrong and what to do``, in the language in use."""
    what = words(f"reject_{each.detail}", **each.values)
    return words("reject", row=each.row, column=each.column, what=what)


def moment(iso: str) -> str:
    """A moment for people: Buddhist-era day and time in Bangkok."""
    at = datetime.fromisoformat(iso)
    return f"{calendar.buddhist(at.date())} {at:%H:%M:%S}"


def day(iso: str) -> str:
    """A day for people: of the Buddhist era."""
    return calendar.buddhist(date.fromisoformat(iso))


def joint_document(document: dict[str, Any]) -> str:
    """What ``approvals show`` answers, for people: first all of it, then what it changes, then its digest as words."""
    spoken = document["words"][texts.language()].split()
    said = [words("joint_document", **document)]
    said += [line for path, value in document["content"].items() for line in _wrapped(f"  {path}: {value}")]
    said += [f"  {words('joint_here')}: {name}: {_text_of(value)}" for name, value in document["here"].items()]
    if document["instead_of"]:
        said.append(words("joint_changes", version=document["instead_of"]))
        for each in document["changes"]:
            said.append(f"  {each['path']} ({labels(each['name'])})")
            told = [f"    {sign} {each[side]}" for sign, side in (("-", "before"), ("+", "after")) if each[side]]
            said += [line for each in told for line in _wrapped(each)]
    said += [words("joint_signed", signed=", ".join(document["signed"]), missing=still_missing(document))]
    said += [words("joint_digest", digest=document["digest"])]
    said += [f"  {' '.join(spoken[at : at + _WORDS_A_LINE])}" for at in range(0, len(spoken), _WORDS_A_LINE)]
    return "\n".join(said)


def still_missing(document: dict[str, Any]) -> str:
    """Who has not signed a document, and of those who said no, why."""
    reasons = {each: f" ({words('reason_' + why)})" for each, why in document["declined"].items()}
    return ", ".join(each + reasons.get(each, "") for each in document["missing"])


def said_no(document: dict[str, Any]) -> str:
    """Who ended a document, and why."""
    return ", ".join(f"{each} ({words('reason_' + why)})" for each, why in document["declined"].items())


def _wrapped(line: str) -> list[str]:
    """A line that fits, and what goes on behind a mark, so that no text can look like the next line."""
    first, rest = line[:_LINE_CHARACTERS], line[_LINE_CHARACTERS:]
    step = _LINE_CHARACTERS - len(_GOES_ON)
    return [first, *(_GOES_ON + rest[at : at + step] for at in range(0, len(rest), step))]


def _text_of(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "-" if value is None else str(value)


def flattened(document: dict[str, Any], prefix: str = "") -> list[list[str]]:
    """A nested document as rows of name and value."""
    rows: list[list[str]] = []
    for key, value in document.items():
        if isinstance(value, dict):
            rows += flattened(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            rows.append([prefix + key, "; ".join(str(each) for each in value)])
        else:
            rows.append([prefix + key, "-" if value is None else str(value)])
    return rows
