"""What is printed of a joint document: every field, and never the same for two that differ."""

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from samprasan.edge import command
from samprasan.edge.texts import Words
from samprasan.keys import documents
from samprasan.keys.errors import LANGUAGES
from samprasan.node.commands import formats
from samprasan.node.documents import differences
from samprasan.v1.documents_pb2 import Catalogue, Cut, Grant, Integrator, Move, Policy, Roster
from samprasan.v1.log_pb2 import DOCUMENT_KIND_UNSPECIFIED, DocumentKind

KINDS: list[Any] = [Roster, Policy, Grant, Move, Catalogue, Cut, Integrator]
TEXTS = ["", "-", "a", "a, b", '"', "x].name", "volunteer.elder-care", "#1", "absent", "ก", "0", "true"]
NUMBERS = [0, 1, 2, 20_261_001, 1_790_000_000_000]
Seeds = Callable[[int, int, int], Iterator[int]]


def drawn(kind: Any, chance: random.Random) -> Any:
    """Any message of that kind, from values that could be taken for each other."""
    message = kind()
    for field in message.DESCRIPTOR.fields:
        if field.is_repeated:
            target = getattr(message, field.name)
            for _ in range(chance.randrange(3)):
                if field.message_type:
                    target.add().CopyFrom(drawn(field.message_type._concrete_class, chance))
                else:
                    target.append(value_of(field, chance))
        elif chance.random() < 0.7:
            if field.message_type:
                getattr(message, field.name).CopyFrom(drawn(field.message_type._concrete_class, chance))
            else:
                setattr(message, field.name, value_of(field, chance))
    return message


def value_of(field: Any, chance: random.Random) -> Any:
    if field.enum_type:
        return chance.choice([each.number for each in field.enum_type.values])
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        text = chance.choice(TEXTS)
        return text.encode() * chance.choice((1, 40)) if field.type == FieldDescriptor.TYPE_BYTES else text
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return chance.random() < 0.5
    limit = 2**31 if field.type == FieldDescriptor.TYPE_UINT32 else 2**63
    return chance.choice(NUMBERS) % limit


def changed(message: Any, chance: random.Random) -> Any:
    """The same with one field, at any depth, drawn anew."""
    made = type(message)()
    made.CopyFrom(message)
    field = chance.choice(made.DESCRIPTOR.fields)
    inner = getattr(made, field.name)
    if field.message_type and not field.is_repeated and made.HasField(field.name) and chance.random() < 0.8:
        inner.CopyFrom(changed(inner, chance))
    elif field.message_type and field.is_repeated and len(inner) and chance.random() < 0.8:
        place = chance.randrange(len(inner))
        inner[place].CopyFrom(changed(inner[place], chance))
    else:
        other = drawn(type(message), chance)
        made.ClearField(field.name)
        if field.is_repeated:
            getattr(made, field.name).MergeFrom(getattr(other, field.name))
        elif not field.has_presence or other.HasField(field.name):
            made.MergeFrom(only(other, field.name))
    return made


def only(message: Any, name: str) -> Any:
    made = type(message)()
    made.CopyFrom(message)
    for field in message.DESCRIPTOR.fields:
        if field.name != name:
            made.ClearField(field.name)
    return made


def test_every_kind_of_document_is_drawn() -> None:
    numbers = {documents.kind_of(kind()) for kind in KINDS}
    assert numbers == set(DocumentKind.values()) - {DOCUMENT_KIND_UNSPECIFIED}


def filled(kind: Any) -> Any:
    """A message of that kind with every field set, and one of each that may be there several times."""
    message = kind()
    for field in message.DESCRIPTOR.fields:
        if field.message_type:
            inner = filled(field.message_type._concrete_class)
            getattr(message, field.name).MergeFrom([inner] if field.is_repeated else inner)
        elif field.is_repeated:
            getattr(message, field.name).append(another(field, None))
        else:
            setattr(message, field.name, another(field, None))
    return message


def another(field: Any, value: Any) -> Any:
    """Another value of the field than that one."""
    if field.enum_type:
        return next(each.number for each in field.enum_type.values if each.number not in (0, value))
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        plain: Any = b"a" if field.type == FieldDescriptor.TYPE_BYTES else "a"
        return (value or plain[:0]) + plain
    return not value if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else (value or 0) + 1


def neighbours(message: Any) -> Iterator[tuple[str, Any]]:
    """For each field, at every depth, the same message with another value there, or with none."""
    for field in message.DESCRIPTOR.fields:
        name, value = field.name, getattr(message, field.name)
        for path, changed_value in _changed_values(field, value):
            made = type(message)()
            made.CopyFrom(message)
            made.ClearField(name)
            if field.is_repeated or (field.message_type and changed_value is not None):
                getattr(made, name).MergeFrom(changed_value)
            elif changed_value is not None:
                setattr(made, name, changed_value)
            yield f"{name}{path}", made


