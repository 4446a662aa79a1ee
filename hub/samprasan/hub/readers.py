"""Reading: what integrators are sent, in the order of the log, from any place of it that is kept.

A reader goes on from a cursor, from what its subscription acknowledged, or from the oldest kept; never from now.  What
it is sent it can prove: each bookmark has the hub's signature over a digest of every page that the stream has shown.

Of subjects that no longer consent nothing is told late: between the entry and a reader who comes for it afterwards
stands what the subject says today.  That they are gone is always told.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from samprasan.edge.database import Store, Tx
from samprasan.edge.world import World
from samprasan.hub import integrators, limits, views, witnessing
from samprasan.hub.integrators import Approved
from samprasan.hub.store import changes as changes_store
from samprasan.hub.store import documents as documents_store
from samprasan.hub.store import integrators as integrators_store
from samprasan.hub.store import ledger as ledger_store
from samprasan.hub.store import log as log_store
from samprasan.hub.store.changes import Kept
from samprasan.hub.views import View
from samprasan.keys.errors import Malformed, Refused
from samprasan.keys.handles import Cursors, Place, names_of
from samprasan.keys.signing import encode
from samprasan.ledger import calendar, changes
from samprasan.ledger.agreed import Agreed
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import documents_pb2 as documents

_SUBSCRIPTION = re.compile(r"[a-z0-9-]{1,32}")


class News(NamedTuple):
    """What is new at the end of the log: changes, how far they go, the newest checkpoint that all have cosigned."""

    entries: list[Kept]
    size: int
    checkpoint: bytes


@dataclass
class Reader:
    """One stream: for whom, how far it has come, and what it has shown."""

    federation_id: bytes
    approved: Approved
    subscription: str
    wanted: v1.Filter
    view: View
    cursors: Cursors
    cuts: int
    place: Place
    after: bytes
    events: int = 0
    shown: Any = field(default_factory=hashlib.sha256)

    def pages(self, entries: Iterable[Kept], through: int) -> Iterator[v1.FollowResponse]:
        """Pages of whole entries from the reader's place on; afterwards it has come as far as ``through``."""
        events: list[bytes] = []
        places: list[Place] = []
        size = 0
        for entry in entries:
            if entry.log_index < self.place.log_index:
                continue
            skipped = self.place.skipped if entry.log_index == self.place.log_index else 0
            seen = [each for each in self.view.seen(entry, self.cuts) if each[0] > skipped]
            more = sum(len(event) for _, event in seen)
            if events and size + more > limits.PAGE_BYTES_MAX:
                yield self._page(events, places)
                events, places, size = [], [], 0
            events += [event for _, event in seen]
            places += [Place(entry.log_index, number, self.cuts) for number, _ in seen]
            size += more
        if events:
            yield self._page(events, places)
        self.place = max(self.place, Place(through, 0, self.cuts))

    def bookmark(self, world: World, checkpoint: bytes) -> v1.FollowResponse:
        """How far the reader has come, signed."""
        (cursor,) = self.cursors.sealed([self.place])
        shown = v1.Shown(
            federation_id=self.federation_id,
            integrator=self.approved.document.name,
            subscription=self.subscription,
            filter=self.wanted,
            after=self.after,
            cursor=cursor,
            events=self.events,
            digest=self.shown.digest(),
            at=world.now(),
        )
        return v1.FollowResponse(bookmark=v1.Bookmark(cursor=cursor, shown=world.sign(shown), checkpoint=checkpoint))

    def _page(self, events: Sequence[bytes], places: Sequence[Place]) -> v1.FollowResponse:
        page = views.with_cursors(events, self.cursors.sealed(places))
        self.shown.update(page)
        self.events += len(events)
        last = places[-1]
        self.place = Place(last.log_index, last.skipped, self.cuts)
        return v1.FollowResponse(page=v1.Page.FromString(page))


