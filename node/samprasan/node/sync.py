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
from samprasan.keys.errors import SamprasanError, Unproven
from samprasan.ledger import calendar, forms
from samprasan.node import awarding, limits
from samprasan.node.identity import Identity
from samprasan.node.store import awards as awards_store
from samprasan.node.store import batches as batches_store
from samprasan.node.store import deeds as deeds_store
from samprasan.node.store import documents as documents_store
from samprasan.node.store import linking as linking_store
from samprasan.node.store import links as links_store
from samprasan.node.store import notes as notes_store
from samprasan.node.store import redemptions as redemptions_store
from samprasan.node.store import rotation as rotation_store
from samprasan.node.store import subjects as subjects_store
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

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
        request = hub_pb2.HelloRequest(
            federation_id=documents_store.agreed_on(tx).federation_id,
            head=hub_pb2.Head(seq=head.seq, digest=head.digest),
            evaluated=[
                hub_pb2.Evaluated(requester=requester, day=day, elements=elements)
                for requester, day, elements in linking_store.evaluated_since(tx, since)
            ],
        )
        return Greeting(request, batches_store.settled_seq(tx))


def greeted(store: Store, world: World, identity: Identity, said: Greeting, answer: hub_pb2.HelloResponse) -> int:
    """Compare heads; the ``seq`` after which to send: what the hub lacks, and what it has but whose receipt was lost.

    Halts and raises Unproven ``chain_fork`` if the two histories differ, ``node_went_back`` if the hub knows batches
    that this node does not, ``hub_went_back`` if the hub lost one it gave a receipt for; ``log_forked`` as long as
    nobody has looked at the evidence.
    """
    with store.begin() as tx:
        if notes_store.get(tx, notes_store.HALTED) == "log_forked":
            raise Unproven("log_forked")  # nothing is accepted from this hub before an operator has looked
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
            stored = batches_store.find(tx, after_seq + 1) or _seal(tx, world, identity, after_seq)
    return (after_seq + 1, Envelope.FromString(stored.envelope)) if stored else None


def settle(store: Store, world: World, envelope: Envelope) -> log.Receipt:
    """Take the hub's signed receipt: its batch's awards are settled or declined.  Again, it changes nothing.

    Accounts that the batch gave up, or that were closed before it came, are forgotten; awards that were declined
    because their account had gone are made anew, for the account that the subject gets instead, and so are those that
    were to take the place of an award to somebody who had left.
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
        found = _sorted_out(batch, receipt)
        reasons = {each.op_id: came.reason for each, came in zip(batch.updates, receipt.outcomes, strict=True)}
        redemptions_store.settle(tx, receipt.seq, reasons, receipt.appended_at)
        awarding.forget_gone(tx, awards_store.settle(tx, receipt.seq, found.declined))
        links_store.settle(tx, found.linked)
        _give_up(tx, found.given_up)
        links_store.postpone(tx, found.held, world.now() + limits.HOLD_SECONDS * 1000)
        known = links_store.held(tx, found.accounts.values())
        lost = [op_id for op_id, account_id in found.accounts.items() if account_id not in known]
        moved = awards_store.moved_in_vain(tx, receipt.seq, found.accounts)
        again = deeds_store.of_ids(tx, awards_store.deeds_of(tx, receipt.seq, lost) | moved)
        awarding.Awarding(tx, world, world.now()).correct(again)
        batches_store.settle(tx, receipt.seq, envelope.SerializeToString())
    return receipt


def _give_up(tx: Tx, account_ids: Sequence[bytes]) -> None:
    """Forget these accounts, and subjects of whom nothing else is known; what somebody took back is remembered."""
    rows = [row for row in links_store.subjects_of(tx, account_ids) if row.unlink_at is not None and not row.withdrawn]
    asking = [row for row in links_store.subjects_of(tx, account_ids) if row.redeem]
    links_store.forget_accounts(tx, account_ids)
    for row in asking:
        if redemptions_store.asked_by(tx, row.subject_id):
            subjects_store.want(tx, row.subject_id)  # somebody waits: for the account that comes instead
    alone = {row.subject_id for row in rows}
    alone -= deeds_store.subjects_with_deeds(tx, alone)
    subjects_store.remove(tx, sorted(alone | set(subjects_store.erased(tx))))


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
            kinds = ((update, update.WhichOneof("change")) for update in batch.updates)
            named = (getattr(update, kind).account_id for update, kind in kinds if kind in {"link", "unlink"})
            links_store.unseal(tx, named)
            deed_ids |= awards_store.unseal(tx, row.seq)
            redemptions_store.unseal(tx, row.seq)
        awarding.Awarding(tx, world, world.now()).correct(deeds_store.of_ids(tx, deed_ids))
        batches_store.keep_refused(tx, stored.digest, stored.envelope, envelope.SerializeToString())
        notes_store.put(tx, notes_store.HALTED, "batch_refused")
    return refusal


def halt(store: Store, problem: SamprasanError) -> None:
    """Stop sending until the operator says ``sync --resume``."""
    with store.begin() as tx:
        notes_store.put(tx, notes_store.HALTED, problem.code)


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
            updates.append(_link(row.account_id, bits, forms.new_op_id(world.random_bytes(10), now)))
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


@dataclass(slots=True)
class _Found:
    """What a receipt says.

    Declined awards and reversals, (op_id, reason) each; Links that hold, (account id, purposes as bits) each; accounts
    that are this agency's no more; accounts with an open hold; op_id → account of awards declined for want of a Link.
    """

    declined: list[tuple[bytes, int]]
    linked: list[tuple[bytes, int]]
    given_up: list[bytes]
    held: list[bytes]
    accounts: dict[bytes, bytes]


def _sorted_out(batch: log.Batch, receipt: log.Receipt) -> _Found:
    found = _Found([], [], [], [], {})
    for update, outcome in zip(batch.updates, receipt.outcomes, strict=True):
        match update.WhichOneof("change"), outcome.reason:
            case "link", log.DECLINE_REASON_ACCOUNT_CLOSED:
                found.given_up.append(update.link.account_id)
            case "link", log.DECLINE_REASON_UNSPECIFIED:
                bits = sum(1 << purpose for purpose in update.link.purposes)
                found.linked.append((update.link.account_id, bits))
            case "unlink", log.DECLINE_REASON_HOLD_OPEN:
                found.held.append(update.unlink.account_id)
            case "unlink", _:
                found.given_up.append(update.unlink.account_id)
            case _, reason if reason != _NO_REASON:
                found.declined.append((update.op_id, int(reason)))
                if update.HasField("award") and reason == log.DECLINE_REASON_NOT_LINKED:
                    found.accounts[update.op_id] = update.award.account_id
    return found
