"""A validator of recorded streams: what readers saw against what the log says, by an account of its own.

What should have been told is worked out from the batches alone, one update at a time, without the product's own
account of changes: by comparing totals, and links, before and after.  Then each stream must be

- *ordered* and *unique*: its events are a subsequence of what should have been told, none twice;
- *reliable*: nothing is left out but what is outside its scope, or of somebody who was hidden later on;
- *atomic*: the events of one batch come in one message;
- *resumable*: after a break it goes on behind the cursor that it gave, whichever that was;
- *bookmarked*: all before a bookmark has been told, nothing behind it;
- *filtered*: nothing outside its scope is in it.

A snapshot must be the state at its cursor, and with the rest of the stream make the state at the end.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from samprasan.edge.database import Database
from samprasan.hub import store
from samprasan.keys.handles import Place
from samprasan.ledger import ledger
from samprasan.ledger.state import USED, Entry, State, Totals
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import documents_pb2 as documents
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

_SPENDING = {
    "reserve": documents.CAUSE_RESERVE,
    "post": documents.CAUSE_POST,
    "void": documents.CAUSE_VOID,
    "refund": documents.CAUSE_REFUND,
    "expire": documents.CAUSE_EXPIRE,
}


class Due(NamedTuple):
    """What should have been told."""

    log_index: int
    type: int
    account_id: bytes = b""
    kind: int = 0
    agency: str = ""
    cause: int = 0
    dimension: int = 0
    credits: int = 0
    totals: Totals | None = None
    code: str = ""


@dataclass
class Truth:
    """What a log says."""

    due: list[Due] = field(default_factory=list)
    standing: list[dict[bytes, Totals]] = field(default_factory=lambda: [{}])  # by size of the log: who could be seen
    hidden_after: dict[bytes, int] = field(default_factory=dict)  # the last place in ``due`` where it was hidden

    @classmethod
    def of(cls, entries: Iterable[tuple[log.Batch, int]], activated: Mapping[bytes, Any]) -> "Truth":
        """Of batches with their moments, in the order of the log."""
        truth, state = cls(), State()
        for log_index, (batch, moment) in enumerate(entries):
            for update in batch.updates:
                one = Entry(log.Batch(agency=batch.agency, updates=[update]), moment)
                folded, _ = ledger.fold(state, one, activated)
                touched = folded.accounts.keys() | {account_id for _, account_id in folded.links}
                before, offers = _seen(state, touched), dict(state.offers)
                state.include(folded)
                truth._compare(log_index, batch.agency, update, before, _seen(state, touched))
                truth._offers(log_index, offers, folded)
            truth.standing.append(_seen(state, state.accounts))
        for place, due in enumerate(truth.due):
            if due.type == v1.EVENT_TYPE_UNLINKED:
                truth.hidden_after[due.account_id] = place
        return truth

    @classmethod
    def at(cls, hub: Database) -> "Truth":
        """Of a hub's whole log."""
        with hub.read() as tx:
            activated = store.documents.ever_agreed_on(tx).activated
            entries = [
                (
                    log.Batch.FromString(Envelope.FromString(row.batch).payload),
                    log.Receipt.FromString(Envelope.FromString(row.receipt).payload).appended_at,
                )
                for row in store.log.entries(tx)
            ]
        return cls.of(entries, activated)

    def _compare(
        self, log_index: int, agency: str, update: log.Update, before: dict[bytes, Totals], after: dict[bytes, Totals]
    ) -> None:
        for account_id in before.keys() - after.keys():
            kind = before[account_id].kind
            self.due.append(Due(log_index, v1.EVENT_TYPE_UNLINKED, account_id, kind))
        for account_id in after.keys() - before.keys():
            has = after[account_id]
            self.due.append(Due(log_index, v1.EVENT_TYPE_LINKED, account_id, has.kind, totals=has))
        changed = [key for key in before.keys() & after.keys() if _money(before[key]) != _money(after[key])]
        what = update.WhichOneof("change") or ""
        corrected = update.award.account_id if what == "award" else b""
        for account_id in sorted(changed, key=lambda key: key == corrected):  # first what was there before
            had, has = before[account_id], after[account_id]
            self.due += _effects(log_index, agency, update, account_id, had, has)

    def _offers(self, log_index: int, before: Mapping[Any, Any], folded: State) -> None:
        for (owner, code), offer in folded.offers.items():
            had = before.get((owner, code))
            if had is not None and had._replace(taken=0) == offer._replace(taken=0):
                continue
            gone = offer.withdrawn
            kind = v1.EVENT_TYPE_BENEFIT_WITHDRAWN if gone else v1.EVENT_TYPE_BENEFIT_CHANGED
            self.due.append(Due(log_index, kind, agency=owner, code=code))
        for version in folded.policies:
            self.due.append(Due(log_index, v1.EVENT_TYPE_POLICY_ACTIVATED, credits=version))


