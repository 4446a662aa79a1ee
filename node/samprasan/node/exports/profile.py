"""Import profiles: how one kind of export is to be read (TOML).  An unknown key or word is Malformed, naming it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from samprasan.keys.errors import Malformed
from samprasan.keys.identifiers import Scheme

FIELDS = (
    "record_id",
    "subject_kind",
    "subject_scheme",
    "subject_id",
    "subject_name",
    "category",
    "quantity",
    "occurred_on",
    "area_code",
    "subdistrict",
    "district",
    "province",
    "status",
    "consent",
    "consent_integrators",
    "consent_publish",
)
REQUIRED = ("record_id", "subject_kind", "subject_id", "category", "quantity", "occurred_on", "status", "consent")
KINDS = {"person": 1, "organization": 2, "community": 3, "area": 4}
SCHEME_OF_KIND = {
    "person": Scheme.CITIZEN,
    "organization": Scheme.JURISTIC,
    "community": Scheme.REGISTRY,
    "area": Scheme.AREA,
}
STATUSES = ("verified", "pending", "rejected", "revoked")
CONSENTS = ("yes", "no")
WORDS = {
    "subject_kind": tuple(KINDS),
    "subject_scheme": tuple(Scheme),
    "status": STATUSES,
    "consent": CONSENTS,
    "consent_integrators": CONSENTS,
    "consent_publish": CONSENTS,
}
ENCODINGS = {  # as profiles may call them → as Python does
    "utf-8": "utf-8-sig",
    "utf-8-sig": "utf-8-sig",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "cp874": "cp874",
    "windows-874": "cp874",
    "tis-620": "cp874",  # what calls itself so is Windows Thai
    "iso8859-11": "iso8859-11",
}
CALENDARS = ("", "buddhist", "gregorian")
SOURCE_CHARACTERS_MAX = 100
HEADER_ROW_MAX = 1000  # nobody puts more titles above a table
_KEYS = {
    "record",
    "source",
    "registry",
    "header_row",
    "header_rows",
    "skip_rows",
    "calendar",
    "year_digits",
    "quantity_scale",
    "encoding",
    "delimiter",
    "sheet",
}
_TABLES = {"columns", "values", "defaults"}
_SCALE_DENOMINATOR_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Profile:
    """``columns`` maps our field to their column, but for the record id, which may have several: ``record_columns``.

    ``values`` maps our field to (their word → ours); ``header_rows`` are 1-based, ascending.
    """

    source: str
    columns: Mapping[str, str]
    record_columns: tuple[str, ...] = ()
    registry: str = ""
    header_rows: tuple[int, ...] = (1,)
    skip_rows: frozenset[str] = frozenset()
    calendar: str = ""
    year_digits: int = 4
    quantity_scale: Fraction = Fraction(1)
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def named(self) -> list[str]:
        """Every column that the profile names, each once."""
        return list(dict.fromkeys([*self.record_columns, *self.columns.values()]))

    @property
    def record_id_is_personal(self) -> bool:
        """Whether record ids are made from an id column: then only their keyed hash is kept and shown."""
        return self.columns.get("subject_id") in self.record_columns

    def column_of(self, name: str) -> str:
        """What to call the field's column to people."""
        return " + ".join(self.record_columns) if name == "record_id" else self.columns.get(name, name)


