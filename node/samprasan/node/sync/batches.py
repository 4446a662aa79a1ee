"""Sync: the outbox becomes signed batches, batches become receipts, receipts settle deeds.

Sealing (sequence, bytes, signature) is one write transaction, done only when a batch can be sent, so ``serve`` and
``sync`` at once are safe without a lock of their own.  A fork or a refusal halts sending until the operator has looked:
nothing is overwritten.
"""

from collections.abc import Sequence

from samprasan.edge.database import AnyRow, Tx
from samprasan.edge.world import World
from samprasan.keys import signing
from samprasan.node import limits, store
from samprasan.node.identity import Node
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

_PURPOSES = (log.PURPOSE_SHARE, log.PURPOSE_REDEEM, log.PURPOSE_INTEGRATORS)


def next_batch(node: Node, after_seq: int) -> tuple[int, Envelope] | None:
    """The batch behind ``after_seq`` to send now: one that is sealed, else a new one; None if there is nothing."""
    with node.db.read() as tx:
        if store.facts.get(tx, store.facts.HALTED):
            return None
        stored = store.batches.find(tx, after_seq + 1)
        if stored is None and not _anything(tx, node.world.now()):
            return None
    if stored is None:
        with node.db.begin() as tx:
            store.awards.lock(tx)
            store.orphans.adopt_orphans(tx)
            stored = store.batches.find(tx, after_seq + 1) or _seal(tx, node, after_seq)
    return (after_seq + 1, Envelope.FromString(stored.envelope)) if stored else None


def _anything(tx: Tx, now: int) -> bool:
    return bool(store.redemptions.sendable(tx, 1) or store.awards.sendable(tx, 1) or store.links.due(tx, 1, now))


def _seal(tx: Tx, node: Node, after_seq: int) -> AnyRow | None:
    head = store.batches.head(tx)
    in_flight = store.batches.in_flight(tx)
    if head.seq != after_seq or in_flight >= limits.BATCHES_IN_FLIGHT_MAX:
        return None
    now = node.world.now()
    closing = store.rotation.is_closing(tx, now)  # nobody is linked anew under a key that is about to go
    # Somebody waits at a counter: at once, in a short batch, with few of an import's ahead of it.
    rows: list[AnyRow] = store.redemptions.sendable(tx, limits.UPDATES_MAX // 2, linked_only=closing)
    if in_flight < limits.BULK_IN_FLIGHT_MAX:
        most = limits.BESIDE_REDEMPTIONS_MAX if rows else limits.UPDATES_MAX
        rows += store.links.due(tx, most // 2, now, linked_only=closing)
        rows += store.awards.sendable(tx, most, linked_only=closing)
    updates, links, sealed, told = _updates(node.world, rows, now)
    if not updates:
        return None
    batch = log.Batch(
        federation_id=store.documents.agreed_on(tx).federation_id,
        agency=node.identity.agency,
        seq=head.seq + 1,
        previous=head.digest,
        created_at=now,
        updates=updates,
    )
    envelope = node.world.sign(batch)
    store.batches.add(tx, batch.seq, signing.digest(envelope), envelope.SerializeToString())
    store.awards.seal(tx, batch.seq, sealed)
    store.redemptions.seal(tx, batch.seq, told)
    store.links.seal(tx, links)
    return store.batches.find(tx, batch.seq)


def _updates(
    world: World, rows: "Sequence[AnyRow]", now: int
) -> tuple[list[log.Update], list[tuple[int, int]], list[int], list[int]]:
    """The updates for ``rows`` (hold updates, subjects, awards), and the links, awards and hold updates in them."""
    updates: list[log.Update] = []
    links: dict[int, int] = {}
    sealed: list[int] = []
    told: list[int] = []
    for row in rows:
        is_award, is_hold = hasattr(row, "award_id"), hasattr(row, "update_id")
        needs_link = row.subject_id not in links and _says_otherwise(row, now, is_award=is_award, is_hold=is_hold)
        if len(updates) + needs_link + (is_award or is_hold) > limits.UPDATES_MAX:
            break
        if needs_link:
            bits = store.links.purposes_of(row, now)
            links[row.subject_id] = bits or store.links.UNLINKING
            updates.append(_link(row.account_id, bits, world.new_op_id(now)))
        if is_award:
            sealed.append(row.award_id)
            updates.append(_update(row))
        elif is_hold:
            told.append(row.update_id)
            updates.append(_hold_update(row))
    return updates, list(links.items()), sealed, told


def _says_otherwise(row: AnyRow, now: int, *, is_award: bool, is_hold: bool) -> bool:
    """Whether the hub has to hear of the subject's consents before the row's own update."""
    if is_hold:
        return row.change == "reserve" and bool(row.linked != store.links.purposes_of(row, now))
    if is_award:
        takes_back = row.reverse_reason  # over the Link under which it was given
        return bool(row.linked != store.links.purposes_of(row, now) and not takes_back)
    return True


def _hold_update(row: AnyRow) -> log.Update:
    match row.change:
        case "reserve":
            reserve = log.Reserve(
                account_id=row.account_id,
                credits=row.credits,
                benefit_agency=row.owner,
                benefit=row.benefit,
                benefit_digest=row.benefit_digest,
                ttl_seconds=row.ttl_seconds,
            )
            return log.Update(op_id=row.op_id, reserve=reserve)
        case "post":
            return log.Update(op_id=row.op_id, post=log.Post(hold_id=row.hold_id, credits=row.credits))
        case "void":
            return log.Update(op_id=row.op_id, void=log.Void(hold_id=row.hold_id, reason=row.why))
        case _:
            refund = log.Refund(agency=row.agency, hold_id=row.hold_id, credits=row.credits, reason=row.why)
            return log.Update(op_id=row.op_id, refund=refund)


def _link(account_id: bytes, bits: int, op_id: bytes) -> log.Update:
    if not bits:
        return log.Update(op_id=op_id, unlink=log.Unlink(account_id=account_id))
    purposes = [purpose for purpose in _PURPOSES if bits & 1 << purpose]
    return log.Update(op_id=op_id, link=log.Link(account_id=account_id, purposes=purposes))


def _update(row: AnyRow) -> log.Update:
    if row.reverse_reason:
        return log.Update(op_id=row.op_id, reverse=log.Reverse(award_op_id=row.replaces, reason=row.reverse_reason))
    award = log.Award(
        account_id=row.account_id,
        credits=row.credits,
        dimension=row.dimension,
        month=row.month,
        policy_version=row.policy_version,
        replaces=row.replaces or b"",
    )
    return log.Update(op_id=row.op_id, award=award)
