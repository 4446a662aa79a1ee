"""What a deed earns, and the limits everybody keeps: the joint policy, read from TOML and from its signed document.

Credits = floor(quantity × credits_per_unit), by the policy in force on the day of the deed.  A policy file with an
unknown key, a missing one or a value out of range is Malformed as a whole.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from samprasan.keys.errors import Malformed
from samprasan.ledger import calendar
from samprasan.ledger.toml_fields import CODE, CREDITS_MAX, day, exactly, in_range, table_of, title, whole
from samprasan.v1 import documents_pb2 as documents
from samprasan.v1.log_pb2 import Dimension

DIMENSIONS = ("health", "economy", "social", "environment")
UNITS = ("event", "hour")
_VERSION_MAX = 2**31 - 1
_REGISTRIES_MAX = 50
_REGISTRY = re.compile(r"[^\s/]{1,64}").fullmatch
_LIMITS = {
    "credits_per_update_max": CREDITS_MAX,
    "credits_per_agency_day_max": CREDITS_MAX,
    "linking_elements_per_day": 2**32 - 1,
    "hold_seconds_max": 2**32 - 1,
    "pending_days": 3650,
    "expire_after_fiscal_years": 100,
    "write_offs_per_agency_day_max": CREDITS_MAX,
    "reserves_per_agency_day_max": CREDITS_MAX,
}
_MAY_BE_ZERO = ("pending_days", "expire_after_fiscal_years")


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of deed: ``dimension`` is 1 to 4, ``quantity_max`` in units."""

    code: str
    dimension: Dimension.ValueType
    title: Mapping[str, str]
    unit: str
    credits_per_unit: int
    quantity_max: Decimal


@dataclass(frozen=True, slots=True)
class Policy:
    """A joint policy as the rules use it."""

    version: int
    valid_from: date
    credits_per_update_max: int
    credits_per_agency_day_max: int
    linking_elements_per_day: int
    hold_seconds_max: int
    write_offs_per_agency_day_max: int
    reserves_per_agency_day_max: int
    categories: Mapping[str, Category]
    registries: frozenset[str] = frozenset()


def credits_for(category: Category, quantity: Decimal) -> int:
    """Whole credits for ``quantity`` units, rounded down."""
    return int((quantity * category.credits_per_unit).to_integral_value(ROUND_FLOOR))


def in_force(policies: Iterable[Policy], on: date) -> Policy | None:
    """The newest version that prices deeds of ``on``; None if none does."""
    return max((policy for policy in policies if policy.valid_from <= on), key=lambda p: p.version, default=None)


def from_document(document: documents.Policy) -> Policy:
    """The policy in a signed document.  Raises Malformed ``entry_value`` or ``policy_unsupported``."""
    limits = document.limits
    for name, most in _LIMITS.items():
        in_range(name, getattr(limits, name), 0 if name in _MAY_BE_ZERO else 1, most)
    for name in ("credits_per_agency_day_max", "write_offs_per_agency_day_max"):
        in_range(name, getattr(limits, name), limits.credits_per_update_max, _LIMITS[name])  # or one award never fits
    if limits.pending_days or limits.expire_after_fiscal_years:
        raise Malformed("policy_unsupported", key="pending_days, expire_after_fiscal_years")
    categories = {entry.code: _category(entry) for entry in document.categories}
    if list(categories) != sorted(categories) or len(categories) != len(document.categories) or not categories:
        raise Malformed("entry_value", key="category", value="code")
    registries = list(document.registries)
    if (
        registries != sorted(set(registries))
        or len(registries) > _REGISTRIES_MAX
        or not all(map(_REGISTRY, registries))
    ):
        raise Malformed("entry_value", key="registries", value=", ".join(registries)[:200])
    try:
        valid_from = calendar.unpacked(document.valid_from)
    except ValueError as problem:
        raise Malformed("entry_value", key="valid_from", value=document.valid_from) from problem
    return Policy(
        version=document.version,
        valid_from=valid_from,
        credits_per_update_max=limits.credits_per_update_max,
        credits_per_agency_day_max=limits.credits_per_agency_day_max,
        linking_elements_per_day=limits.linking_elements_per_day,
        hold_seconds_max=limits.hold_seconds_max,
        write_offs_per_agency_day_max=limits.write_offs_per_agency_day_max,
        reserves_per_agency_day_max=limits.reserves_per_agency_day_max,
        categories=categories,
        registries=frozenset(registries),
    )


