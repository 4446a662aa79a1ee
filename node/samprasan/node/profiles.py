"""Import profiles: how one kind of export is to be read (TOML).  An unknown key or word is Malformed, naming it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
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
_WORDS = {"subject_kind": tuple(KINDS), "status": STATUSES, "consent": CONSENTS, "subject_scheme": tuple(Scheme)}
_KEYS = {"record", "source", "registry", "header_row", "calendar", "encoding", "delimiter", "sheet"}
_TABLES = {"columns", "values", "defaults"}
_CALENDARS = ("", "buddhist", "gregorian")
SOURCE_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Profile:
    """``columns`` maps our field to their column; ``values`` our field to (their word → ours)."""

    source: str
    columns: Mapping[str, str]
    registry: str = ""
    header_row: int = 1
    calendar: str = ""
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    def word(self, name: str, text: str) -> str:
        """Our word for their ``text`` in field ``name``; the text itself if it is not mapped."""
        return self.values.get(name, {}).get(text, text)


def read(text: str) -> Profile:
    """The profile in a TOML file's text.  Raises Malformed ``toml`` or ``profile``, naming key and problem."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise Malformed("toml", problem=problem) from problem
    for key in table.keys() - _KEYS - _TABLES:
        raise Malformed("profile_key", key=key, known=", ".join(sorted(_KEYS | _TABLES)))
    if table.get("record") != "deed":
        raise Malformed("profile_value", key="record", known="deed")
    columns, defaults, values = _texts(table, "columns"), _texts(table, "defaults"), _values(table)
    for where, names in (("columns", columns), ("defaults", defaults), ("values", values)):
        for name in names.keys() - set(FIELDS):
            raise Malformed("profile_key", key=f"{where}.{name}", known=", ".join(FIELDS))
    for name in REQUIRED:
        if name not in columns and name not in defaults:
            raise Malformed("profile_field_missing", field=name)
    if not ({"area_code", "subdistrict"} & (columns.keys() | defaults.keys())):
        raise Malformed("profile_field_missing", field="area_code")
    if columns.get("record_id") == columns.get("subject_id"):
        raise Malformed("profile_value", key="columns.record_id", known="a column that holds no id of a person")
    _check_words(values, defaults)
    return Profile(columns=columns, values=values, defaults=defaults, **_settings(table))


def _settings(table: Mapping[str, Any]) -> dict[str, Any]:
    source, header_row = table.get("source", ""), table.get("header_row", 1)
    if not isinstance(source, str) or not 0 < len(source) <= SOURCE_CHARACTERS_MAX:
        raise Malformed("profile_value", key="source", known=f"1-{SOURCE_CHARACTERS_MAX} characters")
    if type(header_row) is not int or not 1 <= header_row <= 1000:
        raise Malformed("profile_value", key="header_row", known="1-1000")
    if table.get("calendar", "") not in _CALENDARS:
        raise Malformed("profile_value", key="calendar", known="buddhist, gregorian")
    settings = {"source": source, "header_row": header_row}
    for key in ("registry", "calendar", "encoding", "delimiter", "sheet"):
        settings[key] = table.get(key, "")
        if not isinstance(settings[key], str):
            raise Malformed("profile_value", key=key, known="text")
    return settings


def _check_words(values: Mapping[str, Mapping[str, str]], defaults: Mapping[str, str]) -> None:
    for name, allowed in _WORDS.items():
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
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Malformed("profile_value", key=prefix + key, known='name = "text"')
    return found
