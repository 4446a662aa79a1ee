"""Sync: the outbox becomes signed batches, batches become receipts, receipts settle deeds.

Sealing (sequence, bytes, signature) is one write transaction, done only when a batch can be sent, so ``serve`` and
``sync`` at once are safe without a lock of their own.  A fork or a refusal halts sending until the operator has looked:
nothing is overwritten.
"""

from collections.abc import Sequence
from typing import TypeAlias

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.keys import signing
from samprasan.node import limits, store
from samprasan.node.identity import Node
from samprasan.node.rows import BatchRow, ConsentsRow, SendableAward, SendableUpdate, SubjectRow, present
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

Sendable: TypeAlias = SubjectRow | SendableAward | SendableUpdate
_SHARE = 1 << log.PURPOSE_SHARE
_PURPOSES = (log.PURPOSE_SHARE, log.PURPOSE_REDEEM, log.PURPOSE_INTEGRATORS)


def seal_next_batch(node: Node, after_seq: int) -> tuple[int, Envelope] | None:
    """Seal what is to go behind ``after_seq``, unless a batch is sealed; that batch, or None if there is nothing."""
    with node.db.read() as tx:
        if store.facts.get(tx, store.facts.HALTED):
            return None
        stored = store.batches.find(tx, after_seq + 1)
        if stored is None and not _anything(tx, node.world.now()):
            return None
    if stored is None:
        with node.db.begin() as tx:
            store.awards.lock(tx)
            if _is_another_day(tx, node.world.now()):
                store.awards.take_up(tx)
                store.facts.drop(tx, store.facts.AWARDS_WAIT_UNTIL)
            store.orphans.adopt_orphans(tx)
            stored = store.batches.find(tx, after_seq + 1) or _seal(tx, node, after_seq)
    return (after_seq + 1, Envelope.FromString(stored.envelope)) if stored else None


def _anything(tx: Tx, now: int) -> bool:
    return bool(
        store.redemptions.sendable(tx, 1)
        or store.awards.sendable(tx, 1)
        or store.links.due(tx, 1, now)
        or _is_another_day(tx, now)
    )


def _is_another_day(tx: Tx, now: int) -> bool:
    """Whether what a cap of an agency's day put off may go."""
    until = store.facts.get(tx, store.facts.AWARDS_WAIT_UNTIL)
    return until is not None and int(until) <= now


