"""A first profile for an export nobody has described yet: guesses columns and calendar, lists the words to map.  Pure.

Only columns with few different values are listed, and never a value with a 13-digit number in it: a profile is handed
around, and is to hold no personal data.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from samprasan.keys.errors import Malformed
from samprasan.keys.identifiers import fold_digits
from samprasan.node.exports import cells, export
from samprasan.node.exports.cells import Cell, UnreadableCell, text_of
from samprasan.node.exports.profile import WORDS
from samprasan.node.exports.rows import Row

SAMPLE_ROWS = 2000
_HEADER_WITHIN = 30  # rows
_WORDS_MAX = 40  # a column with more different values is no list of words
_THIRTEEN = re.compile(r"(?:\d[\s-]?){13}", re.ASCII)
_BUDDHIST_YEAR = re.compile(r"\b2[45]\d\d\b", re.ASCII)
_TWO_DIGIT_YEAR = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2}", re.ASCII)
_CODE = re.compile(r"[a-z0-9.-]+")  # a word of the policy, most likely
_HINTS = {  # what column names hold; the first field whose hint fits takes the column
    "consent_integrators": ("integrator",),
    "consent_publish": ("เผยแพร่", "publish"),
    "consent": ("ยินยอม", "pdpa", "consent"),
    "subject_kind": ("ประเภทผู้", "subject type", "subject kind", "ประเภทบุคคล"),
    "area_code": ("รหัสตำบล", "รหัสพื้นที่", "subdistrict code", "area code"),
    "record_id": ("รหัส", "เลขที่", "record", "ลำดับ"),
    "subject_id": ("เลขประจำตัว", "เลขบัตร", "บัตรประชาชน", "id number", "citizen"),
    "subject_name": ("ชื่อ", "name"),
    "category": ("ความดี", "กิจกรรม", "activity", "category"),
    "quantity": ("จำนวน", "หน่วย", "ชั่วโมง", "เวลา", "amount", "quantity", "hours"),
    "occurred_on": ("วันที่", "วันเดือนปี", "date"),
    "subdistrict": ("ตำบล", "แขวง", "subdistrict"),
    "district": ("อำเภอ", "เขต", "district"),
    "province": ("จังหวัด", "province"),
    "status": ("สถานะ", "ผล", "status"),
}
_GUESSES = {
    "subject_kind": {
        "person": ("บุคคล", "คน", "ประชาชน"),
        "organization": ("องค์กร", "กลุ่ม/องค์กร", "นิติบุคคล"),
        "community": ("ชุมชน", "สภาองค์กรชุมชน"),
        "area": ("พื้นที่", "ตำบล"),
    },
    "status": {
        "verified": ("ตรวจสอบแล้ว", "รับรองแล้ว", "ผ่าน"),
        "pending": ("รอตรวจสอบ", "รอรับรอง"),
        "rejected": ("ไม่ผ่าน", "ไม่รับรอง"),
        "revoked": ("เพิกถอน", "ยกเลิก"),
    },
    "consent": {"yes": ("ยินยอม", "ใช่", "y", "yes"), "no": ("ไม่ยินยอม", "ไม่", "ไม่ใช่", "n", "no")},
}
_NEEDED = ("record_id", "subject_kind", "subject_id", "category", "quantity", "occurred_on", "status", "consent")


@dataclass(frozen=True, slots=True)
class Sample:
    """The start of an export: its header rows' numbers, the columns, and rows of cells."""

    header_rows: tuple[int, ...]
    header: Sequence[str]
    rows: Sequence[Row]


def sample(name: str, rows: Iterator[tuple[int, Row]]) -> Sample:
    """The header and the first rows of a file called ``name``.  Raises Malformed ``draft_impossible``."""
    start = [row for _, row in zip(range(SAMPLE_ROWS), (row for _, row in rows), strict=False)]
    texts = [[text_of(cell) for cell in row] for row in start[:_HEADER_WITHIN]]
    widths = [sum(map(bool, row)) for row in texts]
    widest = max(widths, default=0)
    last = next((at for at, row in enumerate(texts) if widths[at] >= 0.8 * widest and _are_names(row)), None)
    if last is None or widest < 2:
        raise Malformed("draft_impossible", file=name)
    first = last - 1 if last and widths[last - 1] > 1 and _are_names(texts[last - 1]) else last
    numbers = tuple(range(first + 1, last + 2))
    return Sample(numbers, export.join_header_rows(texts[first : last + 1]), start[last + 1 :])


