"""Agencies' exports as rows of cells: CSV in UTF-8 or cp874 with any usual delimiter, and spreadsheets.

A file is refused whole only if it cannot be read or lacks a column that the profile names.
"""

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from io import StringIO
from pathlib import Path

from samprasan.keys.errors import Malformed, Refused
from samprasan.node import limits
from samprasan.node.profiles import Profile

Cell = str | float | int | bool | date | datetime | time | timedelta | None
_DELIMITERS = ",;\t|"
_SPREADSHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


@dataclass(frozen=True, slots=True)
class Export:
    """A file's rows below its header: (row number as the file shows it, their column → cell)."""

    digest: bytes
    count: int
    rows: Iterator[tuple[int, Mapping[str, Cell]]]


def read(path: Path, profile: Profile) -> Export:
    """The export in ``path``.

    Raises Refused ``file_missing``, Malformed ``file_empty``, ``file_over_limit``, ``file_unreadable``,
    ``encoding_unknown`` or ``columns_missing``, which lists the columns found.
    """
    if not path.is_file():
        raise Refused("file_missing", file=path.name)
    if path.stat().st_size > limits.FILE_BYTES_MAX:
        raise Malformed("file_over_limit", file=path.name, most=limits.FILE_BYTES_MAX)
    data = path.read_bytes()
    table = _spreadsheet(path, profile) if path.suffix.lower() in _SPREADSHEETS else _delimited(path, data, profile)
    if len(table) < profile.header_row:
        raise Malformed("file_empty", file=path.name)
    header = [text_of(cell) for cell in table[profile.header_row - 1]]
    missing = [column for column in profile.columns.values() if column not in header]
    if missing:
        found = ", ".join(name for name in header if name)
        raise Malformed("columns_missing", file=path.name, missing=", ".join(missing), found=found)
    body = table[profile.header_row :]
    if len(body) > limits.ROWS_MAX:
        raise Malformed("file_over_limit", file=path.name, most=limits.ROWS_MAX)
    rows = _rows(header, body, profile.header_row + 1)
    count = sum(1 for row in body if not _is_blank(row))
    return Export(hashlib.sha256(data).digest(), count, rows)


def text_of(cell: Cell) -> str:
    """What a cell says as text: a whole number without its ``.0``, blank for nothing."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _rows(
    header: Sequence[str], body: Sequence[Sequence[Cell]], first_number: int
) -> Iterator[tuple[int, Mapping[str, Cell]]]:
    for number, row in enumerate(body, first_number):
        if not _is_blank(row):
            yield number, dict(zip(header, row, strict=False))


def _is_blank(row: Sequence[Cell]) -> bool:
    return all(cell is None or cell == "" for cell in row)


def _delimited(path: Path, data: bytes, profile: Profile) -> list[list[Cell]]:
    text = _decoded(path, data, profile.encoding)
    lines = text.splitlines()
    if len(lines) < profile.header_row:
        raise Malformed("file_empty", file=path.name)
    header = lines[profile.header_row - 1]
    delimiter = profile.delimiter or max(_DELIMITERS, key=header.count)
    try:
        return [list(row) for row in csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)]
    except (csv.Error, TypeError) as problem:
        raise Malformed("file_unreadable", file=path.name, problem=type(problem).__name__) from problem


def _decoded(path: Path, data: bytes, encoding: str) -> str:
    """BOM, then strict UTF-8, then cp874, decided for the whole file."""
    if b"\x00" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Malformed("file_unreadable", file=path.name, problem="NUL")
    candidates = [encoding] if encoding else ["utf-8-sig", "cp874"]
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) and not encoding:
        candidates = ["utf-16"]
    for name in candidates:
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
        except LookupError as problem:
            raise Malformed("profile_value", key="encoding", known="utf-8, cp874") from problem
    raise Malformed("encoding_unknown", file=path.name)


def _spreadsheet(path: Path, profile: Profile) -> list[list[Cell]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with CalamineWorkbook.from_path(path) as book:
            names = book.sheet_names
            if profile.sheet and profile.sheet not in names:
                raise Malformed("sheet_missing", file=path.name, sheet=profile.sheet, found=", ".join(names))
            sheet = book.get_sheet_by_name(profile.sheet) if profile.sheet else book.get_sheet_by_index(0)
            return [list(row) for row in sheet.to_python(skip_empty_area=False)]
    except (CalamineError, OSError, IndexError) as problem:
        raise Malformed("file_unreadable", file=path.name, problem=type(problem).__name__) from problem