def _effects(
    log_index: int, agency: str, update: log.Update, account_id: bytes, had: Totals, has: Totals
) -> Iterable[Due]:
    what = update.WhichOneof("change") or ""
    changed = (log_index, v1.EVENT_TYPE_CREDIT_CHANGED, account_id, has.kind)
    if what in _SPENDING:
        whose = update.expire.agency if what == "expire" else agency
        credits_ = abs(has.spent - had.spent) or abs(has.held - had.held)
        yield Due(*changed, whose, _SPENDING[what], 0, credits_, has)
        return
    for place in range(4):
        by = has.earned[place] - had.earned[place]
        if by:
            cause = documents.CAUSE_AWARD if by > 0 else documents.CAUSE_REVERSE
            yield Due(*changed, agency, cause, place + 1, abs(by), has)


def _money(totals: Totals) -> tuple[Any, ...]:
    return totals.earned, totals.available, totals.held, totals.spent


def _seen(state: State, account_ids: Iterable[bytes]) -> dict[bytes, Totals]:
    """Of these, whom integrators may see: linked somewhere, and allowed wherever it is linked."""
    found: dict[bytes, set[bool]] = {}
    for (_, account_id), purposes in state.links.items():
        if purposes - {USED}:
            found.setdefault(account_id, set()).add(log.PURPOSE_INTEGRATORS in purposes)
    return {key: state.accounts[key] for key in account_ids if key in state.accounts and found.get(key) == {True}}


@dataclass
class Record:
    """What one reader did and saw, in order: ``events`` of a message or a snapshot, or a cursor, or a break."""

    what: str  # "begin", "page", "bookmark", "snapshot"
    cursor: bytes = b""
    events: Sequence[v1.Event] = ()