def begin(store: Store, secret: bytes, approved: Approved, asked: v1.FollowRequest) -> Reader | v1.TooOld:
    """A reader at the place that is asked for; or why it cannot go on from there.

    Raises Malformed ``subscription_name``, ``cursor`` or ``cursor_future``, Refused ``filter_unknown``,
    ``scope_exceeded`` or ``subscriptions_over_limit``.
    """
    name = approved.document.name
    with store.read() as tx:
        agreed, size = documents_store.agreed_on(tx), log_store.head_now(tx).size
        _check_asked(approved, agreed, asked.subscription, asked.filter)
        names = names_of(secret, agreed.federation_id, name, approved.handle_epoch)
        cursors = names.cursors(asked.subscription)
        kept_from = changes_store.kept_from(tx)
        place = Place(kept_from, 0, agreed.cut_version)
        why = None
        known = integrators_store.subscription(tx, name, asked.subscription) if asked.subscription else None
        if asked.after:
            earlier = _earlier(secret, agreed, approved, asked.subscription)
            found = _opened(cursors, earlier, asked.after)
            why = _why_not(agreed, found, kept_from, size)
            place = found or place
        elif known is not None:
            why = _why_not(agreed, known.place, kept_from, size)
            place = known.place
        if asked.subscription and known is None:
            _check_room(tx, name)
    if why is not None:
        (oldest,) = cursors.sealed([Place(kept_from, 0, agreed.cut_version)])
        return v1.TooOld(oldest=oldest, reason=why)
    cuts = agreed.cut_version
    place = place._replace(cuts=cuts)
    (after,) = cursors.sealed([place])
    view = views.view_of(encode(approved.document.scope), encode(asked.filter), names)
    return Reader(
        agreed.federation_id,
        approved,
        asked.subscription,
        asked.filter,
        view,
        cursors,
        cuts,
        place,
        asked.after or after,
    )


def kept(store: Store, log_index: int) -> News:
    """Some of what entries from there on changed; ``size`` is how far it goes."""
    with store.read() as tx:
        size = log_store.head_now(tx).size
        entries = changes_store.after(tx, log_index, limits.ENTRIES_READ_AT_ONCE)
        through = size if len(entries) < limits.ENTRIES_READ_AT_ONCE else entries[-1].log_index + 1
        return News(_still_shown(tx, entries), through, b"")


def end(store: Store) -> int:
    """How many entries the log has."""
    with store.read() as tx:
        return log_store.head_now(tx).size


def newest(store: Store, log_index: int) -> News:
    """The same with the newest checkpoint, for whoever follows at the end of the log."""
    news = kept(store, log_index)
    with store.read() as tx:
        return news._replace(checkpoint=witnessing.final_note(tx))


def take_snapshot(store: Store, world: World, name: str, asked: v1.SnapshotRequest) -> Approved:
    """Count a snapshot that is about to be read; what its reader may see.

    Raises Refused ``snapshots_over_quota`` and as :func:`begin`.
    """
    now = world.now()
    today = calendar.packed(calendar.day_of(now))
    with store.begin() as tx:
        approved = integrators.approved(tx, name, now)
        _check_asked(approved, documents_store.agreed_on(tx), asked.subscription, asked.filter)
        known = integrators_store.find(tx, name)
        taken = known.snapshots if known.day == today else 0
        most = approved.document.quotas.snapshots_per_day
        if taken >= most:
            raise Refused("snapshots_over_quota", name=name, most=most)
        integrators_store.put(tx, name, known._replace(day=today, snapshots=taken + 1))
    return approved


def snapshot(store: Store, secret: bytes, approved: Approved, asked: v1.SnapshotRequest) -> tuple[list[bytes], bytes]:
    """Everything that the integrator may see as of now, encoded, in no order of ours; and the cursor behind it."""
    with store.read() as tx:
        head = log_store.head_now(tx)
        agreed = documents_store.agreed_on(tx)
        names = names_of(secret, agreed.federation_id, approved.document.name, approved.handle_epoch)
        view = views.view_of(encode(approved.document.scope), encode(asked.filter), names)
        found = [event for each in _standing(tx, agreed) if (event := view.standing(each, head.appended_at))]
    found.sort(key=lambda event: event.handle)  # the order of the table would be the same for everybody
    (cursor,) = names.cursors(asked.subscription).sealed([Place(head.size, 0, agreed.cut_version)])
    return [event.SerializeToString(deterministic=True) for event in found], cursor


def acknowledge(store: Store, world: World, secret: bytes, approved: Approved, asked: v1.AcknowledgeRequest) -> None:
    """Keep how far a subscription has come.

    Raises Malformed ``subscription_name``, ``cursor`` or ``cursor_future``, Refused ``subscriptions_over_limit``.
    """
    name = approved.document.name
    if not _SUBSCRIPTION.fullmatch(asked.subscription):
        raise Malformed("subscription_name", name=asked.subscription)
    with store.begin() as tx:
        agreed = documents_store.agreed_on(tx)
        names = names_of(secret, agreed.federation_id, name, approved.handle_epoch)
        place = names.cursors(asked.subscription).opened(asked.cursor)
        if place.log_index > log_store.head_now(tx).size:
            raise Malformed("cursor_future")
        if integrators_store.subscription(tx, name, asked.subscription) is None:
            _check_room(tx, name)
        integrators_store.acknowledge(tx, name, asked.subscription, place, world.now())


