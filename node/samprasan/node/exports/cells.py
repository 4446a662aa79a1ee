"""What one cell of an export says: text, a day, a quantity; and which encoding was mistaken for which.  Pure.

Thai digits count as digits.  A year above 2400 is of the Buddhist era unless the profile names a calendar; 543 is taken
off before a date is built, since 29/02/2567 is a real day and 29/02/2567 of the common era is none.
"""

import re
from datetime import date, datetime, time, timedelta
from decimal import ROUND_CEILING, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from samprasan.keys.identifiers import fold_digits
from samprasan.ledger.calendar import BUDDHIST_ERA
from samprasan.node import limits

Cell: TypeAlias = str | float | int | bool | date | datetime | time | timedelta | None

_BUDDHIST_FROM = 2400  # a year above is of the Buddhist era
_CENTURY = {"buddhist": 2500, "gregorian": 2000}  # of years written with two digits
_DAY_MONTH_YEAR = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{2}|\d{4})(?:\s+\d{1,2}:\d{2}(?::\d{2})?)?", re.ASCII)
_YEAR_MONTH_DAY = re.compile(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})([T ].*)?", re.ASCII)
_IN_WORDS = re.compile(r"(?:วันที่)?\s*(\d{1,2})[\s/-]*([^\d\s/-]+?)[\s/-]*(พ\.?ศ\.?|ค\.?ศ\.?)?\s*(\d{2}|\d{4})", re.ASCII)
_ERAS = {"พศ": "buddhist", "คศ": "gregorian"}
_MONTHS = (
    "มค มกราคม jan january",
    "กพ กุมภาพันธ์ feb february",
    "มีค มีนาคม mar march",
    "เมย เมษายน apr april",
    "พค พฤษภาคม may",
    "มิย มิถุนายน jun june",
    "กค กรกฎาคม jul july",
    "สค สิงหาคม aug august",
    "กย กันยายน sep sept september",
    "ตค ตุลาคม oct october",
    "พย พฤศจิกายน nov november",
    "ธค ธันวาคม dec december",
)
_MONTH_OF = {word: number for number, words in enumerate(_MONTHS, 1) for word in words.split()}
_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?", re.ASCII)
_HOURS = re.compile(r"(\d{1,3}):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_EXCEL_TEXT = re.compile(r'="([^"]*)"')
_NINE_PLACES = Decimal("1E-9")
_THAI_MIN = 3  # fewer Thai letters than that may be chance


class UnreadableCell(Exception):
    """``detail`` names the words that say what is wrong."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def text_of(cell: Cell) -> str:
    """What a cell says as text: a whole number without its ``.0``, blank for nothing, Excel's ``="007"`` as 007."""
    if isinstance(cell, str):
        text = cell.strip()
    elif cell is None:
        return ""
    elif isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    else:
        text = str(cell)
    if text[:1] == "=":
        wrapped = _EXCEL_TEXT.fullmatch(text)
        return wrapped[1].strip() if wrapped else text
    return text


def day_of(cell: Cell, calendar: str, year_digits: int) -> date:
    """The day a cell names.  Raises UnreadableCell ``date_…``."""
    if isinstance(cell, date):
        buddhist = cell.year > _BUDDHIST_FROM
        return _built(cell.year - BUDDHIST_ERA * buddhist, cell.month, cell.day)
    return _day_in_text(fold_digits(text_of(cell)), calendar, year_digits)


@lru_cache(maxsize=65_536)
def _day_in_text(text: str, calendar: str, year_digits: int) -> date:
    if found := _DAY_MONTH_YEAR.fullmatch(text):
        day, month, year_text = int(found[1]), int(found[2]), found[3]
    elif found := _YEAR_MONTH_DAY.fullmatch(text):
        day, month, year_text = int(found[3]), int(found[2]), found[1]
    elif found := _IN_WORDS.fullmatch(text):
        word = found[2].replace(".", "").lower()
        if word not in _MONTH_OF:
            raise UnreadableCell("date_unreadable")
        day, month, year_text = int(found[1]), _MONTH_OF[word], found[4]
        calendar = _ERAS[found[3].replace(".", "")] if found[3] else calendar
    else:
        raise UnreadableCell("date_unreadable")
    year = int(year_text)
    if len(year_text) == 2:
        if year_digits != 2:
            raise UnreadableCell("date_two_digits")
        year += _CENTURY[calendar]
    buddhist = calendar == "buddhist" or (calendar == "" and year > _BUDDHIST_FROM)
    return _built(year - BUDDHIST_ERA * buddhist, month, day)


def _built(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise UnreadableCell("date_impossible") from None


def quantity_of(cell: Cell, scale: Fraction) -> Decimal:
    """The quantity a cell says, more than 0: a number times ``scale``, or hours as 2:30 or a time cell.

    Raises UnreadableCell ``quantity_unreadable`` or ``quantity_not_positive``.
    """
    if isinstance(cell, date | bool):
        raise UnreadableCell("quantity_unreadable")
    quantity = _hours_in_cell(cell) if isinstance(cell, time | timedelta) else _quantity_in_text(cell, scale)
    if quantity <= 0:
        raise UnreadableCell("quantity_not_positive")
    return quantity


def _hours_in_cell(cell: time | timedelta) -> Decimal:
    if isinstance(cell, time):
        cell = timedelta(hours=cell.hour, minutes=cell.minute, seconds=cell.second, microseconds=cell.microsecond)
    return _decimal(Fraction(round(cell.total_seconds()), 3600))


def _quantity_in_text(cell: Cell, scale: Fraction) -> Decimal:
    text = repr(cell) if isinstance(cell, float) else fold_digits(text_of(cell))
    if len(text) > limits.QUANTITY_CHARACTERS_MAX:
        raise UnreadableCell("quantity_unreadable")
    if _NUMBER.fullmatch(text):
        number = Decimal(text.replace(",", ""))
        return number if scale == 1 else _decimal(Fraction(number) * scale)
    hours = _HOURS.fullmatch(text)
    if not hours:
        raise UnreadableCell("formula" if text.startswith("=") else "quantity_unreadable")
    return _decimal(Fraction(int(hours[1]) * 3600 + int(hours[2]) * 60 + int(hours[3] or 0), 3600))


def _decimal(quantity: Fraction) -> Decimal:
    """Nine places, rounded up: at 6 credits an hour twenty minutes earn 2, and 0.333333333 hours would earn 1."""
    with localcontext(prec=100):
        return (Decimal(quantity.numerator) / quantity.denominator).quantize(_NINE_PLACES, ROUND_CEILING)


def mistaken_encoding(text: str) -> str:
    """Which encoding was read as which, if ``text`` is Thai that went through a wrong one; else nothing.

    Such a file was spoilt by the program that saved it: its bytes are right for what they now say.
    """
    for written, read in (("UTF-8", "cp1252"), ("UTF-8", "cp874"), ("cp874", "cp1252")):
        try:
            meant = b"".join(_byte(character, read) for character in text).decode(written)
        except (UnicodeDecodeError, UnicodeEncodeError):
            continue
        if _is_mostly_thai(meant) and meant != text:
            return f"{written} read as {read}"
    return ""


def _byte(character: str, encoding: str) -> bytes:
    try:
        return character.encode(encoding)
    except UnicodeEncodeError:
        return character.encode("latin-1")  # what the encoding leaves undefined, Windows keeps as it is


def _is_mostly_thai(text: str) -> bool:
    letters = [character for character in text if not character.isascii()]
    thai = sum("\u0e01" <= character <= "\u0e5b" for character in letters)
    return thai >= _THAI_MIN and thai == len(letters)
