"""Agencies' exports as rows of cells, read one by one however long the file is.

A file is refused whole only if it cannot be read or lacks a column that the profile names; a row that cannot be read is
a :class:`BrokenRow` and the next one goes on.  What a file is, its first bytes say, not its name.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from samprasan.keys.errors import Malformed, Refused
from samprasan.node import limits
from samprasan.node.exports import delimited, spreadsheets
from samprasan.node.exports.cells import Cell, mistaken_encoding, text_of
from samprasan.node.exports.profile import Profile
from samprasan.node.exports.rows import BrokenRow, Row, Table

_BLOCK_BYTES = 1 << 20
_OTHER_KINDS = {b"%PDF": "PDF", b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"Rar!": "RAR", b"7z\xbc\xaf": "7z"}
_PAGES = (b"<!doctype html", b"<html", b"<table", b"<?xml", b"<meta")


@dataclass(frozen=True, slots=True)
class Export:
    """A file's ``header`` and the rows below it: (row number as the file shows it, cells in the header's order).

    ``count`` is about how many rows there are.  ``recheck`` raises Refused ``file_changed`` if the file is not what it
    was when it was opened: call it before what was read is believed.
    """

    digest: bytes
    count: int
    header: Sequence[str]
    rows: Iterator[tuple[int, Row]]
    recheck: Callable[[], None]


def read(path: Path, profile: Profile) -> Export:
    """The export in ``path``.

    Raises Refused ``file_missing`` or ``file_changed``, Malformed ``file_empty``, ``file_over_limit``, ``file_other``,
    ``file_unreadable``, ``encoding_unknown``, ``columns_over_limit``, ``column_twice``, ``encoding_mistaken`` or
    ``columns_missing``, which lists the columns found.
    """
    digest = digest_of(path)
    table = opened(path, profile)

    def recheck() -> None:
        if digest_of(path) != digest:
            raise Refused("file_changed", file=path.name)

    header = _header(path, table, profile)
    rows = _rows(path, table, profile)
    return Export(digest, table.count, header, rows, recheck)


def opened(path: Path, profile: Profile) -> Table:
    """The file's rows from its first on, whatever kind of table it is."""
    if spreadsheets.is_one(path):
        return spreadsheets.table(path, profile.sheet)
    return delimited.table(path, profile)


def digest_of(path: Path) -> bytes:
    """SHA-256 of a file that may be an export, 32 bytes."""
    if not path.is_file():
        raise Refused("file_missing", file=path.name)
    hasher, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        block = file.read(_BLOCK_BYTES)
        _only_tables(path, block)
        while block:
            hasher.update(block)
            size += len(block)
            if size > limits.FILE_BYTES_MAX:
                raise Malformed("file_over_limit", file=path.name, most=limits.FILE_BYTES_MAX)
            block = file.read(_BLOCK_BYTES)
    return hasher.digest()


def _only_tables(path: Path, start: bytes) -> None:
    if not start.strip():
        raise Malformed("file_empty", file=path.name)
    for magic, kind in _OTHER_KINDS.items():
        if start.startswith(magic):
            raise Malformed("file_other", file=path.name, kind=kind)
    if start[:200].lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(_PAGES):
        raise Malformed("file_other", file=path.name, kind="HTML/XML")


def _header(path: Path, table: Table, profile: Profile) -> list[str]:
    upper, last = {}, profile.header_rows[-1]
    for _ in range(last):
        number, row = next(table.rows, (0, ()))
        if not number:
            raise Malformed("file_empty", file=path.name)
        if len(row) > limits.COLUMNS_MAX or row == BrokenRow("row_wide"):
            raise Malformed("columns_over_limit", file=path.name, most=limits.COLUMNS_MAX)
        upper[number] = [] if isinstance(row, BrokenRow) else [text_of(cell) for cell in row]
    header = join_header_rows([upper[number] for number in profile.header_rows])
    missing = [column for column in profile.named if column not in header]
    if missing:
        _missing(path, header, missing)
    for column in profile.named:
        if header.count(column) > 1:
            raise Malformed("column_twice", file=path.name, column=column)
    return header


def _missing(path: Path, header: Sequence[str], missing: Sequence[str]) -> None:
    found = ", ".join(name[: limits.CELL_CHARACTERS_MAX] for name in header if name)
    if how := next(filter(None, map(mistaken_encoding, header)), ""):
        raise Malformed("encoding_mistaken", file=path.name, how=how)
    raise Malformed("columns_missing", file=path.name, missing=", ".join(missing), found=found)


def join_header_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """Header rows as one, joined by "/"; in the rows above the last an empty cell repeats the one on its left."""
    if len(rows) == 1:
        return list(rows[0])
    filled = [*map(_repeated_to_the_right, rows[:-1]), list(rows[-1])]
    width = max(map(len, filled))
    padded = [row + [row[-1] if row and row is not filled[-1] else ""] * (width - len(row)) for row in filled]
    return ["/".join(dict.fromkeys(part for part in parts if part)) for parts in zip(*padded, strict=True)]


def _repeated_to_the_right(row: Sequence[str]) -> list[str]:
    filled: list[str] = []
    for cell in row:
        filled.append(cell or (filled[-1] if filled else ""))
    return filled


def _rows(path: Path, table: Table, profile: Profile) -> Iterator[tuple[int, Row]]:
    count = 0
    for number, row in table.rows:
        if not isinstance(row, BrokenRow) and (_is_blank(row) or _is_skipped(row, profile)):
            continue
        count += 1
        if count > limits.ROWS_MAX:
            raise Malformed("file_over_limit", file=path.name, most=limits.ROWS_MAX)
        yield number, row


def _is_skipped(row: Sequence[Cell], profile: Profile) -> bool:
    return bool(profile.skip_rows) and text_of(row[0]) in profile.skip_rows


def _is_blank(row: Sequence[Cell]) -> bool:
    return not any(row) and all(cell is None or cell == "" for cell in row)