def retain(store: Store, world: World, kept_days: int) -> None:
    """Keep no more what is older than ``kept_days``, and no subscription that nobody has acknowledged for long."""
    now = world.now()
    with store.begin() as tx:
        log_store.lock_head(tx)
        changes_store.drop_before(tx, now - kept_days * 86_400_000)
        integrators_store.drop_silent(tx, now - limits.SUBSCRIPTION_KEPT_MS)


def _check_asked(approved: Approved, agreed: Agreed, subscription: str, wanted: v1.Filter) -> None:
    if subscription and not _SUBSCRIPTION.fullmatch(subscription):
        raise Malformed("subscription_name", name=subscription[:40])
    views.check(approved.document.scope, wanted, [member.agency for member in agreed.required_roster.members])


def _check_room(tx: Tx, name: str) -> None:
    if len(integrators_store.subscriptions_of(tx, name)) >= limits.SUBSCRIPTIONS_MAX:
        raise Refused("subscriptions_over_limit", name=name, most=limits.SUBSCRIPTIONS_MAX)


def _earlier(secret: bytes, agreed: Agreed, approved: Approved, subscription: str) -> list[Cursors]:
    """The subscription's cursors of epochs before."""
    first = max(1, approved.handle_epoch - limits.HANDLE_EPOCHS_KNOWN)
    name = approved.document.name
    epochs = range(first, approved.handle_epoch)
    return [names_of(secret, agreed.federation_id, name, epoch).cursors(subscription) for epoch in epochs]


def _opened(cursors: Cursors, earlier: Sequence[Cursors], cursor: bytes) -> Place | None:
    """The place; None if the cursor is of an epoch before; Malformed ``cursor`` if it is none."""
    try:
        return cursors.opened(cursor)
    except Malformed:
        if any(_opens(each, cursor) for each in earlier):
            return None
        raise


def _opens(cursors: Cursors, cursor: bytes) -> bool:
    try:
        cursors.opened(cursor)
    except Malformed:
        return False
    return True


def _why_not(agreed: Agreed, place: Place | None, kept_from: int, size: int) -> v1.TooOldReason.ValueType | None:
    """Why nobody can go on from there; None if one can."""
    if place is None:
        return v1.TOO_OLD_REASON_HANDLES_CHANGED
    if place.cuts < agreed.cut_version and place[:2] > (min(agreed.cut_sizes[place.cuts :]), 0):
        return v1.TOO_OLD_REASON_LOG_CUT
    if place.log_index > size or place.cuts > agreed.cut_version:
        raise Malformed("cursor_future")
    return v1.TOO_OLD_REASON_NOT_KEPT if place.log_index < kept_from else None


def _still_shown(tx: Tx, entries: Sequence[Kept]) -> list[Kept]:
    """Without what is told of subjects that integrators may not see any more."""
    told = {change.account_id for entry in entries for change in entry.content.changes} - {b""}
    totals = ledger_store.totals_of(tx, told)
    return without(entries, {key for key in told if key not in totals or not totals[key].is_shown})


def without(entries: Iterable[Kept], hidden: Set[bytes]) -> list[Kept]:
    """What may be told while these accounts are hidden."""
    if not hidden:
        return list(entries)
    return [
        Kept(
            log_index,
            v1.EntryChanges(at=content.at, changes=[_unless(each, hidden) for each in content.changes]),
        )
        for log_index, content in entries
    ]


def _unless(change: v1.Change, hidden: Set[bytes]) -> v1.Change:
    """The change; one that is nobody's if its subject is hidden, so that those behind it keep their numbers."""
    is_told = change.account_id not in hidden or change.type == v1.EVENT_TYPE_UNLINKED
    return change if is_told else v1.Change()


def _standing(tx: Tx, agreed: Agreed) -> Iterator[v1.Change]:
    """Everything that can be seen now."""
    for account_id, totals in ledger_store.shown(tx):
        yield changes.standing(account_id, totals)
    for owner, catalogue in sorted(agreed.catalogues.items()):
        for benefit in catalogue.benefits.values():
            message = documents.Benefit.FromString(benefit.message)
            yield v1.Change(type=v1.EVENT_TYPE_BENEFIT_CHANGED, agency=owner, benefit=message)
    for version in sorted(agreed.policies):
        yield v1.Change(type=v1.EVENT_TYPE_POLICY_ACTIVATED, policy_version=version)
