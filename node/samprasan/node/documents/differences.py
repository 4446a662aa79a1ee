"""Every field of a joint document as one line, and the lines in which two documents differ.

Two documents of a kind that differ in anything have different lines, so that what is approved is what was printed.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from samprasan.keys import plain_text
from samprasan.ledger import calendar

ABSENT = "-"
_BYTES_SHOWN_MAX = 32  # what is longer is shown as its digest
_CODE = re.compile(r"[a-z0-9][a-z0-9.-]*")


@dataclass(frozen=True, slots=True)
class Line:
    """One field: where it stands (``members[mpc].name``), what it is called, and its value as text."""

    path: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Change:
    """A field that another document changes; a value is None where the field is not there."""

    path: str
    name: str
    before: str | None
    after: str | None


def lines(message: Message, prefix: str = "") -> Iterator[Line]:
    """Every field of ``message``, at any depth, also those that are empty or absent."""
    for field in message.DESCRIPTOR.fields:
        path, value = prefix + field.name, getattr(message, field.name)
        if field.is_repeated and field.message_type is not None:
            yield from _listed(field, path, value)
        elif field.is_repeated:
            yield Line(path, field.name, ", ".join(_text(field, each) for each in value) or ABSENT)
        elif field.has_presence and not message.HasField(field.name):
            yield Line(path, field.name, ABSENT)
        elif field.message_type is not None:
            yield from lines(value, path + ".")
        else:
            yield Line(path, field.name, _text(field, value))


def changes(before: Message, after: Message) -> list[Change]:
    """What ``after`` changes, in its order; what it does not have any more comes last."""
    old, new = ({each.path: each for each in lines(message)} for message in (before, after))
    found = [
        Change(path, each.name, old[path].value if path in old else None, each.value)
        for path, each in new.items()
        if path not in old or old[path].value != each.value
    ]
    return found + [Change(path, each.name, each.value, None) for path, each in old.items() if path not in new]


def _listed(field: Any, path: str, messages: Any) -> Iterator[Line]:
    """Each by its code, so that one that comes in between changes no line of the others."""
    first = field.message_type.fields[0]
    codes = [str(getattr(each, first.name)) for each in messages]
    if len(set(codes)) < len(codes) or not all(map(_CODE.fullmatch, codes)):
        codes = [f"#{place}" for place, _ in enumerate(codes, 1)]
    yield Line(path, field.name, ", ".join(codes) or ABSENT)
    for code, each in zip(codes, messages, strict=True):
        yield from lines(each, f"{path}[{code}].")


def _text(field: Any, value: Any) -> str:
    if isinstance(value, bytes):
        if len(value) > _BYTES_SHOWN_MAX:
            return f"sha256:{hashlib.sha256(value).hexdigest()}"
        return value.hex() or '""'
    if isinstance(value, str):
        return plain_text.visible(json.dumps(value, ensure_ascii=False))
    if field.enum_type is not None:
        return _word(field.enum_type, value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value}{_moment(field, value)}"


def _word(enum: Any, number: int) -> str:
    """``fiscal_year`` of ``PERIOD_FISCAL_YEAR``."""
    known = enum.values_by_number.get(number)
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return known.name.removeprefix(prefix).lower() if known else str(number)


def _moment(field: Any, value: int) -> str:
    """What a number of milliseconds, or of a day, means to people."""
    is_day = field.name.startswith("valid_") and field.type == FieldDescriptor.TYPE_UINT32
    is_moment = field.name.endswith("_at") or (field.name == "valid_until" and not is_day)
    try:
        if is_day:
            return f" ({calendar.buddhist(calendar.unpacked(value))})"
        return f" ({calendar.buddhist(calendar.day_of(value))})" if is_moment else ""
    except (ValueError, OverflowError):
        return ""
