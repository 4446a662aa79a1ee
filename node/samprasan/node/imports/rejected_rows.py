"""Rejected rows as a spreadsheet: the original columns, the row's number, and the reason in Thai.

Cells are written as text: what an export holds is never a formula of ours.  The file holds personal data, so only its
owner may read it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EISDIR
from itertools import islice
from os import strerror
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from samprasan.edge.texts import Words
from samprasan.keys.errors import Refused
from samprasan.keys.keyring import new_private
from samprasan.node.exports.cells import Cell, text_of
from samprasan.node.exports.rows import Row
from samprasan.node.imports.importer import Rejection

ROWS_PER_SHEET = 1_000_000  # a sheet ends at 1,048,576
_CHARACTERS_MAX = 32_767  # of a cell, says the format
words = Words("samprasan.node")


@contextmanager
def written(path: Path, header: Sequence[str]) -> Iterator[Callable[[Rejection, Row], None]]:
    """Give a function that adds a rejected row; the file is there when the block ends, and not if it raises.

    Raises Refused ``file_unwritable``, at once and not after an hour's import.
    """
    part = path.with_name(path.name + ".part")
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, strerror(EISDIR))
        new_private(part).close()
        book = _Book(header)
        yield book.add
        book.save(part)
        part.replace(path)
    except OSError as problem:
        raise Refused("file_unwritable", file=path.name, problem=problem.strerror or type(problem).__name__) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


class _Book:
    def __init__(self, header: Sequence[str]) -> None:
        self._header = header
        self._book = Workbook(write_only=True)
        self._rows = ROWS_PER_SHEET
        self._sheet: Any = None
        self._new_sheet()

    def _new_sheet(self) -> None:
        self._sheet = self._book.create_sheet()
        self._rows = 0
        ends = [words.in_language("th", name) for name in ("sheet_row", "sheet_reason")]
        self._sheet.append([self._cell(each) for each in (*self._header, *ends)])

    def add(self, rejection: Rejection, row: Row) -> None:
        """One rejected row."""
        if self._rows == ROWS_PER_SHEET:
            self._new_sheet()
        self._rows += 1
        width = len(self._header)
        cells = [*islice(row, width), *[None] * (width - len(row))]
        reason = words.in_language("th", f"reject_{rejection.detail}", **rejection.values)
        column = f"{rejection.column}: " if rejection.column else ""
        self._sheet.append([*map(self._cell, cells), rejection.row, self._cell(column + reason)])

    def _cell(self, value: Cell) -> Any:
        text = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", text_of(value))[:_CHARACTERS_MAX]
        cell = WriteOnlyCell(self._sheet, value="")
        cell._value = text or None  # past the setter, which would take "=1+1" for a formula
        cell.data_type = "s" if text else "n"
        return cell

    def save(self, path: Path) -> None:
        """Write the file."""
        self._book.save(path)
