"""Settling: what the hub said of a sealed batch becomes what this node knows.

A receipt settles or declines everything in its batch; a refusal takes the batch out of the chain.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import timedelta

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.keys.errors import Unavailable, Unproven
from samprasan.ledger import calendar
from samprasan.node import limits, store
from samprasan.node.deeds import awards
from samprasan.node.identity import Node
from samprasan.node.rows import BatchRow
from samprasan.node.store.awards import Came
from samprasan.node.sync import hub_chain, leaving
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

_NO_REASON = 0
_CAPS = frozenset({log.DECLINE_REASON_DAY_CAP_REACHED, log.DECLINE_REASON_WRITE_OFF_CAP_REACHED})
_AGAIN = frozenset({log.DECLINE_REASON_RESTORES_NOTHING})  # as a first award


def settle(node: Node, envelope: Envelope) -> log.Receipt:
    """Take the hub's signed receipt: its batch's awards are settled or declined.  Again, it changes nothing.

    Accounts that the batch left rest; those that were closed before it came are forgotten; awards that were declined
    because their account had gone are made anew, for the account that the subject gets instead, and so are those that
    were to take the place of an award to somebody who had left.  What was told of somebody who comes back is worked out
    anew.
    Raises Unproven ``receipt_foreign`` for a receipt of a batch that this node did not make, ``receipt_disordered`` for
    one of an earlier place than the batch before; Unavailable ``receipt_early``, ``log_cut``, ``log_ahead``.
    """
    with node.db.begin() as tx:
        store.awards.lock(tx)
        receipt = node.world.open(envelope, log.Receipt, store.documents.agreed_on(tx).required_roster.hub.signing_key)
        hub_chain.check_moment(node, receipt)
        if receipt.cuts != store.documents.agreed_on(tx).cuts_at(receipt.log_index):
            raise Unavailable("log_cut")
        stored = store.batches.find(tx, receipt.seq)
        if stored is None or stored.digest != receipt.batch_digest:
            raise Unproven("receipt_foreign", seq=receipt.seq)
        if stored.receipt is None:
            settle_in(tx, node.world, stored, receipt, envelope)
    return receipt


def settle_in(tx: Tx, world: World, stored: BatchRow, receipt: log.Receipt, envelope: Envelope) -> None:
    """:func:`settle` for a batch whose receipt comes for the first time, within a transaction that locked awards."""
    batch = log.Batch.FromString(Envelope.FromString(stored.envelope).payload)
    if len(receipt.outcomes) != len(batch.updates):
        raise Unproven("receipt_foreign", seq=receipt.seq)
    _check_place(tx, receipt)
    found = _sorted_out(batch, receipt)
    came = dict(_came(batch, receipt))
    reasons = {each.op_id: came.reason for each, came in zip(batch.updates, receipt.outcomes, strict=True)}
    store.redemptions.settle(tx, receipt.seq, reasons, receipt.appended_at)
    awards.forget_gone(tx, store.awards.settle(tx, receipt.seq, came))
    erased = reasons.keys() - store.awards.op_ids_in(tx, receipt.seq)  # their subjects were, on the way
    before = _replaced_by(batch, erased, reasons)
    astray = store.orphans.end_replaced(tx, [op_id for op_id, reason in before if not reason])
    if found.declined:
        store.orphans.undecide(tx, [op_id for op_id, _ in found.declined])
    back = store.links.returning(tx, found.linked)
    store.links.settle(tx, found.linked)
    if store.documents.agreed_on(tx).cut_version:
        _mind_the_cut(tx, receipt.seq, found)
        store.orphans.stand_again(tx, [op_id for op_id, reason in before if reason])
    leaving.forget(tx, store.links.subjects_of(tx, found.given_up))
    leaving.leave(tx, found.left, receipt.appended_at)
    store.links.postpone(tx, found.held, world.now() + limits.HOLD_SECONDS * 1000)
    known = store.links.held(tx, found.accounts.values())
    lost = [op_id for op_id, account_id in found.accounts.items() if account_id not in known]
    moved = store.awards.moved_in_vain(tx, receipt.seq, found.accounts)
    lost += [*found.unheld, *(op_id for op_id, reason in found.declined if reason in _AGAIN)]
    late = store.awards.deeds_of(tx, receipt.seq, [op_id for op_id, told in came.items() if _is_late(told)])
    told = store.awards.deeds_told_of(tx, back)
    again = store.deeds.of_ids(tx, store.awards.deeds_of(tx, receipt.seq, lost) | moved | late | told | astray)
    awards.AwardQueue(tx, world, world.now()).correct(again)
    is_full = any(reason == log.DECLINE_REASON_DAY_CAP_REACHED for _, reason in found.declined)
    if late or is_full:
        store.awards.put_off(tx, late)
        _wait_for_tomorrow(tx, receipt.appended_at, world.now())
    if is_full:
        store.awards.put_off_all(tx)
    store.batches.settle(tx, receipt.seq, envelope.SerializeToString())


def _check_place(tx: Tx, receipt: log.Receipt) -> None:
    """Refuse a receipt that comes before that of the batch before it, or is of an earlier place in the log.

    Proofs are asked for in the order of batches: none that comes late, or is of a place that the log never comes to,
    may hide behind a later one that is proved.
    """
    before = store.batches.receipt_of(tx, receipt.seq - 1)
    if before is None:
        return  # it is the first
    if not before:
        raise Unavailable("receipt_early", seq=receipt.seq)
    if receipt.log_index <= log.Receipt.FromString(Envelope.FromString(before).payload).log_index:
        raise Unproven("receipt_disordered", seq=receipt.seq)


def _came(batch: log.Batch, receipt: log.Receipt) -> Iterator[tuple[bytes, Came]]:
    """What came of each award and reversal; of an op_id that stands twice in the batch, what came of the first."""
    seen: set[bytes] = set()
    for update, outcome in zip(batch.updates, receipt.outcomes, strict=True):
        if update.WhichOneof("change") in {"award", "reverse"} and update.op_id not in seen:
            seen.add(update.op_id)
            yield update.op_id, Came(outcome.reason, update.reverse.reason, outcome.left, outcome.owed)


def _replaced_by(batch: log.Batch, op_ids: Set[bytes], reasons: Mapping[bytes, int]) -> list[tuple[bytes, int]]:
    """Awards of which these updates were to take the place, and why they did not; 0: they did."""
    return [
        (each.award.replaces, reasons[each.op_id])
        for each in batch.updates
        if each.op_id in op_ids and each.award.replaces
    ]


def _is_late(told: Came) -> bool:
    """Whether the rest of it is for another day."""
    return bool(told.left) or told.reason in _CAPS


def _wait_for_tomorrow(tx: Tx, appended_at: int, now: int) -> None:
    """A cap of this agency's day is reached: what was put off goes again when the hub's next day has begun.

    However wrong this node's clock is, it does not go again at once.
    """
    hub_ahead_ms = int(store.facts.get(tx, store.facts.CLOCK_OFF_MS) or 0)
    tomorrow = calendar.start_of(calendar.day_of(appended_at) + timedelta(days=1)) - hub_ahead_ms
    until = max(tomorrow + limits.CLOCK_OFF_MS_MAX, now + limits.CAP_WAIT_MS_MIN)
    store.facts.write(tx, store.facts.AWARDS_WAIT_UNTIL, str(until))


def _mind_the_cut(tx: Tx, seq: int, found: "_Found") -> None:
    """What came of a batch may have come out otherwise before a cut, and later batches were made in view of that."""
    store.awards.end_replaced(tx, seq)
    store.awards.orphan_doubled(tx, seq)
    again: set[bytes] = set()
    for row in store.batches.unsettled(tx):
        if row.seq > seq and (found.given_up or found.left):
            batch = log.Batch.FromString(Envelope.FromString(row.envelope).payload)
            again |= {update.link.account_id for update in batch.updates if update.HasField("link")}
    found.given_up = [account_id for account_id in found.given_up if account_id not in again]
    found.left = [account_id for account_id in found.left if account_id not in again]
    unknown = log.DECLINE_REASON_AWARD_UNKNOWN
    found.unheld = [op_id for op_id, reason in found.declined if reason == unknown]


def accept_refusal(node: Node, envelope: Envelope) -> log.Refusal:
    """Take the hub's signed refusal: sending halts until the operator has looked.

    The batch and those behind it leave the chain, and what the hub is to hear of their deeds is worked out anew.
    Raises Unproven ``receipt_foreign`` for another's.
    """
    with node.db.begin() as tx:
        store.awards.lock(tx)
        refusal = node.world.open(envelope, log.Refusal, store.documents.agreed_on(tx).required_roster.hub.signing_key)
        stored = next((row for row in store.batches.unsettled(tx) if row.digest == refusal.batch_digest), None)
        if stored is None:
            raise Unproven("receipt_foreign", seq=refusal.seq)
        remove_batches_from(tx, node.world, stored.seq)
        store.batches.keep_refused(tx, stored.digest, stored.envelope, envelope.SerializeToString())
        store.facts.halt(tx, "batch_refused")
    return refusal


def remove_batches_from(tx: Tx, world: World, seq: int) -> None:
    """Batch ``seq`` and all behind it leave the chain; what the hub is to hear of their deeds is worked out anew."""
    deed_ids: set[int] = set()
    for row in store.batches.drop_from(tx, seq):
        batch = log.Batch.FromString(Envelope.FromString(row.envelope).payload)
        kinds = ((update, update.WhichOneof("change")) for update in batch.updates)
        named = (getattr(update, kind).account_id for update, kind in kinds if kind in {"link", "unlink"})
        store.links.unseal(tx, named)
        deed_ids |= store.awards.unseal(tx, row.seq)
        store.redemptions.unseal(tx, row.seq)
    awards.AwardQueue(tx, world, world.now()).correct(store.deeds.of_ids(tx, deed_ids))


@dataclass(slots=True)
class _Found:
    """What a receipt says.

    Declined awards and reversals, (op_id, reason) each; Links that hold, (account id, purposes as bits) each; accounts
    that are this agency's no more; accounts that it left; accounts with an open hold; op_id → account of awards
    declined for want of a Link; corrections of awards that the hub does not hold since a cut.
    """

    declined: list[tuple[bytes, int]]
    linked: list[tuple[bytes, int]]
    given_up: list[bytes]
    left: list[bytes]
    held: list[bytes]
    accounts: dict[bytes, bytes]
    unheld: list[bytes] = field(default_factory=list)


def _sorted_out(batch: log.Batch, receipt: log.Receipt) -> _Found:
    found = _Found([], [], [], [], [], {})
    for update, outcome in zip(batch.updates, receipt.outcomes, strict=True):
        match update.WhichOneof("change"), outcome.reason:
            case "link", log.DECLINE_REASON_ACCOUNT_CLOSED | log.DECLINE_REASON_NOT_ADMITTED:
                found.given_up.append(update.link.account_id)
            case "link", log.DECLINE_REASON_UNSPECIFIED:
                bits = sum(1 << purpose for purpose in update.link.purposes)
                found.linked.append((update.link.account_id, bits))
            case "unlink", log.DECLINE_REASON_HOLD_OPEN:
                found.held.append(update.unlink.account_id)
            case "unlink", log.DECLINE_REASON_UNSPECIFIED if not update.unlink.admission:
                found.left.append(update.unlink.account_id)
            case "unlink", _:
                found.given_up.append(update.unlink.account_id)
            case _, reason if reason != _NO_REASON:
                found.declined.append((update.op_id, int(reason)))
                if update.HasField("award") and reason == log.DECLINE_REASON_NOT_LINKED:
                    found.accounts[update.op_id] = update.award.account_id
    return found
