"""Sync: the outbox becomes signed batches, batches become receipts, receipts settle deeds.

Sealing (sequence, bytes, signature) is one write transaction, done only when a batch can be sent, so ``serve`` and
``sync`` at once are safe without a lock of their own.  A fork or a refusal halts sending until the operator has looked:
nothing is overwritten.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from samprasan.edge.database import AnyRow, Store, Tx
from samprasan.edge.world import World
from samprasan.keys import chain, signing
from samprasan.keys.chain import Head, Heads
from samprasan.keys.errors import SamprasanError, Unproven
from samprasan.ledger import forms
from samprasan.node import awarding, limits
from samprasan.node.identity import Identity
from samprasan.node.store import awards as awards_store
from samprasan.node.store import batches as batches_store
from samprasan.node.store import deeds as deeds_store
from samprasan.node.store import documents as documents_store
from samprasan.node.store import notes as notes_store
from samprasan.node.store import subjects as subjects_store
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

_NO_REASON = 0


@dataclass(frozen=True, slots=True)
class Greeting:
    """A hello, and the newest receipt this node had when it was said: more receipts may come before its answer."""

    request: hub_pb2.HelloRequest
    settled_seq: int


def greeting(store: Store) -> Greeting:
    """The hello of this node: its head of its own chain."""
    with store.read() as tx:
        head = batches_store.head(tx)
        request = hub_pb2.HelloRequest(
            federation_id=documents_store.agreed_on(tx).federation_id,
            head=hub_pb2.Head(seq=head.seq, digest=head.digest),
        )
        return Greeting(request, batches_store.settled_seq(tx))


def greeted(store: Store, world: World, identity: Identity, said: Greeting, answer: hub_pb2.HelloResponse) -> int:
    """Compare heads; the ``seq`` after which to send: what the hub lacks, and what it has but whose receipt was lost.

    Halts and raises Unproven ``chain_fork`` if the two histories differ, ``node_went_back`` if the hub knows batches
    that this node does not, ``hub_went_back`` if the hub lost one it gave a receipt for.
    """
    with store.begin() as tx:
        federation_id = documents_store.agreed_on(tx).federation_id
        if answer.agency != identity.agency or (federation_id and answer.federation_id != federation_id):
            raise Unproven("federation", kind="Hello")
        notes_store.put(tx, notes_store.HUB_SEEN_AT, str(world.now()))
        notes_store.put(tx, notes_store.CLOCK_OFF_MS, str(answer.now - world.now()))
        mine, theirs = batches_store.head(tx), Head(answer.head.seq, answer.head.digest)
        found = chain.compare(mine, theirs, batches_store.digest_at(tx, theirs.seq))
        problem = {Heads.FORK: "chain_fork", Heads.AHEAD: "node_went_back"}.get(found)
        if problem is None and theirs.seq < said.settled_seq:
            problem = "hub_went_back"
        if problem:
            notes_store.put(tx, notes_store.HALTED, problem)
        unsettled = batches_store.unsettled(tx)
    if problem:
        raise Unproven(problem, agency=identity.agency, seq=theirs.seq)
    return min([theirs.seq, *(int(row.seq) - 1 for row in unsettled)])


def next_batch(store: Store, world: World, identity: Identity, after_seq: int) -> tuple[int, Envelope] | None:
    """The batch behind ``after_seq`` to send now: one that is sealed, else a new one; None if there is nothing."""
    with store.read() as tx:
        if notes_store.get(tx, notes_store.HALTED):
            return None
        stored = batches_store.find(tx, after_seq + 1)
        if stored is None and not _anything(tx):
            return None
    if stored is None:
        with store.begin() as tx:
            awards_store.lock(tx)
            stored = batches_store.find(tx, after_seq + 1) or _seal(tx, world, identity, after_seq)
    return (after_seq + 1, Envelope.FromString(stored.envelope)) if stored else None


def settle(store: Store, world: World, envelope: Envelope) -> log.Receipt:
    """Take the hub's signed receipt: its batch's awards are settled or declined.  Again, it changes nothing.

    Raises Unproven ``receipt_foreign`` for a receipt of a batch that this node did not make.
    """
    with store.begin() as tx:
        awards_store.lock(tx)
        receipt = world.open(envelope, log.Receipt, documents_store.agreed_on(tx).required_roster.hub.signing_key)
        stored = batches_store.find(tx, receipt.seq)
        if stored is None or stored.digest != receipt.batch_digest:
            raise Unproven("receipt_foreign", seq=receipt.seq)
        if stored.receipt is not None:
            return receipt
        batch = log.Batch.FromString(Envelope.FromString(stored.envelope).payload)
        if len(receipt.outcomes) != len(batch.updates):
            raise Unproven("receipt_foreign", seq=receipt.seq)
        declined, linked = _sorted_out(batch, receipt)
        awarding.forget_gone(tx, awards_store.settle(tx, receipt.seq, declined))
        subjects_store.settled_links(tx, linked)
        batches_store.settle(tx, receipt.seq, envelope.SerializeToString())
    return receipt


def refused(store: Store, world: World, envelope: Envelope) -> log.Refusal:
    """Take the hub's signed refusal: sending halts until the operator has looked.

    The batch and those behind it leave the chain, and what the hub is to hear of their deeds is worked out anew.
    Raises Unproven ``receipt_foreign`` for another's.
    """
    with store.begin() as tx:
        awards_store.lock(tx)
        refusal = world.open(envelope, log.Refusal, documents_store.agreed_on(tx).required_roster.hub.signing_key)
        stored = next((row for row in batches_store.unsettled(tx) if row.digest == refusal.batch_digest), None)
        if stored is None:
            raise Unproven("receipt_foreign", seq=refusal.seq)
        deed_ids: set[int] = set()
        for row in batches_store.drop_from(tx, stored.seq):
            batch = log.Batch.FromString(Envelope.FromString(row.envelope).payload)
            links = (update.link.account_id for update in batch.updates if update.HasField("link"))
            subjects_store.unsealed_links(tx, links)
            deed_ids |= awards_store.unseal(tx, row.seq)
        awarding.Awarding(tx, world, world.now()).correct(deeds_store.of_ids(tx, deed_ids))
        batches_store.keep_refused(tx, stored.digest, stored.envelope, envelope.SerializeToString())
        notes_store.put(tx, notes_store.HALTED, "batch_refused")
    return refusal


def halt(store: Store, problem: SamprasanError) -> None:
    """Stop sending until the operator says ``sync --resume``."""
    with store.begin() as tx:
        notes_store.put(tx, notes_store.HALTED, problem.code)


def resume(store: Store) -> None:
    """The operator has looked: send again."""
    with store.begin() as tx:
        notes_store.drop(tx, notes_store.HALTED)


@dataclass(frozen=True, slots=True)
class Outbox:
    """What is left to do: deeds without receipt, subjects without account, batches without receipt; why it stands."""

    queued: int
    waiting_for_link: int
    in_flight: int
    head: Head
    halted: str

    @property
    def is_empty(self) -> bool:
        """Whether everything that may be sent has its receipt."""
        return not (self.queued or self.waiting_for_link or self.in_flight)


def outbox(store: Store) -> Outbox:
    """How the outbox stands."""
    with store.read() as tx:
        return Outbox(
            awards_store.queued(tx),
            subjects_store.waiting_for_link(tx),
            batches_store.in_flight(tx),
            batches_store.head(tx),
            notes_store.get(tx, notes_store.HALTED) or "",
        )


def _anything(tx: Tx) -> bool:
    return bool(awards_store.sendable(tx, 1) or subjects_store.to_link(tx, 1))


def _seal(tx: Tx, world: World, identity: Identity, after_seq: int) -> AnyRow | None:
    head = batches_store.head(tx)
    if head.seq != after_seq or batches_store.in_flight(tx) >= limits.BATCHES_IN_FLIGHT_MAX:
        return None
    now = world.now()
    rows = awards_store.sendable(tx, limits.UPDATES_MAX)
    updates, links, sealed = _updates(world, [*subjects_store.to_link(tx, limits.UPDATES_MAX // 2), *rows], now)
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
    subjects_store.sealed_link(tx, links)
    return batches_store.find(tx, batch.seq)


def _updates(
    world: World, rows: "Sequence[AnyRow]", now: int
) -> tuple[list[log.Update], list[tuple[int, int]], list[int]]:
    """The updates for ``rows`` (subjects to link, then awards), the links among them, and the awards they carry."""
    updates: list[log.Update] = []
    links: dict[int, int] = {}
    sealed: list[int] = []
    for row in rows:
        purposes = _purposes(row)
        bits = sum(1 << purpose for purpose in purposes)
        is_award = hasattr(row, "award_id")
        takes_back = is_award and row.reverse_reason  # over the Link under which it was given
        needs_link = row.subject_id not in links and row.linked != bits and not takes_back
        if len(updates) + needs_link + is_award > limits.UPDATES_MAX:
            break
        if needs_link:
            links[row.subject_id] = bits
            op_id = forms.new_op_id(world.random_bytes(10), now)
            updates.append(log.Update(op_id=op_id, link=log.Link(account_id=row.account_id, purposes=purposes)))
        if is_award:
            sealed.append(row.award_id)
            updates.append(_update(row))
    return updates, list(links.items()), sealed


def _purposes(row: AnyRow) -> list[log.Purpose.ValueType]:
    consents = (
        (row.share, log.PURPOSE_SHARE),
        (row.redeem, log.PURPOSE_REDEEM),
        (row.integrators, log.PURPOSE_INTEGRATORS),
    )
    return [purpose for given, purpose in consents if given]


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


def _sorted_out(batch: log.Batch, receipt: log.Receipt) -> tuple[list[tuple[bytes, int]], list[bytes]]:
    """Declined awards and reversals, (op_id, reason) each, and the accounts whose Link holds."""
    declined, linked = [], []
    for update, outcome in zip(batch.updates, receipt.outcomes, strict=True):
        if update.HasField("link"):
            if outcome.reason == _NO_REASON:
                linked.append(update.link.account_id)
        elif outcome.reason != _NO_REASON:
            declined.append((update.op_id, int(outcome.reason)))
    return declined, linked
