"""One row of an export becomes a deed, or says what is wrong with which of its cells.  Pure.

A deed is priced once, by the policy in force on the day it was done.  Only a verified deed of a subject who consented
to share may ever leave the node.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from samprasan.keys.errors import Malformed
from samprasan.keys.identifiers import Identifier, Scheme, fold_digits, parse
from samprasan.ledger import policy
from samprasan.ledger.policy import Category, Policy
from samprasan.node import limits
from samprasan.node.exports import cells
from samprasan.node.exports.cells import Cell, UnreadableCell
from samprasan.node.exports.profile import FIELDS, KINDS, SCHEME_OF_KIND, WORDS, Profile
from samprasan.node.imports import areas

_REASON_OF_WORD = {"status": "unknown_status"}  # the other fields with fixed words: missing_field
_RECORD_ID_SEPARATOR = "/"
_NOWHERE = 1 << 30
_SEPARATORS = re.compile(r"[\s.-]")


@dataclass(frozen=True, slots=True)
class Consents:
    """What a subject agreed to: credits leave the node; the balance is spent here; integrators; being an exemplar."""

    share: bool
    redeem: bool
    integrators: bool = False
    publish: bool = False

    def both(self, other: "Consents") -> "Consents":
        """Only what both say yes to."""
        return Consents(
            self.share and other.share,
            self.redeem and other.redeem,
            self.integrators and other.integrators,
            self.publish and other.publish,
        )


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
    consents: Consents
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
        return self.is_verified and self.consents.share and self.credits > 0

    def says(self) -> bytes:
        """What the record says, to tell a repeat from a change.  Holds the id: hash it with a key."""
        consents = self.consents
        parts = (
            str(self.kind),
            self.category,
            str(self.quantity.normalize()),
            self.occurred_on.isoformat(),
            self.area_code,
            self.status,
            str(consents.share),
        )
        further = (str(consents.integrators), str(consents.publish)) if consents.integrators or consents.publish else ()
        return self.subject.domain_bytes() + b"\x1f" + "\x1f".join((*parts, *further)).encode()


class Rejected(Exception):
    """A row that cannot be taken: the ``reason`` and ``field`` that scripts read, and a ``detail`` that says more."""

    def __init__(self, reason: str, field_name: str, detail: str, **values: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field_name
        self.detail = detail
        self.values = values


class Reader:
    """Reads rows of one export under one profile."""

    def __init__(
        self,
        profile: Profile,
        header: Sequence[str],
        policies: Sequence[Policy],
        today: date,
        keyed_hash: Callable[[str], str],
    ) -> None:
        """``header`` names the columns in their order; ``keyed_hash`` hides a record id that is made from an id."""
        self.profile = profile
        self._policies = sorted(policies, key=lambda each: each.version)
        self._today = today
        self._keyed_hash = keyed_hash
        places = {name: place for place, name in enumerate(header)}
        self._width = len(header)
        self._fields = {name: self._field(name, places) for name in FIELDS if name != "record_id"}
        self._given = {name for name in self._fields if name in profile.columns or name in profile.defaults}
        self._record_places = [places[column] for column in profile.record_columns]

    def deed(self, row: Sequence[Cell]) -> Deed:
        """The deed in one row.  Raises :class:`Rejected`; its values never hold an id or a name."""
        if len(row) > self._width and any(cell not in {None, ""} for cell in row[self._width :]):
            raise Rejected("missing_field", "record_id", "row_longer", found=len(row), expected=self._width)
        record_id = self.record_id(row)
        if not record_id:
            raise Rejected("missing_field", "record_id", "cell_empty")
        if len(record_id) > limits.RECORD_ID_CHARACTERS_MAX:
            raise Rejected("missing_field", "record_id", "cell_over_limit", most=limits.RECORD_ID_CHARACTERS_MAX)
        kind = self._word(row, "subject_kind")
        subject = self._subject(row, kind)
        occurred_on = self._day(row)
        category, version = self._category(row, occurred_on)
        quantity = self._quantity(row, category)
        area_code = self._area(row)
        status = self._word(row, "status")
        return Deed(
            record_id=record_id,
            kind=KINDS[kind],
            subject=subject,
            subject_name=self.text(row, "subject_name"),
            category=category.code,
            quantity=quantity,
            occurred_on=occurred_on,
            area_code=area_code,
            status=status,
            consents=self._consents(row),
            credits=policy.credits_for(category, quantity),
            dimension=category.dimension,
            policy_version=version,
        )

    def record_id(self, row: Sequence[Cell]) -> str:
        """The record's id as kept and shown: a keyed hash if it is made from an id column; empty if a part is."""
        parts = [self._record_part(row[place], place) if place < len(row) else "" for place in self._record_places]
        if not all(parts):
            return ""
        if any("\x00" in part for part in parts):
            raise Rejected("missing_field", "record_id", "cell_nul")
        text = _RECORD_ID_SEPARATOR.join(parts)
        return self._keyed_hash(text) if self.profile.record_id_is_personal else text

    def _record_part(self, cell: Cell, place: int) -> str:
        """An id without its dashes and a day in one form, else one record would have several ids."""
        text = cells.text_of(cell)
        if place == self._fields["subject_id"][0]:
            return _SEPARATORS.sub("", fold_digits(text))
        if place == self._fields["occurred_on"][0] and text:
            with suppress(UnreadableCell):
                return cells.day_of(cell, self.profile.calendar, self.profile.year_digits).isoformat()
        return fold_digits(text) if len(self._record_places) > 1 else text

    def _field(self, name: str, places: Mapping[str, int]) -> tuple[int, str, Mapping[str, str]]:
        """Where the field stands (beyond every row if nowhere), what it is if empty, and their words in ours."""
        column = self.profile.columns.get(name)
        place = _NOWHERE if column is None else places[column]
        return place, self.profile.defaults.get(name, ""), self.profile.values.get(name, {})

    def _cell(self, row: Sequence[Cell], name: str) -> Cell:
        place, default, _ = self._fields[name]
        found = row[place] if place < len(row) else None
        return default if found is None or found == "" else found

    def text(self, row: Sequence[Cell], name: str) -> str:
        """The cell's text, in our words."""
        place, default, words = self._fields[name]
        found = row[place] if place < len(row) else None
        text = cells.text_of(default if found is None or found == "" else found)
        if len(text) > limits.CELL_CHARACTERS_MAX:
            raise Rejected("missing_field", name, "cell_over_limit", most=limits.CELL_CHARACTERS_MAX)
        if "\x00" in text:
            raise Rejected("missing_field", name, "cell_nul")
        return words.get(text, text) if words else text

    def _required(self, row: Sequence[Cell], name: str) -> str:
        text = self.text(row, name)
        if not text:
            raise Rejected("missing_field", name, "cell_empty")
        return text

    def _word(self, row: Sequence[Cell], name: str) -> str:
        word = self._required(row, name)
        if word not in WORDS[name]:
            _reject_spoilt(_REASON_OF_WORD.get(name, "missing_field"), name, word)
            raise Rejected(_REASON_OF_WORD.get(name, "missing_field"), name, "word_unmapped", field=name)
        return word

    def _consents(self, row: Sequence[Cell]) -> Consents:
        shares = self._word(row, "consent") == "yes"
        return Consents(shares, shares, self._agrees(row, "consent_integrators"), self._agrees(row, "consent_publish"))

    def _agrees(self, row: Sequence[Cell], name: str) -> bool:
        return name in self._given and bool(self.text(row, name)) and self._word(row, name) == "yes"

    def _subject(self, row: Sequence[Cell], kind: str) -> Identifier:
        given = "subject_scheme" in self._given and self.text(row, "subject_scheme")
        scheme = Scheme(self._word(row, "subject_scheme")) if given else SCHEME_OF_KIND[kind]
        try:
            subject = parse(scheme, self._required(row, "subject_id"), self.profile.registry)
        except Malformed as problem:
            reason = "unreadable_id" if problem.code == "id_lost_digits" else "invalid_subject_id"
            raise Rejected(reason, "subject_id", problem.code, **problem.values) from None
        if scheme is Scheme.AREA:
            _known_area("invalid_subject_id", "subject_id", subject.reveal())
        current = policy.in_force(self._policies, self._today)
        if subject.registry and (current is None or subject.registry not in current.registries):
            raise Rejected("invalid_subject_id", "subject_id", "registry_unknown", registry=subject.registry)
        return subject

    def _day(self, row: Sequence[Cell]) -> date:
        cell = self._cell(row, "occurred_on")
        if not isinstance(cell, date):
            cell = self._required(row, "occurred_on")
        try:
            day = cells.day_of(cell, self.profile.calendar, self.profile.year_digits)
        except UnreadableCell as problem:
            raise Rejected("invalid_date", "occurred_on", problem.detail) from None
        if day > self._today:
            raise Rejected("future_date", "occurred_on", "future_date")
        return day

    def _category(self, row: Sequence[Cell], day: date) -> tuple[Category, int]:
        code = self._required(row, "category")
        found = policy.in_force(self._policies, day)
        if found is None:
            raise Rejected("outside_policy", "occurred_on", "outside_policy")
        if code not in found.categories:
            _reject_spoilt("unknown_category", "category", code)
            raise Rejected("unknown_category", "category", "category_unmapped")
        return found.categories[code], found.version

    def _quantity(self, row: Sequence[Cell], category: Category) -> Decimal:
        cell = self._cell(row, "quantity")
        if cell is None or isinstance(cell, str):
            cell = self._required(row, "quantity")
        try:
            quantity = cells.quantity_of(cell, self.profile.quantity_scale)
        except UnreadableCell as problem:
            raise Rejected("invalid_quantity", "quantity", problem.detail) from None
        if quantity > category.quantity_max:
            raise Rejected("quantity_over_limit", "quantity", "quantity_over_limit", most=category.quantity_max)
        return quantity

    def _area(self, row: Sequence[Cell]) -> str:
        code = fold_digits(self.text(row, "area_code")).removesuffix(".0")
        if code:
            _known_area("unknown_area", "area_code", code)
            return code
        if "subdistrict" not in self._given:
            raise Rejected("missing_field", "area_code", "cell_empty")
        names = (self._required(row, "subdistrict"), self.text(row, "district"), self.text(row, "province"))
        found = areas.matching(*names)
        if len(found) == 1:
            return found[0]
        if found:
            raise Rejected("unknown_area", "subdistrict", "area_name_ambiguous", matches=areas.described(found))
        _reject_spoilt("unknown_area", "subdistrict", "".join(names))
        if later := areas.successors_of_name(*names):
            raise Rejected("unknown_area", "subdistrict", "area_abolished", successors=areas.described(later))
        raise Rejected("unknown_area", "subdistrict", "area_name_unknown")


def _known_area(reason: str, name: str, code: str) -> None:
    if areas.is_known(code):
        return
    later = areas.successors(code)
    if later is None:
        raise Rejected(reason, name, "area_unknown")
    if later:
        raise Rejected(reason, name, "area_abolished", successors=areas.described(later))
    raise Rejected(reason, name, "area_abolished_without_successor")


def _reject_spoilt(reason: str, name: str, text: str) -> None:
    if how := cells.mistaken_encoding(text):
        raise Rejected(reason, name, "mistaken_encoding", how=how)
