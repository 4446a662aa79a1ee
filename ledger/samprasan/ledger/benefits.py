"""What agencies give for credits: a catalogue of benefits, read from TOML and from its signed document.

A benefit is named by its owner and its code; its *digest* names the terms, so that nobody is charged another price
than they were told.  Whether a subject comes from one of the ``areas`` is attested by the agency that serves; all else
is checked at the hub.  A catalogue with an unknown key, a missing one or a value out of range is Malformed as a whole.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from samprasan.keys.errors import Malformed
from samprasan.ledger import calendar
from samprasan.ledger.policy import DIMENSIONS
from samprasan.ledger.toml_fields import CODE, CREDITS_MAX, day, exactly, in_range, table_of, title, whole
from samprasan.v1 import documents_pb2 as documents
from samprasan.v1.log_pb2 import Dimension, SubjectKind

KINDS = ("person", "organization", "community", "area")
PERIODS = ("ever", "day", "month", "fiscal-year")
STOCK_MAX = 2**53
_PER_SUBJECT_MAX = 2**31 - 1
_AREA_DIGITS = (2, 4, 6, 8)
_KEYS = {"code", "title", "credits", "valid_from", "valid_until"}
_OPTIONAL = frozenset({"stock", "per_subject_max", "period", "kinds", "dimensions", "areas"})


@dataclass(frozen=True, slots=True)
class Benefit:
    """A benefit as the rules use it.  ``stock`` None: no end of them; an empty ``kinds``, …: everybody."""

    code: str
    title: Mapping[str, str]
    credits: int
    stock: int | None
    per_subject_max: int
    period: documents.Period.ValueType
    kinds: frozenset[SubjectKind.ValueType]
    dimensions: frozenset[Dimension.ValueType]
    areas: tuple[str, ...]
    valid_from: date
    valid_until: date
    digest: bytes
    message: bytes

    def is_valid_on(self, on: date) -> bool:
        """Whether it can be had on that day."""
        return self.valid_from <= on <= self.valid_until

    def period_of(self, on: date) -> int:
        """The period in which a use on that day counts: 0, YYYYMMDD, YYYYMM or YYYY."""
        match self.period:
            case documents.PERIOD_DAY:
                return calendar.packed(on)
            case documents.PERIOD_MONTH:
                return calendar.month_of(on)
            case documents.PERIOD_FISCAL_YEAR:
                return calendar.fiscal_year_of(on)
            case _:
                return 0

    def covers(self, area: str) -> bool:
        """Whether people of the area with that DOPA code may have it."""
        return not self.areas or any(area.startswith(each) for each in self.areas)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What one agency offers, by code."""

    agency: str
    version: int
    benefits: Mapping[str, Benefit]


def from_document(document: documents.Catalogue) -> Catalogue:
    """The catalogue in a signed document.  Raises Malformed ``entry_value``."""
    benefits = {entry.code: from_message(entry.SerializeToString(deterministic=True)) for entry in document.benefits}
    if list(benefits) != sorted(benefits) or len(benefits) != len(document.benefits):
        raise Malformed("entry_value", key="benefit", value="code")
    return Catalogue(document.agency, document.version, benefits)


@lru_cache(maxsize=4096)
def from_message(data: bytes) -> Benefit:
    """The benefit in an encoded message.  Raises Malformed ``entry_value``."""
    entry = documents.Benefit.FromString(data)
    _check(entry)
    return Benefit(
        code=entry.code,
        title={"th": entry.title_th, "en": entry.title_en},
        credits=entry.credits,
        stock=entry.stock if entry.HasField("stock") else None,
        per_subject_max=entry.per_subject_max,
        period=entry.period,
        kinds=frozenset(entry.kinds),
        dimensions=frozenset(entry.dimensions),
        areas=tuple(entry.areas),
        valid_from=calendar.unpacked(entry.valid_from),
        valid_until=calendar.unpacked(entry.valid_until),
        digest=hashlib.sha256(data).digest(),
        message=data,
    )


