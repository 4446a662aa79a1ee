"""What one integrator sees of changes: what its scope and its filter let pass, under names of its own.

- What says that a subject appeared or is gone passes every filter but that of kinds: whoever keeps something under a
  handle has to hear that it is gone.
- Totals are those over all agencies, so a scope that names agencies has none; without *balances* there is only what was
  earned, of the dimensions in scope, and nothing of what was set aside, spent or given back.
- Benefits and policies are public: of agencies that were not asked for, they are left out.
"""

from collections import OrderedDict
from collections.abc import Iterable
from itertools import chain
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from google.protobuf.unknown_fields import UnknownFieldSet
from samprasan.hub.store.changes import Kept
from samprasan.keys.errors import Malformed, Refused
from samprasan.keys.handles import CURSOR_BYTES, Names, Place
from samprasan.keys.signing import encode
from samprasan.ledger import scopes
from samprasan.v1 import documents_pb2 as documents
from samprasan.v1 import log_pb2 as log
from samprasan.v1.changes_pb2 import (
    EVENT_TYPE_BENEFIT_CHANGED,
    EVENT_TYPE_BENEFIT_WITHDRAWN,
    EVENT_TYPE_CREDIT_CHANGED,
    EVENT_TYPE_LINKED,
    EVENT_TYPE_UNLINKED,
    EVENT_TYPE_UNSPECIFIED,
    Change,
    EntryChanges,
    Event,
    Filter,
)

_EARNING = frozenset({documents.CAUSE_AWARD, documents.CAUSE_REVERSE})
_CURSOR_TAG = b"\x82\x01"  # Event.cursor
_ENCODED_MAX = 8  # entries: who lags further behind reads them by itself
_EVENT_TAG = b"\x0a"  # Page.events
_PAGE_TAG = b"\x0a"  # FollowResponse.page


class Seen(NamedTuple):
    """What passes of an entry, in order: each event as a Page has it, up to the cursor, which is a reader's own.

    ``numbers`` says of each how many of the entry's changes are dealt with by then; ``size`` is that of all, bytes.
    """

    numbers: list[int]
    events: list[bytes]
    size: int


_NOTHING = Seen([], [], 0)


class View:
    """What passes, and what it is called.  What newest entries look like is encoded once for all that have the view."""

    def __init__(self, scope: documents.Scope, wanted: Filter, names: Names) -> None:
        self._names = names
        self._encoded: OrderedDict[int, tuple[EntryChanges, Seen]] = OrderedDict()
        self._agencies = _either(wanted.agencies, scope.agencies)
        self._dimensions = _either(wanted.dimensions, scope.dimensions)
        self._kinds = _either(wanted.kinds, scope.kinds)
        self._causes = _either(wanted.causes, scope.causes)
        self._earned = [each - 1 for each in scope.dimensions] or [0, 1, 2, 3]
        self._has_totals = not scope.agencies
        self._has_balances = scope.balances and self._has_totals
        self._spends = scope.balances

    def seen(self, kept: Kept, cuts: int) -> Seen:
        """What passes of an entry's changes; the log had had so many cuts before it."""
        entry, encoded = self._encoded.get(kept.log_index, (None, _NOTHING))
        if entry is not kept.content:
            encoded = self._seen(kept, cuts)
            self._encoded[kept.log_index] = kept.content, encoded
            if len(self._encoded) > _ENCODED_MAX:
                self._encoded.popitem(last=False)
        return encoded

    def _seen(self, kept: Kept, cuts: int) -> Seen:
        numbers, found = [], []
        for number, change in enumerate(kept.content.changes):
            if self._passes(change):
                (event_id,) = self._names.ids([Place(kept.log_index, number, cuts)])
                event = self._event(change, kept.content.at)
                event.id = event_id
                numbers.append(number + 1)
                found.append(_without_cursor(event.SerializeToString(deterministic=True)))
        return Seen(numbers, found, sum(map(len, found)) + len(found) * CURSOR_BYTES)

    def snapshot_event(self, change: Change, at: int) -> Event | None:
        """An event of a snapshot, if it passes: it has neither id nor cursor."""
        return self._event(change, at) if self._passes(change) else None

    def _passes(self, change: Change) -> bool:
        if change.type == EVENT_TYPE_UNSPECIFIED:
            return False  # of somebody who may not be seen any more
        if change.type in {EVENT_TYPE_LINKED, EVENT_TYPE_UNLINKED}:
            return _is_in(change.kind, self._kinds)
        if change.type == EVENT_TYPE_CREDIT_CHANGED:
            return (
                _is_in(change.kind, self._kinds)
                and _is_in(change.agency, self._agencies)
                and _is_in(change.cause, self._causes)
                and (not change.dimension or _is_in(change.dimension, self._dimensions))
                and (change.cause in _EARNING or self._spends)
            )
        is_offer = change.type in {EVENT_TYPE_BENEFIT_CHANGED, EVENT_TYPE_BENEFIT_WITHDRAWN}
        return not is_offer or _is_in(change.agency, self._agencies)

    def _event(self, change: Change, at: int) -> Event:
        event = Event(
            type=change.type,
            kind=change.kind,
            agency=change.agency,
            cause=change.cause,
            dimension=change.dimension,
            credits=change.credits,
            at=at,
            policy_version=change.policy_version,
        )
        if change.account_id:
            event.handle = self._names.handle(change.account_id)
        if change.HasField("benefit"):
            event.benefit.CopyFrom(change.benefit)
        if change.earned and self._has_totals:
            event.earned = sum(change.earned[each] for each in self._earned)
            if self._has_balances:
                event.available, event.held, event.spent = change.available, change.held, change.spent
        return event


