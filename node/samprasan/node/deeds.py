"""One row of an export becomes a deed, or says what is wrong with which of its cells.  Pure.

A deed is priced once, by the policy in force on the day it was done.  Only a verified deed of a subject who consented
to share may ever leave the node.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation

from samprasan.keys.errors import Malformed
from samprasan.keys.identifiers import Identifier, Scheme, fold_digits, parse
from samprasan.ledger import policy
from samprasan.ledger.calendar import BUDDHIST_ERA
from samprasan.ledger.policy import Category, Policy
from samprasan.node import areas, limits
from samprasan.node.exports import Cell, text_of
from samprasan.node.profiles import CONSENTS, KINDS, SCHEME_OF_KIND, STATUSES, Profile

_BUDDHIST_FROM = 2400  # a year above is of the Buddhist era
_DAY_MONTH_YEAR = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", re.ASCII)
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})([T ].*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Deed:
    """A record as the node keeps it; ``credits`` and ``dimension`` as the policy of its day says."""

    record_id: str
    kind: int
    subject: Identifier
    subject_name: str = field(repr=False)
    category: str
    quantity: Decimal
    occurred_on: date
    area_code: str
    status: str
    consent: bool
    credits: int
    dimension: int
    policy_version: int

    @property
    def is_verified(self) -> bool:
        """Whether the deed counts at all."""
        return self.status == "verified"

    @property
    def may_leave(self) -> bool:
        """Whether its credits may be shared: verified, consented, and worth something."""
        return self.is_verified and self.consent and self.credits > 0

    def says(self) -> bytes:
        """What the record says, to tell a repeat from a change.  Holds the id: hash it with a key."""
        parts = (
            self.subject.domain_bytes().decode(),
            str(self.kind),
            self.category,
            str(self.quantity.normalize()),
            self.occurred_on.isoformat(),
            self.area_code,
            self.status,
            str(self.consent),
        )
        return "\x1f".join(parts).encode()


class Rejected(Exception):
    """A row that cannot be taken: CONTRACT's ``reason``, our ``field``, and a ``detail`` that says more."""

    def __init__(self, reason: str, field_name: str, detail: str, **values: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field_name
        self.detail = detail
        self.values = values


def read(row: Mapping[str, Cell], profile: Profile, policies: Sequence[Policy], today: date) -> Deed:
    """The deed in one row (their column → cell).  Raises :class:`Rejected`; its values never hold an id or a name."""
    cells = _Cells(row, profile)
    record_id = cells.required("record_id")
    if len(record_id) > limits.RECORD_ID_CHARACTERS_MAX:
        raise Rejected("missing_field", "record_id", "cell_over_limit", most=limits.RECORD_ID_CHARACTERS_MAX)
    kind = cells.word("subject_kind", tuple(KINDS), "missing_field", "kind_unmapped")
    subject = _subject(cells, kind)
    occurred_on = _day(cells, profile.calendar, today)
    category, version = _category(cells, policies, occurred_on)
    quantity = _quantity(cells, category)
    return Deed(
        record_id=record_id,
        kind=KINDS[kind],
        subject=subject,
        subject_name=cells.text("subject_name"),
        category=category.code,
        quantity=quantity,
        occurred_on=occurred_on,
        area_code=_area(cells),
        status=cells.word("status", STATUSES, "unknown_status", "status_unmapped"),
        consent=cells.word("consent", CONSENTS, "missing_field", "consent_unmapped") == "yes",
        credits=policy.credits_for(category, quantity),
        dimension=category.dimension,
        policy_version=version,
    )


class _Cells:
    """A row's cells under our names."""

    def __init__(self, row: Mapping[str, Cell], profile: Profile) -> None:
        self._row = row
        self._profile = profile

    def cell(self, name: str) -> Cell:
        found = self._row.get(self._profile.columns[name]) if name in self._profile.columns else None
        return self._profile.defaults.get(name) if found is None or found == "" else found

    def text(self, name: str) -> str:
        text = text_of(self.cell(name))
        if len(text) > limits.CELL_CHARACTERS_MAX:
            raise Rejected("missing_field", name, "cell_over_limit", most=limits.CELL_CHARACTERS_MAX)
        return text

    def required(self, name: str) -> str:
        text = self.text(name)
        if not text:
            raise Rejected("missing_field", name, "cell_empty")
        return text

    def word(self, name: str, allowed: Sequence[str], reason: str, detail: str) -> str:
        word = self._profile.word(name, self.required(name))
        if word not in allowed:
            raise Rejected(reason, name, detail)
        return word

    @property
    def profile(self) -> Profile:
        return self._profile


def _subject(cells: _Cells, kind: str) -> Identifier:
    scheme = (
        Scheme(cells.word("subject_scheme", tuple(Scheme), "missing_field", "kind_unmapped"))
        if cells.text("subject_scheme")
        else SCHEME_OF_KIND[kind]
    )
    try:
        subject = parse(scheme, cells.required("subject_id"), cells.profile.registry)
    except Malformed as problem:
        reason = "unreadable_id" if problem.code == "id_lost_digits" else "invalid_subject_id"
        raise Rejected(reason, "subject_id", problem.code, **problem.values) from None
    if scheme is Scheme.AREA and not areas.is_known(subject.reveal()):
        raise Rejected("invalid_subject_id", "subject_id", "area_unknown")
    return subject


def _day(cells: _Cells, calendar: str, today: date) -> date:
    cell = cells.cell("occurred_on")
    day = cell.date() if isinstance(cell, datetime) else cell if isinstance(cell, date) else None
    if day is None:
        day = _day_in_text(fold_digits(cells.required("occurred_on")), calendar)
    elif day.year > _BUDDHIST_FROM:
        day = _built(day.year - BUDDHIST_ERA, day.month, day.day)
    if day > today:
        raise Rejected("future_date", "occurred_on", "future_date")
    return day


def _day_in_text(text: str, calendar: str) -> date:
    if found := _DAY_MONTH_YEAR.fullmatch(text):
        day, month, year = (int(part) for part in found.groups())
    elif found := _ISO.fullmatch(text):
        year, month, day = (int(part) for part in found.groups()[:3])
    else:
        raise Rejected("invalid_date", "occurred_on", "date_unreadable")
    # 543 is taken off before the date is built: 29/02/2567 is a real day, 29/02/2567 CE is none.
    buddhist = calendar == "buddhist" or (calendar == "" and year > _BUDDHIST_FROM)
    return _built(year - BUDDHIST_ERA if buddhist else year, month, day)


def _built(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise Rejected("invalid_date", "occurred_on", "date_impossible") from None


def _category(cells: _Cells, policies: Sequence[Policy], day: date) -> tuple[Category, int]:
    code = cells.profile.word("category", cells.required("category"))
    found = policy.in_force(policies, day)
    if found is None:
        raise Rejected("outside_policy", "occurred_on", "outside_policy")
    if code not in found.categories:
        raise Rejected("unknown_category", "category", "category_unmapped")
    return found.categories[code], found.version


def _quantity(cells: _Cells, category: Category) -> Decimal:
    cell = cells.cell("quantity")
    if isinstance(cell, time | timedelta | date | bool):
        raise Rejected("invalid_quantity", "quantity", "quantity_unreadable")
    text = repr(cell) if isinstance(cell, float) else fold_digits(cells.required("quantity"))
    if not _NUMBER.fullmatch(text) or len(text) > limits.QUANTITY_CHARACTERS_MAX:
        raise Rejected("invalid_quantity", "quantity", "quantity_unreadable")
    try:
        quantity = Decimal(text.replace(",", ""))
    except InvalidOperation:
        raise Rejected("invalid_quantity", "quantity", "quantity_unreadable") from None
    if quantity <= 0:
        raise Rejected("invalid_quantity", "quantity", "quantity_not_positive")
    if quantity > category.quantity_max:
        raise Rejected("quantity_over_limit", "quantity", "quantity_over_limit", most=category.quantity_max)
    return quantity


def _area(cells: _Cells) -> str:
    code = fold_digits(cells.text("area_code"))
    if code:
        if not areas.is_known(code):
            raise Rejected("unknown_area", "area_code", "area_unknown")
        return code
    if "subdistrict" not in cells.profile.columns and "subdistrict" not in cells.profile.defaults:
        raise Rejected("missing_field", "area_code", "cell_empty")
    found = areas.matching(cells.required("subdistrict"), cells.text("district"), cells.text("province"))
    if not found:
        raise Rejected("unknown_area", "subdistrict", "area_name_unknown")
    if len(found) > 1:
        matches = "; ".join(f"{code} {names}" for code, names in found)
        raise Rejected("unknown_area", "subdistrict", "area_name_ambiguous", matches=matches)
    return found[0][0]
