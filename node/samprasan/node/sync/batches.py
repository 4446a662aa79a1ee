"""Sync: the outbox becomes signed batches, batches become receipts, receipts settle deeds.

Sealing (sequence, bytes, signature) is one write transaction, done only when a batch can be sent, so ``serve`` and
``sync`` at once are safe without a lock of their own.  A fork or a refusal halts sending until the operator has looked:
nothing is overwritten.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from samprasan.edge.database import AnyRow, Store, Tx
from samprasan.edge.world import World
from samprasan.keys import chain, signing
from samprasan.keys.chain import Head, Heads
from samprasan.keys.errors import Refused, SamprasanError, Unproven
from samprasan.ledger import batch_form, calendar
from samprasan.node import limits
from samprasan.node.identity import Identity
from samprasan.node.store import awards as awards_store
from samprasan.node.store import batches as batches_store
from samprasan.node.store import documents as documents_store
from samprasan.node.store import facts as notes_store
from samprasan.node.store import hub_chain as keeping_store
from samprasan.node.store import links as links_store
from samprasan.node.store import orphans as orphans_store
from samprasan.node.store import questions as linking_store
from samprasan.node.store import redemptions as redemptions_store
from samprasan.node.store import rotation as rotation_store
from samprasan.node.store import subjects as subjects_store
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

RESTORED = "restored"  # why a node that was made of a backup is halted
_OVER_ONCE_WHOLE = frozenset({"hub_went_back", "log_went_back"})  # the agencies have given back what the hub had lost
_NO_REASON = 0
_PURPOSES = (log.PURPOSE_SHARE, log.PURPOSE_REDEEM, log.PURPOSE_INTEGRATORS)


@dataclass(frozen=True, slots=True)
class Greeting:
    """A hello, and the newest receipt this node had when it was said: more receipts may come before its answer."""

    request: hub_pb2.HelloRequest
    settled_seq: int


def greeting(store: Store, now: int) -> Greeting:
    """The hello of this node: its head of its own chain, and how much it evaluated for whom lately."""
    since = calendar.packed(calendar.day_of(now) - timedelta(days=limits.EVALUATED_DAYS_REPORTED))
    with store.read() as tx:
        head = batches_store.head(tx)
        receipts = [batches_store.newest_receipt(tx), keeping_store.newest_receipt(tx)]
        newest = max((Envelope.FromString(each) for each in receipts if each), key=_log_index, default=None)
        request = hub_pb2.HelloRequest(
            federation_id=documents_store.agreed_on(tx).federation_id,
            head=hub_pb2.Head(seq=head.seq, digest=head.digest),
            evaluated=[
                hub_pb2.Evaluated(requester=requester, day=day, elements=elements)
                for requester, day, elements in linking_store.evaluated_since(tx, since)
            ],
            newest_receipt=newest,
            cut_version=documents_store.agreed_on(tx).cut_version,
        )
        return Greeting(request, batches_store.settled_seq(tx))


def _log_index(receipt: Envelope) -> int:
    return log.Receipt.FromString(receipt.payload).log_index


def greeted(store: Store, world: World, identity: Identity, said: Greeting, answer: hub_pb2.HelloResponse) -> int:
    """Compare heads; the ``seq`` after which to send: what the hub lacks, and what it has but whose receipt was lost.

    Halts and raises Unproven ``chain_fork`` if the two histories differ, ``node_went_back`` if the hub knows batches
    that this node does not, ``hub_went_back`` if the hub lost one it gave a receipt for; ``log_forked`` as long as
    nobody has looked at the evidence.
    """
    with store.begin() as tx:
        halted = notes_store.get(tx, notes_store.HALTED)
        if halted == "log_forked":
            raise Unproven("log_forked")  # nothing is accepted from this hub before an operator has looked
        if halted == RESTORED:
            raise Refused("node_restored")
        federation_id = documents_store.agreed_on(tx).federation_id
        if answer.agency != identity.agency or (federation_id and answer.federation_id != federation_id):
            raise Unproven("federation", kind="Hello")
        notes_store.put(tx, notes_store.HUB_SEEN_AT, str(world.now()))
        notes_store.put(tx, notes_store.CLOCK_OFF_MS, str(answer.now - world.now()))
        notes_store.put(tx, notes_store.LINKING_USE, json.dumps([_use(each) for each in answer.linking_use]))
        if answer.HasField("rotation"):
            rotation_store.note_left(tx, answer.rotation.key_epoch, answer.rotation.not_moved)
        mine, theirs = batches_store.head(tx), Head(answer.head.seq, answer.head.digest)
        found = chain.compare(mine, theirs, batches_store.digest_at(tx, theirs.seq))
        problem = {Heads.FORK: "chain_fork", Heads.AHEAD: "node_went_back"}.get(found)
        if problem is None and theirs.seq < said.settled_seq:
            problem = "hub_went_back"
        if problem:
            notes_store.put(tx, notes_store.HALTED, problem)
        elif halted in _OVER_ONCE_WHOLE:
            notes_store.drop(tx, notes_store.HALTED)
        unsettled = batches_store.unsettled(tx)
    if problem:
        raise Unproven(problem, agency=identity.agency, seq=theirs.seq)
    return min([theirs.seq, *(int(row.seq) - 1 for row in unsettled)])


def _use(told: hub_pb2.LinkingUse) -> dict[str, Any]:
    names = ("agency", "evaluated", "used", "unused", "probing")
    return {name: getattr(told, name) for name in names}


def next_batch(store: Store, world: World, identity: Identity, after_seq: int) -> tuple[int, Envelope] | None:
    """The batch behind ``after_seq`` to send now: one that is sealed, else a new one; None if there is nothing."""
    with store.read() as tx:
        if notes_store.get(tx, notes_store.HALTED):
            return None
        stored = batches_store.find(tx, after_seq + 1)
        if stored is None and not _anything(tx, world.now()):
            return None
    if stored is None:
        with store.begin() as tx:
            awards_store.lock(tx)
            orphans_store.adopt(tx)
            stored = batches_store.find(tx, after_seq + 1) or _seal(tx, world, identity, after_seq)
    return (after_seq + 1, Envelope.FromString(stored.envelope)) if stored else None


def halt(store: Store, problem: SamprasanError) -> None:
    """Stop sending until the operator says ``sync --resume``."""
    with store.begin() as tx:
        notes_store.put(tx, notes_store.HALTED, problem.code)


def restored(tx: Tx) -> None:
    """The node was made of a backup: it does nothing before it has recovered."""
    notes_store.put(tx, notes_store.HALTED, RESTORED)


def check_recovered(store: Store) -> None:
    """Refused ``node_restored`` if the node was made of a backup and has not recovered."""
    if halted(store) == RESTORED:
        raise Refused("node_restored")


def check_not_forked(store: Store) -> None:
    """Unproven ``log_forked`` as long as nobody has looked at the evidence: nothing is accepted from this hub."""
    if halted(store) == "log_forked":
        raise Unproven("log_forked")


def halted(store: Store) -> str:
    """The code of the error that stopped sending; empty if none did."""
    with store.read() as tx:
        return notes_store.get(tx, notes_store.HALTED) or ""


def resume(store: Store) -> None:
    """The operator has looked: send again."""
    with store.begin() as tx:
        notes_store.drop(tx, notes_store.HALTED)


@dataclass(frozen=True, slots=True)
class Outbox:
    """What is left to do, and why it stands.

    Deeds and hold updates without receipt, subjects without account, subjects of whose consents the hub is to hear (at
    most ``UPDATES_MAX`` are counted), batches without receipt.
    """

    queued: int
    waiting_for_link: int
    links_due: int
    in_flight: int
    head: Head
    halted: str

    @property
    def is_empty(self) -> bool:
        """Whether everything that may be sent has its receipt."""
        return not (self.queued or self.waiting_for_link or self.links_due or self.in_flight)


def outbox(store: Store, now: int) -> Outbox:
    """How the outbox stands."""
    with store.read() as tx:
        return Outbox(
            awards_store.queued(tx) + redemptions_store.queued(tx),
            subjects_store.waiting_for_link(tx, now),
            len(links_store.due(tx, limits.UPDATES_MAX, now)),
            batches_store.in_flight(tx),
            batches_store.head(tx),
            notes_store.get(tx, notes_store.HALTED) or "",
        )


def _anything(tx: Tx, now: int) -> bool:
    return bool(redemptions_store.sendable(tx, 1) or awards_store.sendable(tx, 1) or links_store.due(tx, 1, now))


def _seal(tx: Tx, world: World, identity: Identity, after_seq: int) -> AnyRow | None:
    head = batches_store.head(tx)
    in_flight = batches_store.in_flight(tx)
    if head.seq != after_seq or in_flight >= limits.BATCHES_IN_FLIGHT_MAX:
        return None
    now = world.now()
    closing = rotation_store.is_closing(tx, now)  # nobody is linked anew under a key that is about to go
    # Somebody waits at a counter: at once, in a short batch, with few of an import's ahead of it.
    rows: list[AnyRow] = redemptions_store.sendable(tx, limits.UPDATES_MAX // 2, linked_only=closing)
    if in_flight < limits.BULK_IN_FLIGHT_MAX:
        most = limits.BESIDE_REDEMPTIONS_MAX if rows else limits.UPDATES_MAX
        rows += links_store.due(tx, most // 2, now, linked_only=closing)
        rows += awards_store.sendable(tx, most, linked_only=closing)
    updates, links, sealed, told = _updates(world, rows, now)
    if not updates:
        return None
    batch = log.Batch(
        federation_id=documents_store.agreed_on(tx).federation_id,
        agency=identity.agency,
        seq=head.seq + 1,
        previous=head.digest,
        created_at=now,
        updates=updates,
    )
    envelope = world.sign(batch)
    batches_store.add(tx, batch.seq, signing.digest(envelope), envelope.SerializeToString())
    awards_store.seal(tx, batch.seq, sealed)
    redemptions_store.seal(tx, batch.seq, told)
    links_store.seal(tx, links)
    return batches_store.find(tx, batch.seq)


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
            bits = links_store.purposes_of(row, now)
            links[row.subject_id] = bits or links_store.UNLINKING
            updates.append(_link(row.account_id, bits, batch_form.new_op_id(world.random_bytes(10), now)))
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
        return row.change == "reserve" and bool(row.linked != links_store.purposes_of(row, now))
    if is_award:
        takes_back = row.reverse_reason  # over the Link under which it was given
        return bool(row.linked != links_store.purposes_of(row, now) and not takes_back)
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