def from_toml(
    text: str, agency: str, federation_id: bytes, version: int, created_at: int, expires_at: int
) -> documents.Catalogue:
    """The unsigned document for a catalogue file.  Raises Malformed, naming the key."""
    table = table_of(text)
    exactly(table, {"benefit"}, "")
    if not isinstance(table["benefit"], list):
        raise Malformed("entry_value", key="benefit", value=type(table["benefit"]).__name__)
    document = documents.Catalogue(
        federation_id=federation_id,
        version=version,
        created_at=created_at,
        expires_at=expires_at,
        agency=agency,
        benefits=sorted(map(_message, table["benefit"]), key=lambda entry: entry.code),
    )
    from_document(document)
    return document


def _message(table: dict[str, Any]) -> documents.Benefit:
    exactly(table, _KEYS, "benefit.", _OPTIONAL)
    titles = title(table["title"], "benefit.title")
    benefit = documents.Benefit(
        code=str(table["code"]),
        title_th=titles["th"],
        title_en=titles["en"],
        credits=whole(table["credits"], "benefit.credits"),
        per_subject_max=whole(table.get("per_subject_max", 0), "benefit.per_subject_max", _PER_SUBJECT_MAX),
        period=documents.Period.ValueType(_place(table.get("period", "ever"), PERIODS, "benefit.period")),
        kinds=[SubjectKind.ValueType(each) for each in _places(table, "kinds", KINDS)],
        dimensions=[Dimension.ValueType(each) for each in _places(table, "dimensions", DIMENSIONS)],
        areas=sorted(set(map(str, _listed(table, "areas")))),
        valid_from=calendar.packed(day(table["valid_from"], "benefit.valid_from")),
        valid_until=calendar.packed(day(table["valid_until"], "benefit.valid_until")),
    )
    if "stock" in table:
        benefit.stock = whole(table["stock"], "benefit.stock", STOCK_MAX)
    return benefit


def _check(entry: documents.Benefit) -> None:
    def require(key: str, value: object, holds: bool) -> None:
        if not holds:
            raise Malformed("entry_value", key=f"{entry.code}: {key}", value=value)

    if not CODE.fullmatch(entry.code):
        raise Malformed("entry_value", key="benefit.code", value=entry.code)
    in_range(f"{entry.code}: credits", entry.credits, 1, CREDITS_MAX)
    in_range(f"{entry.code}: stock", entry.stock, 0, STOCK_MAX)
    in_range(f"{entry.code}: per_subject_max", entry.per_subject_max, 0, _PER_SUBJECT_MAX)
    in_range(f"{entry.code}: period", entry.period, 1, len(PERIODS))
    for key, numbers, most in (("kinds", entry.kinds, len(KINDS)), ("dimensions", entry.dimensions, len(DIMENSIONS))):
        ascending = list(numbers) == sorted(set(numbers))
        require(key, list(numbers), ascending and all(1 <= each <= most for each in numbers))
    areas = list(entry.areas)
    codes = all(each.isascii() and each.isdecimal() and len(each) in _AREA_DIGITS for each in areas)
    require("areas", areas, codes and areas == sorted(set(areas)))
    try:
        valid = calendar.unpacked(entry.valid_from) <= calendar.unpacked(entry.valid_until)
    except ValueError:
        valid = False
    require("valid_until", entry.valid_until, valid)


def _listed(table: dict[str, Any], key: str) -> Sequence[object]:
    found = table.get(key, [])
    if not isinstance(found, list):
        raise Malformed("entry_value", key=f"benefit.{key}", value=found)
    return found


def _places(table: dict[str, Any], key: str, words: Sequence[str]) -> list[int]:
    return sorted({_place(each, words, f"benefit.{key}") for each in _listed(table, key)})


def _place(word: object, words: Sequence[str], key: str) -> int:
    """Where ``word`` stands among ``words``, from 1."""
    if word not in words:
        raise Malformed("entry_value", key=key, value=word)
    return words.index(str(word)) + 1
