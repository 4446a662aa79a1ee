"""Scopes and filters in words, as commands take them and people read them: ``dimension=health``, ``balances``."""

from collections.abc import Iterable, Mapping, Sequence

from samprasan.keys.errors import Malformed
from samprasan.keys.rosters import is_agency_code
from samprasan.v1.changes_pb2 import Filter
from samprasan.v1.documents_pb2 import Cause, Scope
from samprasan.v1.log_pb2 import Dimension, SubjectKind

BALANCES = "balances"
_NUMBERS: Mapping[str, Mapping[str, int]] = {
    what: {name.removeprefix(prefix).lower(): number for name, number in numbers.items() if number}
    for what, prefix, numbers in (
        ("dimension", "DIMENSION_", Dimension),
        ("kind", "SUBJECT_KIND_", SubjectKind),
        ("cause", "CAUSE_", Cause),
    )
}
_NAMES = {what: {number: name for name, number in numbers.items()} for what, numbers in _NUMBERS.items()}


def scope_of(words: Sequence[str]) -> Scope:
    """What an integrator may see.  Raises Malformed ``scope_word``."""
    found = _read([word for word in words if word != BALANCES])
    return Scope(**found, balances=BALANCES in words)  # type: ignore[arg-type]


def filter_of(words: Sequence[str]) -> Filter:
    """What a reader wants of it.  Raises Malformed ``scope_word``."""
    return Filter(**_read(words))  # type: ignore[arg-type]


def words_of(scope: Scope) -> list[str]:
    """The words of :func:`scope_of`."""
    named: list[tuple[str, Iterable[int]]] = [
        ("dimension", scope.dimensions),
        ("kind", scope.kinds),
        ("cause", scope.causes),
    ]
    words = [f"agency={agency}" for agency in scope.agencies]
    words += [f"{what}={word_for(what, value)}" for what, values in named for value in values]
    return words + ([BALANCES] if scope.balances else [])


def word_for(what: str, value: int | str) -> str:
    """An agency, dimension, kind or cause in words."""
    return str(value) if isinstance(value, str) else _NAMES[what].get(value, str(value))


def _read(words: Sequence[str]) -> dict[str, list[str] | list[int]]:
    agencies: set[str] = set()
    numbers: dict[str, set[int]] = {what: set() for what in _NUMBERS}
    for word in words:
        what, _, value = word.partition("=")
        if what == "agency" and is_agency_code(value):
            agencies.add(value)
        elif value in _NUMBERS.get(what, {}):
            numbers[what].add(_NUMBERS[what][value])
        else:
            raise Malformed("scope_word", word=word)
    return {"agencies": sorted(agencies)} | {f"{what}s": sorted(values) for what, values in numbers.items()}
