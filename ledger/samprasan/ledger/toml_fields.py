"""What a person wrote in a TOML file: every key known, none missing, every value in its range; else Malformed."""

import re
import tomllib
from datetime import date
from typing import Any

from samprasan.keys.errors import Malformed

CODE = re.compile(r"[a-z0-9][a-z0-9.\-]{0,63}")  # of a category or a benefit
CREDITS_MAX = 2**53  # exact in every JSON reader
TITLE_CHARACTERS_MAX = 200


def table_of(text: str) -> dict[str, Any]:
    """The file's table.  Raises Malformed ``toml``."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise Malformed("toml", problem=problem) from problem


def exactly(table: object, keys: set[str], where: str, optional: frozenset[str] = frozenset()) -> None:
    """That ``table`` has these keys, perhaps ``optional`` ones, and no others; ``where`` stands before a key."""
    if not isinstance(table, dict):
        raise Malformed("entry_value", key=where.rstrip("."), value=type(table).__name__)
    for key in sorted(keys - table.keys()):
        raise Malformed("entry_missing", key=where + key)
    for key in sorted(table.keys() - keys - optional):
        raise Malformed("entry_unknown", key=where + key)


def whole(value: object, key: str, most: int = CREDITS_MAX) -> int:
    """A whole number from 0 to ``most``."""
    if type(value) is not int or not 0 <= value <= most:
        raise Malformed("entry_value", key=key, value=value)
    return value


def day(value: object, key: str) -> date:
    """A date without a time."""
    if type(value) is not date:
        raise Malformed("entry_value", key=key, value=value)
    return value


def title(value: object, key: str) -> dict[str, str]:
    """A title in Thai (``th``) and English (``en``)."""
    if not isinstance(value, dict) or set(value) != {"th", "en"}:
        raise Malformed("entry_value", key=key, value=value)
    titles = {language: str(text) for language, text in value.items()}
    if not all(0 < len(text) <= TITLE_CHARACTERS_MAX for text in titles.values()):
        raise Malformed("entry_value", key=key, value=value)
    return titles


def in_range(key: str, value: int, least: int, most: int) -> None:
    """That ``value`` is from ``least`` to ``most``."""
    if not least <= value <= most:
        raise Malformed("entry_value", key=key, value=value)