@dataclass
class Judge:
    """Judges the record of one subscription."""

    truth: Truth
    handle_of: Callable[[bytes], bytes]
    opened: Callable[[bytes], Place | None]  # what a bookmark's or a snapshot's cursor stands for
    allows: Callable[[Due], bool]
    is_whole: bool  # every change of totals is allowed, so that what it knows is what there is
    problems: list[str] = field(default_factory=list)

    def judge(self, records: Sequence[Record]) -> list[str]:
        """What is wrong with it; the last record has to be a bookmark at the end of the log."""
        known: dict[bytes, int] = {b"": 0}
        place, last_entry, state = 0, -1, {}
        for record in records:
            match record.what:
                case "begin":
                    if record.cursor not in known:
                        self.problems.append("not resumable: it goes on from a cursor that it was not given")
                    place, last_entry = known.get(record.cursor, place), -1
                case "snapshot":
                    place = self._first_from(self._place_of(record.cursor))
                    known[record.cursor] = place
                    state = self._told(record.events)
                    self._compare(state, self._place_of(record.cursor))
                case "bookmark":
                    place = self._bookmark(place, self._place_of(record.cursor))
                    known[record.cursor] = place
                case "page":
                    begun = -1
                    for event in record.events:
                        found = self._find(place, event)
                        if found is None:
                            return self.problems
                        entry = self.truth.due[found].log_index
                        begun = entry if begun < 0 else begun
                        place = found + 1
                        known[event.cursor] = place
                        self._apply(state, event)
                    if begun == last_entry:
                        self.problems.append(f"not atomic: entry {begun} came in two messages")
                    last_entry = self.truth.due[place - 1].log_index
        self._bookmark(place, len(self.truth.standing) - 1)
        self._compare(state, len(self.truth.standing) - 1)
        return self.problems

    def _place_of(self, cursor: bytes) -> int:
        """The entry that a cursor goes on with."""
        place = self.opened(cursor)
        assert place is not None, "it is of another scope"
        return place.log_index

    def _find(self, place: int, event: v1.Event) -> int | None:
        """Where the event stands in what was due from ``place`` on, nothing left out before it."""
        for found in range(place, len(self.truth.due)):
            due = self.truth.due[found]
            if self._is(due, event):
                if not self.allows(due):
                    self.problems.append(f"not filtered: {due} is outside the scope")
                return found
            if not self._may_miss(found):
                break
        is_known = any(self._is(due, event) for due in self.truth.due)
        why = "not ordered, not unique or not reliable" if is_known else "never happened"
        self.problems.append(f"{why}: {event} comes at {place}, due is {self.truth.due[place : place + 1]}")
        return None

    def _is(self, due: Due, event: v1.Event) -> bool:
        if (event.type, event.handle) != (due.type, self.handle_of(due.account_id) if due.account_id else b""):
            return False
        if due.type in {v1.EVENT_TYPE_BENEFIT_CHANGED, v1.EVENT_TYPE_BENEFIT_WITHDRAWN}:
            return (event.agency, event.benefit.code) == (due.agency, due.code)
        if due.type == v1.EVENT_TYPE_POLICY_ACTIVATED:
            return event.policy_version == due.credits
        said = (event.kind, event.agency, event.cause, event.dimension, event.credits)
        if said != (due.kind, due.agency, due.cause, due.dimension, due.credits):
            return False
        totals = due.totals
        return totals is None or (event.earned, event.available, event.held, event.spent) == (
            *(sum(totals.earned), totals.available),
            *(totals.held, totals.spent),
        )

    def _may_miss(self, place: int) -> bool:
        due = self.truth.due[place]
        is_hidden = due.type != v1.EVENT_TYPE_UNLINKED and place < self.truth.hidden_after.get(due.account_id, -1)
        return is_hidden or not self.allows(due)

    def _bookmark(self, place: int, log_index: int) -> int:
        """Everything before that entry was told, nothing behind it."""
        first = self._first_from(log_index)
        missed = [self.truth.due[each] for each in range(place, first) if not self._may_miss(each)]
        if missed:
            self.problems.append(f"not reliable: a bookmark passes over {missed[0]}")
        if place > first:
            self.problems.append("not bookmarked: events came from behind the bookmark")
        return max(place, first)

    def _first_from(self, log_index: int) -> int:
        return next((n for n, due in enumerate(self.truth.due) if due.log_index >= log_index), len(self.truth.due))

    def _told(self, events: Iterable[v1.Event]) -> dict[bytes, int]:
        state: dict[bytes, int] = {}
        for event in events:
            self._apply(state, event)
        return state

    def _apply(self, state: dict[bytes, int], event: v1.Event) -> None:
        if event.type == v1.EVENT_TYPE_UNLINKED:
            state.pop(event.handle, None)
        elif event.handle:
            state[event.handle] = event.earned

    def _compare(self, state: dict[bytes, int], size: int) -> None:
        """Whoever can be seen at that size of the log is known, with what it had earned."""
        standing = self.truth.standing[size]
        expected = {self.handle_of(key): sum(has.earned) for key, has in standing.items() if self._keeps(key, has)}
        if state.keys() != expected.keys():
            self.problems.append(f"after {size} entries it knows {len(state)} subjects instead of {len(expected)}")
        elif state != expected and self.is_whole:
            self.problems.append(f"after {size} entries it has other totals")

    def _keeps(self, account_id: bytes, has: Totals) -> bool:
        return self.allows(Due(0, v1.EVENT_TYPE_LINKED, account_id, has.kind))