def from_toml(text: str, federation_id: bytes, created_at: int, expires_at: int) -> documents.Policy:
    """The unsigned document for a policy file.  Raises Malformed, naming the key."""
    table = table_of(text)
    exactly(table, {"version", "title", "valid_from", "registries", "limits", "category"}, "")
    exactly(table["limits"], set(_LIMITS), "limits.")
    titles = title(table["title"], "title")
    document = documents.Policy(
        federation_id=federation_id,
        version=whole(table["version"], "version", _VERSION_MAX),
        created_at=created_at,
        expires_at=expires_at,
        title_th=titles["th"],
        title_en=titles["en"],
        valid_from=calendar.packed(day(table["valid_from"], "valid_from")),
        limits=documents.PolicyLimits(
            **{name: whole(table["limits"][name], name, most) for name, most in _LIMITS.items()}
        ),
        categories=sorted(map(_category_message, table["category"]), key=lambda entry: entry.code),
        registries=_registries(table["registries"]),
    )
    from_document(document)
    return document


def _registries(named: object) -> list[str]:
    if not isinstance(named, list) or any(not isinstance(each, str) for each in named):
        raise Malformed("entry_value", key="registries", value=named)
    return sorted(named)


def _category_message(table: dict[str, Any]) -> documents.Category:
    keys = {"code", "dimension", "title", "unit", "credits_per_unit", "quantity_max"}
    exactly(table, keys, "category.")
    if table["dimension"] not in DIMENSIONS:
        raise Malformed("entry_value", key="category.dimension", value=table["dimension"])
    titles = title(table["title"], "category.title")
    if type(table["quantity_max"]) not in (int, float):
        raise Malformed("entry_value", key="category.quantity_max", value=table["quantity_max"])
    thousandths = Decimal(str(table["quantity_max"])) * 1000
    if thousandths != thousandths.to_integral_value() or not 0 < thousandths <= CREDITS_MAX:
        raise Malformed("entry_value", key="category.quantity_max", value=table["quantity_max"])
    return documents.Category(
        code=str(table["code"]),
        dimension=Dimension.ValueType(DIMENSIONS.index(table["dimension"]) + 1),
        title_th=titles["th"],
        title_en=titles["en"],
        unit=str(table["unit"]),
        credits_per_unit=whole(table["credits_per_unit"], "category.credits_per_unit"),
        quantity_max_thousandths=int(thousandths),
    )


def _category(entry: documents.Category) -> Category:
    if not CODE.fullmatch(entry.code):
        raise Malformed("entry_value", key="category.code", value=entry.code)
    if entry.unit not in UNITS:
        raise Malformed("entry_value", key=f"{entry.code}: unit", value=entry.unit)
    if not 1 <= entry.dimension <= len(DIMENSIONS):
        raise Malformed("entry_value", key=f"{entry.code}: dimension", value=entry.dimension)
    in_range(f"{entry.code}: credits_per_unit", entry.credits_per_unit, 0, CREDITS_MAX)
    in_range(f"{entry.code}: quantity_max", entry.quantity_max_thousandths, 1, CREDITS_MAX)
    return Category(
        code=entry.code,
        dimension=entry.dimension,
        title={"th": entry.title_th, "en": entry.title_en},
        unit=entry.unit,
        credits_per_unit=entry.credits_per_unit,
        quantity_max=Decimal(entry.quantity_max_thousandths) / 1000,
    )