_views: "WeakValueDictionary[tuple[bytes, bytes, Names], View]" = WeakValueDictionary()


def view_of(scope: documents.Scope, wanted: Filter, names: Names) -> View:
    """The one View that all have who see the same now."""
    key = (encode(scope), encode(wanted), names)
    return _views.setdefault(key, View(scope, wanted, names))


def with_cursors(events: Iterable[bytes], cursors: Iterable[bytes]) -> bytes:
    """A part of a Page: events of :class:`Seen`, each with its cursor."""
    return b"".join(chain.from_iterable(zip(events, cursors, strict=True)))


def page_word(page: bytes) -> bytes:
    """The FollowResponse of an encoded Page."""
    return b"".join((_PAGE_TAG, _varint(len(page)), page))


def check(scope: documents.Scope, wanted: Filter, agencies: Iterable[str]) -> None:
    """That a filter asks for things that there are, and for no more than the scope allows.

    Raises Malformed ``filter_form``, Refused ``filter_unknown`` or ``scope_exceeded``, naming the first.
    """
    lists = (wanted.agencies, wanted.dimensions, wanted.kinds, wanted.causes)
    if UnknownFieldSet(wanted) or any(len(set(each)) < len(each) for each in lists):
        raise Malformed("filter_form")
    known: list[tuple[str, Iterable[Any], Iterable[Any], Iterable[Any]]] = [
        ("agency", wanted.agencies, scope.agencies, agencies),
        ("dimension", wanted.dimensions, scope.dimensions, log.Dimension.values()),
        ("kind", wanted.kinds, scope.kinds, log.SubjectKind.values()),
        ("cause", wanted.causes, scope.causes, documents.Cause.values()),
    ]
    for what, asked, allowed, there_are in known:
        for value in asked:
            if not value or value not in set(there_are):
                raise Refused("filter_unknown", what=what, value=scopes.word_for(what, value))
            if not _is_in(value, frozenset(allowed)) or (
                what == "cause" and value not in _EARNING and not scope.balances
            ):
                raise Refused("scope_exceeded", what=what, value=scopes.word_for(what, value))


def _either(wanted: Iterable[Any], allowed: Iterable[Any]) -> frozenset[Any]:
    return frozenset(wanted) or frozenset(allowed)


def _is_in(value: Any, allowed: frozenset[Any]) -> bool:
    return not allowed or value in allowed


def _without_cursor(event: bytes) -> bytes:
    """An encoded event as a Page has it, up to its last field, whose value comes behind."""
    size = len(event) + len(_CURSOR_TAG) + 1 + CURSOR_BYTES
    return b"".join((_EVENT_TAG, _varint(size), event, _CURSOR_TAG, _varint(CURSOR_BYTES)))


def _varint(value: int) -> bytes:
    """A number as protobuf writes lengths."""
    if value < 0x80:
        return bytes((value,))
    return bytes((value & 0x7F | 0x80,)) + _varint(value >> 7)