def _changed_values(field: Any, value: Any) -> Iterator[tuple[str, Any]]:
    yield " left out", [] if field.is_repeated else None
    if field.message_type:
        for path, inner in neighbours(value[0] if field.is_repeated else value):
            yield f".{path}", [inner] if field.is_repeated else inner
    else:
        yield "", [another(field, value[0])] if field.is_repeated else another(field, value)
    if field.is_repeated:
        yield " twice", [*value, *value]


@pytest.mark.parametrize("kind", KINDS)
def test_no_field_changes_unseen(kind: type[Message], capsys: pytest.CaptureFixture[str]) -> None:
    message, walked = filled(kind), 0
    lines, shown = list(differences.lines(message)), screen(message, None, capsys)
    for path, other in neighbours(message):
        walked += 1
        assert other != message, path
        assert list(differences.lines(other)) != lines, path
        assert screen(other, None, capsys) != shown, path
        assert differences.changes(message, other) != [], path
    assert walked >= 2 * len(message.DESCRIPTOR.fields)


@pytest.mark.parametrize("kind", KINDS)
def test_two_documents_that_differ_are_printed_differently(kind: type[Message], seeds: Seeds) -> None:
    compared = 0
    for seed in seeds(100, 400, 20_000):
        chance = random.Random(seed)
        one = drawn(kind, chance)
        other = changed(one, chance)
        same = one == other
        assert (list(differences.lines(one)) == list(differences.lines(other))) == same, f"seed {seed}"
        assert (differences.changes(one, other) == []) == same, f"seed {seed}"
        compared += not same
    assert compared > 40


@pytest.mark.parametrize("kind", KINDS)
def test_two_documents_that_differ_look_different_on_the_screen(
    kind: type[Message], seeds: Seeds, capsys: pytest.CaptureFixture[str]
) -> None:
    compared = 0
    for seed in seeds(20, 80, 4_000):
        chance = random.Random(seed)
        one = drawn(kind, chance)
        other = changed(one, chance)
        if one != other:
            compared += 1
            before = drawn(kind, chance)
            assert screen(one, None, capsys) != screen(other, None, capsys), f"seed {seed}"
            assert screen(one, before, capsys) != screen(other, before, capsys), f"seed {seed}"
    assert compared > 8


def screen(body: Any, before: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """What ``approvals show`` prints: every field, or with ``before``, here alone, what it changes of that one.

    Of the digest, which alone would tell two apart, it shows the same.
    """
    document = {
        "id": "0" * 12,
        "kind": "policy",
        "version": 2,
        "digest": "0" * 64,
        "signed": [],
        "missing": [],
        "declined": {},
        "words": dict.fromkeys(LANGUAGES, "acorn " * 33),
        "content": {} if before else {each.path: each.value for each in differences.lines(body)},
        "instead_of": 1 if before else None,
        "changes": [asdict(each) for each in differences.changes(before, body)] if before else [],
        "here": {},
    }
    command.answer(document, False, formats.joint_document(document))
    return capsys.readouterr().out


def test_what_comes_in_between_changes_no_line_of_the_others() -> None:
    before, after = Policy(), Policy()
    for policy, codes in ((before, ("a", "c")), (after, ("a", "b", "c"))):
        for code in codes:
            policy.categories.add(code=code, credits_per_unit=3)
    found = {each.path: (each.before, each.after) for each in differences.changes(before, after)}
    assert found.pop("categories") == ("a, c", "a, b, c")
    assert all(path.startswith("categories[b].") and told[0] is None for path, told in found.items())
    gone = {each.path for each in differences.changes(after, before) if each.after is None}
    assert gone == set(found)


def test_days_and_moments_are_told_in_the_buddhist_era() -> None:
    lines = {
        each.path: each.value for each in differences.lines(Policy(valid_from=20261001, expires_at=1_790_000_000_000))
    }
    assert lines["valid_from"] == "20261001 (01/10/2569)"
    assert lines["expires_at"].startswith("1790000000000 (2")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_has_a_name_for_people(language: str) -> None:
    labels = Words("samprasan.node.documents")
    names = {each.name for kind in KINDS for each in fields(kind.DESCRIPTOR)}
    assert all(labels.in_language(language, name) for name in names)


def fields(descriptor: Any) -> Iterator[Any]:
    for field in descriptor.fields:
        yield field
        if field.message_type:
            yield from fields(field.message_type)