def draft(found: Sample, source: str) -> str:
    """The profile as TOML text; what could not be guessed is a comment with a question mark."""
    columns = _guessed_columns(found)
    lines = ['record = "deed"', f"source = {_quoted(source)}  # ? whose record ids these are"]
    if len(found.header_rows) > 1:
        lines.append(f"header_rows = {list(found.header_rows)}")
    elif found.header_rows != (1,):
        lines.append(f"header_row = {found.header_rows[0]}")
    lines += [*_calendar(found, columns), "", "[columns]"]
    lines += [f"{name} = {_quoted(column)}" for name, column in columns.items()]
    lines += [f'# {name} = "?"' for name in _NEEDED if name not in columns]
    if not {"area_code", "subdistrict"} & columns.keys():
        lines.append('# area_code = "?"')
    unused = [column for column in found.header if column and column not in columns.values()]
    lines += [f"# not used: {', '.join(map(_quoted, unused))}"] if unused else []
    for name in ("subject_kind", "category", "status", "consent"):
        if name in columns:
            lines += _values(name, _distinct(found, columns[name]))
    missing = [name for name in ("subject_kind", "status", "consent") if name not in columns]
    if missing:
        lines += ["", "[defaults]", *(f'# {name} = "?"  # {" | ".join(WORDS[name])}' for name in missing)]
    return "\n".join(lines) + "\n"


def _are_names(row: Sequence[str]) -> bool:
    filled = [text for text in row if text]
    return bool(filled) and not any(text[0].isdigit() or _THIRTEEN.search(fold_digits(text)) for text in filled)


def _guessed_columns(found: Sample) -> dict[str, str]:
    columns: dict[str, str] = {}
    left = [column for column in dict.fromkeys(found.header) if column]
    for name, fits in (
        ("subject_id", _look_like_ids),
        ("occurred_on", _look_like_days),
        ("subject_kind", _look_like_kinds),
    ):
        chosen = next((column for column in left if fits(_column(found, column))), None)
        if chosen:
            columns[name] = chosen
            left.remove(chosen)
    for name, hints in _HINTS.items():
        chosen = next((column for column in left if any(hint in column.split("/")[-1].lower() for hint in hints)), None)
        if chosen and name not in columns:
            columns[name] = chosen
            left.remove(chosen)
    return {name: columns[name] for name in _HINTS if name in columns}


def _column(found: Sample, column: str) -> list[Cell]:
    place = list(found.header).index(column)
    return [row[place] for row in found.rows if place < len(row) and row[place] not in {None, ""}]


def _look_like_ids(column: Sequence[Cell]) -> bool:
    return _mostly(column, lambda cell: bool(_THIRTEEN.fullmatch(fold_digits(text_of(cell)))))


def _look_like_days(column: Sequence[Cell]) -> bool:
    def is_day(cell: Cell) -> bool:
        try:
            cells.day_of(cell, "buddhist", 2)
        except UnreadableCell:
            return False
        return True

    return _mostly(column, is_day)


def _look_like_kinds(column: Sequence[Cell]) -> bool:
    known = {*_GUESSES["subject_kind"], *(word for words in _GUESSES["subject_kind"].values() for word in words)}
    return _mostly(column, lambda cell: text_of(cell).lower() in known)


def _mostly(column: Sequence[Cell], fits: Callable[[Cell], bool]) -> bool:
    return len(column) > 0 and sum(map(fits, column)) * 2 > len(column)


def _calendar(found: Sample, columns: dict[str, str]) -> list[str]:
    days = _column(found, columns["occurred_on"]) if "occurred_on" in columns else []
    texts = [fold_digits(text_of(cell)) for cell in days if not isinstance(cell, date)]
    if any(_TWO_DIGIT_YEAR.fullmatch(text) for text in texts):
        return ['calendar = "buddhist"  # ? or "gregorian": years have two digits', "year_digits = 2"]
    if not texts:
        return []
    buddhist = sum(bool(_BUDDHIST_YEAR.search(text)) for text in texts) * 2 > len(texts)
    return [f'calendar = "{"buddhist" if buddhist else "gregorian"}"']


def _distinct(found: Sample, column: str) -> list[str]:
    words = dict.fromkeys(text_of(cell) for cell in _column(found, column))
    harmless = [word for word in words if not _THIRTEEN.search(fold_digits(word))]
    return harmless if len(harmless) <= _WORDS_MAX else []


def _values(name: str, words: Sequence[str]) -> list[str]:
    ours = WORDS.get(name, ())
    unknown = [word for word in words if word not in ours and not (name == "category" and _CODE.fullmatch(word))]
    if not unknown:
        return []
    lines = ["", f"[values.{name}]"]
    for word in unknown:
        guess = next((our for our, theirs in _GUESSES.get(name, {}).items() if word.lower() in theirs), None)
        lines.append(f'{_quoted(word)} = "{guess}"' if guess else f'# {_quoted(word)} = "?"')
    return lines


def _quoted(text: str) -> str:
    """A TOML basic string (TOML 1.0, "String")."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
