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

from samprasan.edge.database import AnyRow, Database, Tx
from samprasan.edge.world import World
from samprasan.keys import chain, signing
from samprasan.keys.chain import Head, Heads
from samprasan.keys.errors import Refused, SamprasanError, Unproven
from samprasan.ledger import batch_form, calendar
from samprasan.node import limits, store
from samprasan.node.identity import Node
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


def greeting(db: Database, now: int) -> Greeting:
    """The hello of this node: its head of its own chain, and how much it evaluated for whom lately."""
    since = calendar.packed(calendar.day_of(now) - timedelta(days=limits.EVALUATED_DAYS_REPORTED))
    with db.read() as tx:
        head = store.batches.head(tx)
        receipts = [store.batches.newest_receipt(tx), store.hub_chain.newest_receipt(tx)]
        newest = max((Envelope.FromString(each) for each in receipts if each), key=_log_index, default=None)
        request = hub_pb2.HelloRequest(
            federation_id=store.documents.agreed_on(tx).federation_id,
            head=hub_pb2.Head(seq=head.seq, digest=head.digest),
            evaluated=[
                hub_pb2.Evaluated(requester=requester, day=day, elements=elements)
                for requester, day, elements in store.questions.evaluated_since(tx, since)
            ],
            newest_receipt=newest,
            cut_version=store.documents.agreed_on(tx).cut_version,
        )
        return Greeting(request, store.batches.settled_seq(tx))


def _log_index(receipt: Envelope) -> int:
    return log.Receipt.FromString(receipt.payload).log_index


def greeted(node: Node, said: Greeting, answer: hub_pb2.HelloResponse) -> int:
    """Compare heads; the ``seq`` after which to send: what the hub lacks, and what it has but whose receipt was lost.

    Halts and raises Unproven ``chain_fork`` if the two histories differ, ``node_went_back`` if the hub knows batches
    that this node does not, ``hub_went_back`` if the hub lost one it gave a receipt for; ``log_forked`` as long as
    nobody has looked at the evidence.
    """
    with node.db.begin() as tx:
        halted = store.facts.get(tx, store.facts.HALTED)
        if halted == "log_forked":
            raise Unproven("log_forked")  # nothing is accepted from this hub before an operator has looked
        if halted == RESTORED:
            raise Refused("node_restored")
        federation_id = store.documents.agreed_on(tx).federation_id
        if answer.agency != node.identity.agency or (federation_id and answer.federation_id != federation_id):
            raise Unproven("federation", kind="Hello")
        store.facts.put(tx, store.facts.HUB_SEEN_AT, str(node.world.now()))
        store.facts.put(tx, store.facts.CLOCK_OFF_MS, str(answer.now - node.world.now()))
        store.facts.put(tx, store.facts.LINKING_USE, json.dumps([_use(each) for each in answer.linking_use]))
        if answer.HasField("rotation"):
            store.rotation.note_left(tx, answer.rotation.key_epoch, answer.rotation.not_moved)
        mine, theirs = store.batches.head(tx), Head(answer.head.seq, answer.head.digest)
        found = chain.compare(mine, theirs, store.batches.digest_at(tx, theirs.seq))
        problem = {Heads.FORK: "chain_fork", Heads.AHEAD: "node_went_back"}.get(found)
        if problem is None and theirs.seq < said.settled_seq:
            problem = "hub_went_back"
        if problem:
            store.facts.put(tx, store.facts.HALTED, problem)
        elif halted in _OVER_ONCE_WHOLE:
            store.facts.drop(tx, store.facts.HALTED)
        unsettled = store.batches.unsettled(tx)
    if problem:
        raise Unproven(problem, agency=node.identity.agency, seq=theirs.seq)
    return min([theirs.seq, *(int(row.seq) - 1 for row in unsettled)])


def _use(told: hub_pb2.LinkingUse) -> dict[str, Any]:
    names = ("agency", "evaluated", "used", "unused", "probing")
    return {name: getattr(told, name) for name in names}


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
            store.orphans.adopt(tx)
            stored = store.batches.find(tx, after_seq + 1) or _seal(tx, node, after_seq)
    return (after_seq + 1, Envelope.FromString(stored.envelope)) if stored else None


def halt(db: Database, problem: SamprasanError) -> None:
    """Stop sending until the operator says ``sync --resume``."""
    with db.begin() as tx:
        store.facts.put(tx, store.facts.HALTED, problem.code)


def restored(tx: Tx) -> None:
    """The node was made of a backup: it does nothing before it has recovered."""
    store.facts.put(tx, store.facts.HALTED, RESTORED)


def check_recovered(db: Database) -> None:
    """Refused ``node_restored`` if the node was made of a backup and has not recovered."""
    if halted(db) == RESTORED:
        raise Refused("node_restored")


def check_not_forked(db: Database) -> None:
    """Unproven ``log_forked`` as long as nobody has looked at the evidence: nothing is accepted from this hub."""
    if halted(db) == "log_forked":
        raise Unproven("log_forked")


def halted(db: Database) -> str:
    """The code of the error that stopped sending; empty if none did."""
    with db.read() as tx:
        return store.facts.get(tx, store.facts.HALTED) or ""


def resume(db: Database) -> None:
    """The operator has looked: send again."""
    with db.begin() as tx:
        store.facts.drop(tx, store.facts.HALTED)


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


def outbox(db: Database, now: int) -> Outbox:
    """How the outbox stands."""
    with db.read() as tx:
        return Outbox(
            store.awards.queued(tx) + store.redemptions.queued(tx),
            store.subjects.waiting_for_link(tx, now),
            len(store.links.due(tx, limits.UPDATES_MAX, now)),
            store.batches.in_flight(tx),
            store.batches.head(tx),
            store.facts.get(tx, store.facts.HALTED) or "",
        )


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
