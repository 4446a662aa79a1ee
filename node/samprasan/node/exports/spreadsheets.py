"""Spreadsheets: .xlsx, .xls, .xlsb and .ods, known by their first bytes.

python-calamine reads them all, fast, in a process of its own (:mod:`.calamine_reader`), and holds the whole sheet in
memory; so a workbook that unpacks to more than ``WHOLE_BYTES_MAX``, or names a cell far away, is read row by row with
openpyxl instead: slower, in bounded memory.  Nothing is unpacked before it is known how much it unpacks to.
"""

import datetime as datetimes
import pickle
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime, time
from pathlib import Path
from typing import Any, BinaryIO

from samprasan.keys.errors import Malformed
from samprasan.node import limits
from samprasan.node.exports.cells import Cell
from samprasan.node.exports.rows import Row, Table

WHOLE_BYTES_MAX = 48 << 20  # unpacked; calamine needs 1.7 times that
_WHOLE_CELLS_MAX = 4_000_000  # calamine makes room for every cell up to the farthest
_READER = Path(__file__).with_name("calamine_reader.py")
_OLD_BYTES_MAX = 64 << 20  # .xls holds 65,536 rows, .ods and .xlsb are read whole
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BLOCK_BYTES = 1 << 20
_UNPACKED_ANYWAY = 16 << 20  # so small that no ratio matters
_SHEETS = "xl/worksheets/"
_SHARED = "xl/sharedStrings.xml"  # openpyxl holds all of it, at seven times its size
_SHEET_ROWS_MAX = 1_048_576  # of the format
_CELL = re.compile(rb'<c r="([A-Z]{1,3})(\d{1,7})"')
_ODS_ROW = re.compile(rb"<table:table-row([^>]*?)(?:/>|>(.*?)</table:table-row>)", re.DOTALL)
_ODS_CELL = re.compile(rb"<table:(?:covered-)?table-cell([^>]*)>")
_ODS_REPEATED = re.compile(rb"""number-(?:rows|columns)-repeated\s*=\s*["'](\d{1,9})["']""")
_ODS_CONTENT = "content.xml"
# What zipfile and openpyxl raise for what is no workbook; SyntaxError is how ElementTree says "no XML".
_FAILURES = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def is_one(path: Path) -> bool:
    """Whether the file starts as a spreadsheet does."""
    with path.open("rb") as file:
        return file.read(len(_OLE)).startswith((_ZIP, _OLE))


def table(path: Path, sheet: str) -> Table:
    """The rows of one sheet, the first if ``sheet`` is empty.

    Raises Malformed ``file_unreadable``, ``file_bomb``, ``file_over_limit`` or ``sheet_missing``.
    """
    try:
        streams = _is_heavy(path)
    except _FAILURES as problem:
        raise Malformed("file_unreadable", file=path.name, problem=type(problem).__name__) from problem
    return _streamed(path, sheet) if streams else _whole(path, sheet)


def _is_heavy(path: Path) -> bool:
    """Whether the workbook is to be streamed.

    Raises Malformed ``file_bomb`` for one that unpacks to far more than it should, ``file_over_limit`` for a heavy one
    of a kind that cannot be streamed.
    """
    if not zipfile.is_zipfile(path):
        if path.stat().st_size > _OLD_BYTES_MAX:
            raise Malformed("file_over_limit", file=path.name, most=_OLD_BYTES_MAX)
        return False
    with zipfile.ZipFile(path) as archive:
        sheets = [name for name in archive.namelist() if name.startswith(_SHEETS) and name.endswith(".xml")]
        heavy = _unpacked_bytes(path, archive) > WHOLE_BYTES_MAX
        if not heavy and _ODS_CONTENT in archive.namelist():
            if _cells_in_ods(archive.read(_ODS_CONTENT)) > _WHOLE_CELLS_MAX:
                raise Malformed("file_bomb", file=path.name, most=_WHOLE_CELLS_MAX)
        elif not heavy:
            heavy = any(_cells_in_sheet(archive.read(name)) > _WHOLE_CELLS_MAX for name in sheets)
        shared = sum(map(len, _unpacked(archive, _SHARED))) if heavy and _SHARED in archive.namelist() else 0
    if heavy and (not sheets or shared > WHOLE_BYTES_MAX):
        raise Malformed("file_over_limit", file=path.name, most=WHOLE_BYTES_MAX)
    return heavy


def _unpacked_bytes(path: Path, archive: zipfile.ZipFile) -> int:
    """How much the workbook really unpacks to, whatever it says of itself."""
    packed, unpacked = path.stat().st_size, 0
    for name in archive.namelist():
        for block in _unpacked(archive, name):
            unpacked += len(block)
            far_too_much = unpacked > _UNPACKED_ANYWAY and unpacked > packed * limits.UNPACKED_SHARE_MAX
            if unpacked > limits.UNPACKED_BYTES_MAX or far_too_much:
                raise Malformed("file_bomb", file=path.name, most=limits.UNPACKED_BYTES_MAX)
    return unpacked