def read(text: str) -> Profile:
    """The profile in a TOML file's text.  Raises Malformed ``toml`` or ``profile_…``, naming key and problem."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise Malformed("toml", problem=problem) from problem
    for key in table.keys() - _KEYS - _TABLES:
        raise Malformed("profile_key", key=key, known=", ".join(sorted(_KEYS | _TABLES)))
    if table.get("record") != "deed":
        raise Malformed("profile_value", key="record", known="deed")
    record_columns = _record_columns(table)
    columns, defaults, values = _texts(table, "columns"), _texts(table, "defaults"), _values(table)
    for where, names in (("columns", columns), ("defaults", defaults), ("values", values)):
        for name in names.keys() - set(FIELDS):
            raise Malformed("profile_key", key=f"{where}.{name}", known=", ".join(FIELDS))
    given = (columns.keys() | defaults.keys()) - {"record_id"} | ({"record_id"} if record_columns else set())
    for name in REQUIRED:
        if name not in given:
            raise Malformed("profile_field_missing", field=name)
    if not {"area_code", "subdistrict"} & given:
        raise Malformed("profile_field_missing", field="area_code")
    _check_words(values, defaults)
    return Profile(columns=columns, record_columns=record_columns, values=values, defaults=defaults, **_settings(table))


def _record_columns(table: dict[str, Any]) -> tuple[str, ...]:
    """Take ``columns.record_id`` out of the table: alone it may be a list."""
    columns = table.get("columns", {})
    found = columns.pop("record_id", []) if isinstance(columns, dict) else []
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise Malformed("profile_value", key="columns.record_id", known='"column" or ["column", …]')
    return tuple(listed)


def _settings(table: Mapping[str, Any]) -> dict[str, Any]:
    source = table.get("source", "")
    if not isinstance(source, str) or not 0 < len(source) <= SOURCE_CHARACTERS_MAX:
        raise Malformed("profile_value", key="source", known=f"1-{SOURCE_CHARACTERS_MAX} characters")
    if table.get("calendar", "") not in CALENDARS:
        raise Malformed("profile_value", key="calendar", known="buddhist, gregorian")
    settings: dict[str, Any] = {
        "source": source,
        "header_rows": _header_rows(table),
        "skip_rows": _skip_rows(table),
        "year_digits": _year_digits(table),
        "quantity_scale": _quantity_scale(table),
    }
    for key in ("registry", "calendar", "encoding", "delimiter", "sheet"):
        settings[key] = table.get(key, "")
        if not isinstance(settings[key], str):
            raise Malformed("profile_value", key=key, known="text")
    if settings["encoding"] and settings["encoding"].lower().replace("_", "-") not in ENCODINGS:
        raise Malformed("profile_value", key="encoding", known=", ".join(ENCODINGS))
    if len(settings["delimiter"]) > 1 or settings["delimiter"] in {'"', "\r", "\n"}:
        raise Malformed("profile_value", key="delimiter", known="one character")
    return settings


def _header_rows(table: Mapping[str, Any]) -> tuple[int, ...]:
    if "header_row" in table and "header_rows" in table:
        raise Malformed("profile_value", key="header_rows", known="header_row or header_rows, not both")
    rows = table["header_rows"] if "header_rows" in table else [table.get("header_row", 1)]
    whole = isinstance(rows, list) and all(type(row) is int and 1 <= row <= HEADER_ROW_MAX for row in rows)
    if not whole or not rows or rows != sorted(set(rows)):
        key = "header_rows" if "header_rows" in table else "header_row"
        raise Malformed("profile_value", key=key, known=f"1-{HEADER_ROW_MAX}, ascending")
    return tuple(rows)


def _skip_rows(table: Mapping[str, Any]) -> frozenset[str]:
    rows = table.get("skip_rows", [])
    if not isinstance(rows, list) or not all(isinstance(row, str) and row for row in rows):
        raise Malformed("profile_value", key="skip_rows", known='["text", …]')
    return frozenset(row.strip() for row in rows)


def _year_digits(table: Mapping[str, Any]) -> int:
    digits = table.get("year_digits", 4)
    if type(digits) is not int or digits not in {2, 4}:
        raise Malformed("profile_value", key="year_digits", known="2, 4")
    if digits == 2 and not table.get("calendar"):
        raise Malformed("profile_value", key="calendar", known="buddhist, gregorian (year_digits = 2 does not tell)")
    return digits


def _quantity_scale(table: Mapping[str, Any]) -> Fraction:
    """The nearest simple fraction: 0.0166667 stands for 1/60, so that 720 minutes are 12 hours and no more."""
    scale = table.get("quantity_scale", 1)
    if type(scale) not in {int, float} or not 0 < scale <= _SCALE_DENOMINATOR_MAX:
        raise Malformed("profile_value", key="quantity_scale", known=f"a number of 0-{_SCALE_DENOMINATOR_MAX}")
    found = Fraction(str(scale)).limit_denominator(_SCALE_DENOMINATOR_MAX)
    if not found:
        raise Malformed("profile_value", key="quantity_scale", known=f"1/{_SCALE_DENOMINATOR_MAX} or more")
    return found


def _check_words(values: Mapping[str, Mapping[str, str]], defaults: Mapping[str, str]) -> None:
    for name, allowed in WORDS.items():
        ours = [*values.get(name, {}).values(), *([defaults[name]] if name in defaults else [])]
        for word in ours:
            if word not in allowed:
                raise Malformed("profile_value", key=f"values.{name}", known=", ".join(allowed))


def _values(table: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    found = table.get("values", {})
    if not isinstance(found, dict):
        raise Malformed("profile_value", key="values", known="[values.FIELD]")
    return {name: _texts(found, name, "values.") for name in found}


def _texts(table: Mapping[str, Any], key: str, prefix: str = "") -> dict[str, str]:
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise Malformed("profile_value", key=prefix + key, known='name = "text"')
    for name, value in found.items():
        if not isinstance(value, str) or not value:
            raise Malformed("profile_value", key=f"{prefix}{key}.{name}", known='one text: name = "text"')
    return found
