"""Snapshots: everything that an integrator may see as of one place of the log, and the cursor to go on from."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from samprasan.edge.database import Database, Tx, take_turn
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.integrators import approval, reader
from samprasan.hub.integrators import view as integrators_view
from samprasan.hub.integrators.approval import Approved
from samprasan.keys.errors import Refused
from samprasan.keys.handles import Place
from samprasan.ledger import calendar, changes
from samprasan.ledger.agreement import Agreed
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import documents_pb2 as documents


def begin_snapshot(hub: Hub, name: str, asked: v1.SnapshotRequest) -> Approved:
    """Count a snapshot that is about to be read; what its reader may see.

    Raises Refused ``snapshots_over_quota`` and as :func:`reader.begin_reading`.
    """
    now = hub.world.now()
    today = calendar.packed(calendar.day_of(now))
    with hub.db.begin() as tx:
        take_turn(tx, approval.TURN)
        approved = approval.find_approved(tx, name, now)
        reader.check_asked(approved, store.documents.agreed_on(tx), asked.subscription, asked.filter)
        known = store.integrators.find(tx, name)
        taken = known.snapshots if known.day == today else 0
        most = approved.document.quotas.snapshots_per_day
        if taken >= most:
            raise Refused("snapshots_over_quota", name=name, most=most)
        store.integrators.save(tx, name, known._replace(day=today, snapshots=taken + 1))
    return approved


class Sight(NamedTuple):
    """An event of a snapshot, encoded, and the account that it is about; empty of a benefit or a policy."""

    event: bytes
    account_id: bytes


def read_snapshot(
    db: Database, secret: bytes, approved: Approved, asked: v1.SnapshotRequest
) -> tuple[list[Sight], bytes]:
    """Everything that the integrator may see as of now, in no order of ours; and the cursor behind it."""
    with db.read() as tx:
        head, agreed = store.log.head_now(tx), store.documents.agreed_on(tx)
        cursors = reader.cursors_of(secret, agreed, approved, asked.subscription)
        view = integrators_view.view_of(
            approved.document.scope, asked.filter, reader.names_of(secret, agreed, approved)
        )
        found = [
            Sight(event.SerializeToString(deterministic=True), each.account_id)
            for each in _visible_accounts(tx, agreed)
            if (event := view.snapshot_event(each, head.appended_at))
        ]
    found.sort()  # by handle: the order of the table would be the same for everybody
    (cursor,) = cursors.sealed([Place(head.size, 0, agreed.cut_version)])
    return found, cursor


def portions(sights: Sequence[Sight]) -> Iterator[list[Sight]]:
    """What is sent of it at a time."""
    some: list[Sight] = []
    size = 0
    for sight in sights:
        if some and (len(some) >= limits.SNAPSHOT_EVENTS_AT_ONCE or size + len(sight.event) > limits.PAGE_BYTES_MAX):
            yield some
            some, size = [], 0
        some.append(sight)
        size += len(sight.event)
    yield some


def response_of(db: Database, some: Sequence[Sight]) -> v1.SnapshotResponse:
    """A portion as it is sent: whoever has withdrawn since the snapshot was read is left out."""
    return v1.SnapshotResponse(events=[v1.Event.FromString(each) for each in _still_shown(db, some)])


def still_shown(db: Database, sights: Sequence[Sight]) -> Iterator[bytes]:
    """Events of a snapshot one by one, looked at again some at a time just before."""
    for some in portions(sights):
        yield from _still_shown(db, some)


def _still_shown(db: Database, some: Sequence[Sight]) -> list[bytes]:
    with db.read() as tx:
        totals = store.ledger.totals_of(tx, {each.account_id for each in some} - {b""})
    still = {account_id for account_id, each in totals.items() if each.is_shown} | {b""}
    return [each.event for each in some if each.account_id in still]


def _visible_accounts(tx: Tx, agreed: Agreed) -> Iterator[v1.Change]:
    """Everything that can be seen now."""
    for account_id, totals in store.ledger.visible_accounts(tx):
        yield changes.first_sight(account_id, totals)
    for owner, catalogue in sorted(agreed.catalogues.items()):
        for benefit in catalogue.benefits.values():
            message = documents.Benefit.FromString(benefit.message)
            yield v1.Change(type=v1.EVENT_TYPE_BENEFIT_CHANGED, agency=owner, benefit=message)
    for version in sorted(agreed.policies):
        yield v1.Change(type=v1.EVENT_TYPE_POLICY_ACTIVATED, policy_version=version)