def _cells_in_sheet(content: bytes) -> int:
    """How many cells the rectangle up to the farthest cell has."""
    columns = rows = 0
    for column, row in _CELL.findall(content):
        columns, rows = max(columns, _number(column)), max(rows, int(row))
    return columns * rows


def _cells_in_ods(content: bytes) -> int:
    """How many cells the largest rectangle has that an .ods fills by repeating rows and cells."""
    rows = columns = empty = 0
    for attributes, cells in _ODS_ROW.findall(content):
        repeated = _times(attributes)
        width = filled = 0
        for cell in _ODS_CELL.findall(cells):
            width += _times(cell)
            filled = width if b"value-type" in cell or b"formula" in cell else filled
        if filled:
            rows, columns, empty = rows + empty + repeated, max(columns, filled), 0
        else:
            empty += repeated
    return rows * columns


def _times(attributes: bytes) -> int:
    found = _ODS_REPEATED.search(attributes)
    return int(found[1]) if found else 1


def _unpacked(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    with archive.open(name) as member:
        while block := member.read(_BLOCK_BYTES):
            yield block


def _number(column: bytes) -> int:
    number = 0
    for letter in column:
        number = number * 26 + letter - ord("A") + 1
    return number


def _whole(path: Path, sheet: str) -> Table:
    with path.open("rb") as file:
        reader = subprocess.Popen(  # noqa: S603 -- our own script
            [sys.executable, "-I", str(_READER), sheet],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a panic prints what it saw, which may be a cell
            env={},
        )
    answers = _answers(path, reader)
    names = next(answers)
    _chosen(path, sheet, names)
    return Table(next(answers), enumerate((row for chunk in answers for row in chunk), 1))


def _answers(path: Path, reader: "subprocess.Popen[bytes]") -> Iterator[Any]:
    """What the reading process says, until it ends.  Raises Malformed ``file_unreadable`` if it ended badly."""
    assert reader.stdout is not None
    try:
        with reader.stdout:
            while True:
                try:
                    yield _Cells(reader.stdout).load()
                except EOFError:
                    break
                except (pickle.UnpicklingError, AttributeError, LookupError, ValueError, TypeError) as problem:
                    raise Malformed("file_unreadable", file=path.name, problem=type(problem).__name__) from None
        if reader.wait() != 0:
            raise Malformed("file_unreadable", file=path.name, problem="calamine")
    finally:
        reader.kill()
        reader.wait()


class _Cells(pickle.Unpickler):
    """Takes cells and lists of them and nothing else: whoever took the reading process over gets no further."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "datetime" and name in {"date", "datetime", "time", "timedelta"}:
            return getattr(datetimes, name)
        raise pickle.UnpicklingError(name)


def _streamed(path: Path, sheet: str) -> Table:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    file = path.open("rb")
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        found = book[_chosen(path, sheet, book.sheetnames)]
        found.reset_dimensions()  # what the file says of its size is not believed
        count = _rows_in(file, found)
    except (InvalidFileException, *_FAILURES) as problem:
        file.close()
        raise Malformed("file_unreadable", file=path.name, problem=type(problem).__name__) from problem
    return Table(count, _stream(path, file, book, found))


def _stream(path: Path, file: BinaryIO, book: Any, found: Any) -> Iterator[tuple[int, Row]]:
    try:
        for number, row in enumerate(found.iter_rows(values_only=True, max_col=limits.COLUMNS_MAX + 1), 1):
            if number > _SHEET_ROWS_MAX:
                raise Malformed("file_bomb", file=path.name, most=_SHEET_ROWS_MAX)
            yield number, [_as_calamine(cell) for cell in _trimmed(row)]
    except _FAILURES as problem:
        raise Malformed("file_unreadable", file=path.name, problem=type(problem).__name__) from problem
    finally:
        book.close()
        file.close()


def _trimmed(row: tuple[Any, ...]) -> tuple[Any, ...]:
    end = len(row)
    while end and row[end - 1] is None:
        end -= 1
    return row[:end]


def _as_calamine(cell: Any) -> Cell:
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date()
    found: Cell = cell
    return found


def _rows_in(file: BinaryIO, found: Any) -> int:
    """About how many rows the sheet has, for the progress bar."""
    with zipfile.ZipFile(file) as archive:
        return sum(block.count(b"<row ") for block in _unpacked(archive, found._worksheet_path.lstrip("/")))


def _chosen(path: Path, sheet: str, names: list[str]) -> str:
    if sheet and sheet not in names:
        raise Malformed("sheet_missing", file=path.name, sheet=sheet, found=", ".join(names))
    if not names:
        raise Malformed("file_empty", file=path.name)
    return sheet or names[0]
