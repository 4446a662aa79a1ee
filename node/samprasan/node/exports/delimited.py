"""Tables as text: any usual delimiter, UTF-8, UTF-16 or cp874, any mixture of line ends; read line by line.

The encoding is decided for the whole file: a byte order mark, then strict UTF-8, then cp874.
"""

import codecs
import csv
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TextIO

from samprasan.keys.errors import Malformed
from samprasan.node import limits
from samprasan.node.exports.cells import text_of
from samprasan.node.exports.profile import ENCODINGS, Profile
from samprasan.node.exports.rows import BrokenRow, Row, Table

_DELIMITERS = ",;\t|"
_BLOCK_BYTES = 1 << 20
_SAMPLE_CHARACTERS = 1 << 16  # of the file's start, where the delimiter shows
_NUL_SHARE_MAX = 10  # one NUL in ten bytes is no text but a file of another kind
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def table(path: Path, profile: Profile) -> Table:
    """The rows of a text file.  Raises Malformed ``encoding_unknown``, ``file_unreadable`` or ``profile_value``."""
    encoding, lines = _examined(path, profile.encoding)
    try:
        with path.open(encoding=encoding, newline="") as file:
            sample = file.read(_SAMPLE_CHARACTERS)
    except UnicodeDecodeError as problem:
        raise Malformed("encoding_unknown", file=path.name) from problem
    delimiter = profile.delimiter or _delimiter(sample, profile)
    return Table(lines, _rows(path, encoding, delimiter))


def _examined(path: Path, encoding: str) -> tuple[str, int]:
    """The file's encoding, and how many line ends it has."""
    with path.open("rb") as file:
        start = file.read(_BLOCK_BYTES)
    if encoding:
        return ENCODINGS[encoding.lower().replace("_", "-")], _line_ends(path)
    if start.startswith(_UTF_16_MARKS):
        return "utf-16", _line_ends(path)
    if start.count(0) * _NUL_SHARE_MAX > len(start):
        raise Malformed("file_unreadable", file=path.name, problem="NUL")
    if _decodes(path, "utf-8-sig"):
        return "utf-8-sig", _line_ends(path)
    if _decodes(path, "cp874"):
        return "cp874", _line_ends(path)
    raise Malformed("encoding_unknown", file=path.name)


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _line_ends(path: Path) -> int:
    count = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            count += max(block.count(b"\n"), block.count(b"\r"))
    return count


def _delimiter(sample: str, profile: Profile) -> str:
    """The one under which most columns of the profile are found in the header, or else the header has most cells."""
    named = set(profile.named)

    def fit(delimiter: str) -> tuple[int, int]:
        rows = csv.reader(StringIO(sample, newline=""), delimiter=delimiter)
        try:
            header = [text_of(cell) for row in islice(rows, profile.header_rows[-1]) for cell in row]
        except csv.Error:
            return 0, 0
        parts = {part for column in named for part in column.split("/")} | named
        return len(parts.intersection(header)), len(header)

    return max(_DELIMITERS, key=fit)


def _rows(path: Path, encoding: str, delimiter: str) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(limits.LINE_CHARACTERS_MAX)
    with path.open(encoding=encoding, newline="") as file:
        rows = csv.reader(_lines(path, file), delimiter=delimiter, strict=True)
        number = 0
        while True:
            number += 1
            begun = rows.line_num
            try:
                row = next(rows, None)
            except csv.Error as problem:
                if "unexpected end of data" in str(problem) or rows.line_num - begun > 1:
                    raise Malformed("quote_open", file=path.name, row=number) from problem
                yield number, BrokenRow("row_quotes")
                continue
            except UnicodeDecodeError as problem:
                raise Malformed("encoding_unknown", file=path.name) from problem
            if row is None:
                return
            yield number, _bounded(row)


def _bounded(row: list[str]) -> Row:
    """The row with nothing in it that is longer than anybody may use, so that a thousand rows fit into memory."""
    if len(row) > limits.COLUMNS_MAX:
        return BrokenRow("row_wide")
    if sum(map(len, row)) > limits.ROW_CHARACTERS_MAX:
        return [cell[: limits.CELL_CHARACTERS_MAX + 1] for cell in row]
    return row


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    """The file's lines, none longer than the limit."""
    while line := file.readline(limits.LINE_CHARACTERS_MAX):
        if len(line) == limits.LINE_CHARACTERS_MAX:
            raise Malformed("line_over_limit", file=path.name, most=limits.LINE_CHARACTERS_MAX)
        yield line
