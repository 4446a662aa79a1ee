"""How commands show rows, moments, days and progress to people."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from samprasan.edge.texts import Words
from samprasan.ledger import calendar
from samprasan.node.imports.importer import Rejection

words = Words("samprasan.node")


@contextlib.contextmanager
def progress_bar(total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr that counts rows; nothing for scripts."""
    if quiet or not sys.stderr.isatty():
        yield lambda _rows: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(words("importing"), total=total)
        yield lambda rows: progress.advance(task, rows)


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
