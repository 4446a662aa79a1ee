"""Reading: what integrators are sent, in the order of the log, from any place of it that is kept.

A reader goes on from a cursor, from what its subscription acknowledged, or from the oldest kept; never from now.  What
it is sent it can prove: each bookmark has the hub's signature over a digest of every page that the stream has shown.

Of subjects that no longer consent nothing is told late: between the entry and a reader who comes for it afterwards
stands what the subject says today.  That they are gone is always told.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from samprasan.edge.database import Database, Tx, take_turn
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.integrators import approval
from samprasan.hub.integrators import view as integrators_view
from samprasan.hub.integrators.approval import Approved
from samprasan.hub.integrators.view import Seen, View
from samprasan.hub.log import checkpoints
from samprasan.hub.store.changes import Kept
from samprasan.hub.store.integrators import Subscription
from samprasan.keys import handles
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Malformed, Refused
from samprasan.keys.handles import Cursors, Names, Place, scope_tag
from samprasan.keys.signing import encode
from samprasan.ledger.agreement import Agreed
from samprasan.v1 import changes_pb2 as v1

_SUBSCRIPTION = re.compile(r"[a-z0-9-]{1,32}")
_Reason: TypeAlias = v1.TooOldReason.ValueType


class News(NamedTuple):
    """Changes, and of which entries these are all: from ``first`` on, before ``size``.

    ``checkpoint`` is the newest that every agency has cosigned, where it was asked for.
    """

    entries: list[Kept]
    first: int
    size: int
    checkpoint: bytes = b""


@dataclass
class Reader:
    """One stream: for whom, how far it has come, and what it has shown."""

    agreed: Agreed
    approved: Approved
    subscription: str
    wanted: v1.Filter
    view: View
    cursors: Cursors
    place: Place
    after: bytes
    events: int = 0
    shown: Any = field(default_factory=hashlib.sha256)
    is_lost: bool = False

    def pages(self, news: News) -> Iterator[bytes]:
        """Pages of whole entries from the reader's place on; after the last one it has come as far as the news go.

        After each page its place is behind that page.  Where what comes next is kept no more, it is told so instead,
        and that it ``is_lost``.  All are encoded FollowResponses.
        """
        if self.place.log_index < news.first:
            self.is_lost = True
            why = _too_old(self.cursors, self.agreed, news.first, v1.TOO_OLD_REASON_NOT_KEPT)
            yield v1.FollowResponse(too_old=why).SerializeToString()
            return
        parts: list[bytes] = []
        size = events = 0
        behind = self.place
        for entry in news.entries:
            seen = self.view.seen(entry, self.agreed.cuts_at(entry.log_index))
            first = self._dealt_with(entry.log_index, seen)
            if first == len(seen.numbers):
                continue
            if parts and size + seen.size > limits.PAGE_BYTES_MAX:
                yield self._page(parts, events, behind)
                parts, size, events = [], 0, 0
            parts.append(self._encoded(entry.log_index, seen, first))
            size, events = size + seen.size, events + len(seen.numbers) - first
            behind = self._at(entry.log_index, seen.numbers[-1])
        if parts:
            yield self._page(parts, events, behind)
        self.place = max(self.place, self._at(news.size, 0))

    def bookmark(self, world: World, checkpoint: bytes) -> bytes:
        """How far the reader has come, signed; an encoded FollowResponse."""
        (cursor,) = self.cursors.sealed([self.place])
        shown = v1.Shown(
            federation_id=self.agreed.federation_id,
            integrator=self.approved.document.name,
            subscription=self.subscription,
            filter=self.wanted,
            after=self.after,
            cursor=cursor,
            events=self.events,
            digest=self.shown.digest(),
            at=world.now(),
        )
        bookmark = v1.Bookmark(cursor=cursor, shown=world.sign(shown), checkpoint=checkpoint)
        return v1.FollowResponse(bookmark=bookmark).SerializeToString()

    def _at(self, log_index: int, skipped: int) -> Place:
        return Place(log_index, skipped, self.agreed.cut_version)

    def _dealt_with(self, log_index: int, seen: Seen) -> int:
        """How many of the events were shown before."""
        if log_index < self.place.log_index:
            return len(seen.numbers)
        return bisect_right(seen.numbers, self.place.skipped) if log_index == self.place.log_index else 0

    def _encoded(self, log_index: int, seen: Seen, first: int) -> bytes:
        numbers, events = seen.numbers[first:], seen.events[first:]
        return integrators_view.with_cursors(events, self.cursors.behind(log_index, self.agreed.cut_version, numbers))

    def _page(self, parts: Sequence[bytes], events: int, behind: Place) -> bytes:
        page = b"".join(parts)
        self.shown.update(page)
        self.events += events
        self.place = behind
        return integrators_view.page_word(page)


def begin_reading(db: Database, secret: bytes, approved: Approved, asked: v1.FollowRequest) -> Reader | v1.TooOld:
    """A reader at the place that is asked for; or why it cannot go on from there.

    Raises Malformed ``subscription_name``, ``cursor``, ``cursor_future`` or ``filter_form``, Refused
    ``filter_unknown``, ``scope_exceeded`` or ``subscriptions_over_limit``.
    """
    name = approved.document.name
    with db.read() as tx:
        agreed, size = store.documents.agreed_on(tx), store.log.head_now(tx).size
        check_asked(approved, agreed, asked.subscription, asked.filter)
        kept_from = store.changes.kept_from(tx)
        known = store.integrators.subscription(tx, name, asked.subscription) if asked.subscription else None
        if asked.subscription and known is None:
            _check_room(tx, name)
    found: Place | _Reason = Place(kept_from, 0, agreed.cut_version)
    if asked.after:
        found = _place_of(secret, agreed, approved, asked.subscription, asked.after)
    elif known is not None:
        found = _acknowledged(known, approved)
    if isinstance(found, Place):
        found = _still_there(found, agreed, kept_from, size)
    cursors = cursors_of(secret, agreed, approved, asked.subscription)
    if not isinstance(found, Place):
        return _too_old(cursors, agreed, kept_from, found)
    place = found._replace(cuts=agreed.cut_version)
    view = integrators_view.view_of(approved.document.scope, asked.filter, names_of(secret, agreed, approved))
    after = asked.after or cursors.sealed([place])[0]
    return Reader(
        agreed=agreed,
        approved=approved,
        subscription=asked.subscription,
        wanted=asked.filter,
        view=view,
        cursors=cursors,
        place=place,
        after=after,
    )


def read_changes(db: Database, log_index: int) -> News:
    """Some of what entries from there on changed."""
    with db.read() as tx:
        return _news(tx, log_index)


def newest(db: Database, log_index: int) -> News:
    """The same with the newest checkpoint, for whoever follows at the end of the log."""
    with db.read() as tx:
        return _news(tx, log_index)._replace(checkpoint=checkpoints.final_note(tx))


def log_size(db: Database) -> int:
    """How many entries the log has."""
    with db.read() as tx:
        return store.log.head_now(tx).size


def acknowledge(hub: Hub, secret: bytes, name: str, asked: v1.AcknowledgeRequest) -> None:
    """Keep how far a subscription has come; not of a cursor that nobody can go on from any more.

    Raises Malformed ``subscription_name``, ``cursor`` or ``cursor_future``, Refused ``subscriptions_over_limit`` and as
    :func:`integrators.approved`.
    """
    if not _SUBSCRIPTION.fullmatch(asked.subscription):
        raise Malformed("subscription_name", name=asked.subscription[:40])
    now = hub.world.now()
    with hub.db.begin() as tx:
        take_turn(tx, approval.TURN)
        approved, agreed = approval.find_approved(tx, name, now), store.documents.agreed_on(tx)
        place = _place_of(secret, agreed, approved, asked.subscription, asked.cursor)
        if not isinstance(place, Place):
            return  # its reader is told so when it follows, and begins anew
        if place.log_index > store.log.head_now(tx).size:
            raise Malformed("cursor_future")
        known = store.integrators.subscription(tx, name, asked.subscription)
        if known is None:
            _check_room(tx, name)
        tag = scope_tag(encode(approved.document.scope))
        found = Subscription(
            integrator=name,
            subscription=asked.subscription,
            place=place,
            handle_epoch=approved.handle_epoch,
            scope=tag,
            heard_at=now,
        )
        if known is None or known[:-1] != found[:-1] or now - known.heard_at >= limits.HEARD_AGAIN_MS:
            store.integrators.acknowledge(tx, found)


def retain(hub: Hub, kept_days: int) -> None:
    """Keep no more what is older than ``kept_days``, and no subscription that nobody has acknowledged for long.

    Raises Unavailable while the hub's clock is off.
    """
    now = hub.world.moment()
    with hub.db.begin() as tx:
        store.log.lock_head(tx)
        store.changes.drop_before(tx, now - kept_days * DAY_MS)
        store.integrators.drop_silent(tx, now - limits.SUBSCRIPTION_KEPT_MS)


def check_asked(approved: Approved, agreed: Agreed, subscription: str, wanted: v1.Filter) -> None:
    """Raises as :func:`begin_reading` for what cannot be asked for, now or ever."""
    if subscription and not _SUBSCRIPTION.fullmatch(subscription):
        raise Malformed("subscription_name", name=subscription[:40])
    integrators_view.check(
        approved.document.scope, wanted, [member.agency for member in agreed.required_roster.members]
    )


def _check_room(tx: Tx, name: str) -> None:
    if len(store.integrators.subscriptions_of(tx, name)) >= limits.SUBSCRIPTIONS_MAX:
        raise Refused("subscriptions_over_limit", name=name, most=limits.SUBSCRIPTIONS_MAX)


def names_of(secret: bytes, agreed: Agreed, approved: Approved) -> Names:
    """What the integrator knows things by."""
    return handles.names_of(secret, agreed.federation_id, approved.document.name, approved.handle_epoch)


def cursors_of(secret: bytes, agreed: Agreed, approved: Approved, subscription: str) -> Cursors:
    """Its cursors of one subscription, under the scope that it has."""
    return names_of(secret, agreed, approved).cursors(subscription, scope_tag(encode(approved.document.scope)))


def _place_of(secret: bytes, agreed: Agreed, approved: Approved, subscription: str, cursor: bytes) -> Place | _Reason:
    """What a cursor stands for, or why it does not any more; Malformed ``cursor`` if it is none."""
    epoch = approved.handle_epoch
    near = range(max(1, epoch - limits.HANDLE_EPOCHS_KNOWN), epoch + limits.HANDLE_EPOCHS_KNOWN + 1)
    for each in sorted(near, key=lambda one: abs(one - epoch)):  # later ones were lost with what a backup had not
        try:
            place = cursors_of(secret, agreed, approved._replace(handle_epoch=each), subscription).opened(cursor)
        except Malformed:
            continue
        if each != epoch:
            return v1.TOO_OLD_REASON_HANDLES_CHANGED
        return v1.TOO_OLD_REASON_SCOPE_CHANGED if place is None else place
    raise Malformed("cursor")


def _acknowledged(known: Subscription, approved: Approved) -> Place | _Reason:
    """The place that a subscription acknowledged, or why nobody can go on from there."""
    if known.handle_epoch != approved.handle_epoch:
        return v1.TOO_OLD_REASON_HANDLES_CHANGED
    is_same = known.scope == scope_tag(encode(approved.document.scope))
    return known.place if is_same else v1.TOO_OLD_REASON_SCOPE_CHANGED


def _still_there(place: Place, agreed: Agreed, kept_from: int, size: int) -> Place | _Reason:
    """The place, if one can go on from there; Malformed ``cursor_future``."""
    if place.cuts < agreed.cut_version and place[:2] > (min(agreed.cut_sizes[place.cuts :]), 0):
        return v1.TOO_OLD_REASON_LOG_CUT
    if place.log_index > size or place.cuts > agreed.cut_version:
        raise Malformed("cursor_future")
    return v1.TOO_OLD_REASON_NOT_KEPT if place.log_index < kept_from else place


def _too_old(cursors: Cursors, agreed: Agreed, kept_from: int, reason: _Reason) -> v1.TooOld:
    (oldest,) = cursors.sealed([Place(kept_from, 0, agreed.cut_version)])
    return v1.TooOld(oldest=oldest, reason=reason)


def _news(tx: Tx, log_index: int) -> News:
    size = store.log.head_now(tx).size
    entries = store.changes.after(tx, log_index, limits.ENTRIES_READ_AT_ONCE)
    through = size if len(entries) < limits.ENTRIES_READ_AT_ONCE else entries[-1].log_index + 1
    return News(_still_shown(tx, entries), store.changes.kept_from(tx), through)


def _still_shown(tx: Tx, entries: Sequence[Kept]) -> list[Kept]:
    """Without what is told of subjects that integrators may not see any more."""
    told = {change.account_id for entry in entries for change in entry.content.changes} - {b""}
    totals = store.ledger.totals_of(tx, told)
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