def _seal(tx: Tx, node: Node, after_seq: int) -> BatchRow | None:
    head = store.batches.head(tx)
    in_flight = store.batches.in_flight(tx)
    if head.seq != after_seq or in_flight >= limits.BATCHES_IN_FLIGHT_MAX:
        return None
    now = node.world.now()
    closing = store.rotation.is_closing(tx, now)  # nobody is linked anew under a key that is about to go
    # Somebody waits at a counter: at once, in a short batch, with few of an import's ahead of it.
    rows: list[Sendable] = [*store.redemptions.sendable(tx, limits.UPDATES_MAX // 2, linked_only=closing)]
    if in_flight < limits.BULK_IN_FLIGHT_MAX:
        most = limits.BESIDE_REDEMPTIONS_MAX if rows else limits.UPDATES_MAX
        due = store.links.due(tx, most // 2, now, linked_only=closing)
        no_more = [row.subject_id for row in due if not row.share and row.linked & _SHARE]
        keeping = store.links.with_something_to_take_back(tx, no_more)
        # Until that is taken back, the hub is told of them as if they still agreed to share.
        rows += [row._replace(share=True) if row.subject_id in keeping else row for row in due]
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
    world: World, rows: Sequence[Sendable], now: int
) -> tuple[list[log.Update], list[tuple[int, int]], list[int], list[int]]:
    """The updates for ``rows``, and the links, awards and hold updates in them."""
    updates: list[log.Update] = []
    links: dict[int, int] = {}
    sealed: list[int] = []
    told: list[int] = []
    for row in rows:
        subject_id, consents = _subject(row)
        needs_link = subject_id not in links and _says_otherwise(row, now)
        if len(updates) + needs_link + (not isinstance(row, SubjectRow)) > limits.UPDATES_MAX:
            break
        if needs_link:
            assert consents is not None
            bits = _bits(row, consents, now)
            links[present(subject_id)] = bits or store.links.UNLINKING
            updates.append(_link(consents, bits, world.new_op_id(now)))
        match row:
            case SendableAward():
                sealed.append(row.award.award_id)
                updates.append(_award(row))
            case SendableUpdate():
                told.append(row.update.update_id)
                updates.append(_hold_update(row))
    return updates, list(links.items()), sealed, told


def _subject(row: Sendable) -> tuple[int | None, ConsentsRow | SubjectRow | None]:
    """Whom the row is about, and what they agree to; None of another agency's hold."""
    match row:
        case SubjectRow():
            return row.subject_id, row
        case SendableAward():
            return row.award.subject_id, row.consents
        case SendableUpdate():
            return row.reserve.subject_id if row.reserve else None, row.consents


def _says_otherwise(row: Sendable, now: int) -> bool:
    """Whether the hub has to hear of the subject's consents before the row's own update."""
    match row:
        case SubjectRow():
            return True
        case SendableAward(award, consents):  # what takes back goes over the Link under which it was given
            return not award.reverse_reason and consents.linked != store.links.purposes_of(consents, now)
        case SendableUpdate(update, _, consents):
            return update.change == "reserve" and not present(consents).linked & 1 << log.PURPOSE_REDEEM


def _bits(row: Sendable, consents: ConsentsRow | SubjectRow, now: int) -> int:
    """What the hub is to hear that the subject agrees to.

    A Link made for a hold does not end sharing: something may still have to be taken back over the one that is open.
    """
    bits = store.links.purposes_of(consents, now)
    return bits | consents.linked & _SHARE if isinstance(row, SendableUpdate) else bits


def _hold_update(row: SendableUpdate) -> log.Update:
    update, said, consents = row
    match update.change:
        case "reserve":
            said = present(said)
            reserve = log.Reserve(
                account_id=present(present(consents).account_id),
                credits=update.credits,
                benefit_agency=said.owner,
                benefit=said.benefit,
                benefit_digest=said.benefit_digest,
                ttl_seconds=said.ttl_seconds,
            )
            return log.Update(op_id=update.op_id, reserve=reserve)
        case "post":
            return log.Update(op_id=update.op_id, post=log.Post(hold_id=update.hold_id, credits=update.credits))
        case "void":
            return log.Update(
                op_id=update.op_id, void=log.Void(hold_id=update.hold_id, reason=log.VoidReason.ValueType(update.why))
            )
        case _:
            refund = log.Refund(
                agency=update.agency,
                hold_id=update.hold_id,
                credits=update.credits,
                reason=log.RefundReason.ValueType(update.why),
            )
            return log.Update(op_id=update.op_id, refund=refund)


def _link(row: ConsentsRow | SubjectRow, bits: int, op_id: bytes) -> log.Update:
    """A Link for these purposes, or an Unlink; the first on an account spends the admission, or gives it up."""
    account_id = present(row.account_id)
    admission = b"" if row.linked else row.admission or b""
    if not bits:
        return log.Update(op_id=op_id, unlink=log.Unlink(account_id=account_id, admission=admission))
    purposes = [purpose for purpose in _PURPOSES if bits & 1 << purpose]
    return log.Update(op_id=op_id, link=log.Link(account_id=account_id, purposes=purposes, admission=admission))


def _award(row: SendableAward) -> log.Update:
    said = row.award
    if said.reverse_reason:
        reverse = log.Reverse(award_op_id=present(said.replaces), reason=said.reverse_reason)
        return log.Update(op_id=said.op_id, reverse=reverse)
    award = log.Award(
        account_id=present(row.consents.account_id),
        credits=said.credits,
        dimension=said.dimension,
        month=said.month,
        policy_version=said.policy_version,
        replaces=said.replaces or b"",
        restores=said.restores or b"",
    )
    return log.Update(op_id=said.op_id, award=award)
