"""Redeeming at the counter: the intent is stored first, the hub decides, and whoever asks again hears the same.

A redemption sets credits aside and spends them in one batch, unless only a hold is wanted.  What has not left yet can
be given up, which is what happens when the hub is away; what has left is decided by the hub, whatever becomes of the
caller, and is found again by the name that the caller gave it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from samprasan.edge.database import Database, Tx
from samprasan.edge.world import World
from samprasan.keys.errors import Malformed, Refused, Unavailable
from samprasan.keys.identifiers import Identifier
from samprasan.ledger import batch_form, calendar, policy
from samprasan.ledger.benefits import Benefit
from samprasan.node import limits, person_names, store
from samprasan.node.counter.redemption_document import document, reason_word
from samprasan.node.identity import NAME_COLUMN, Identity, Node
from samprasan.node.rows import RedemptionRow, SubjectRow, present
from samprasan.node.states import HoldUpdateState, RedemptionState
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.hub_pb2 import Totals

AUTHORISED_BY = ("card", "otp", "signed_form")
VOID_REASONS = {"cancelled": log.VOID_REASON_CANCELLED, "not-given": log.VOID_REASON_NOT_GIVEN}
REFUND_REASONS = {
    "returned": log.REFUND_REASON_RETURNED,
    "not-given": log.REFUND_REASON_NOT_GIVEN,
    "mistake": log.REFUND_REASON_MISTAKE,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for at the counter.

    ``op_key`` is the caller's own name for it, 16 bytes; ``area`` a DOPA code that the officer attests;
    ``on_own_risk`` says that the benefit is handed out although the hub is away.
    """

    op_key: bytes
    subject: Identifier
    owner: str
    benefit: str
    authorised_by: str
    area: str = ""
    reserve_only: bool = False
    ttl_seconds: int = limits.HOLD_SECONDS
    on_own_risk: bool = False


def request_redemption(node: Node, wish: Wish, offline_credits_max: int = 0) -> dict[str, Any]:
    """Store the wish; the hub hears of it as soon as it can.  Asked again, it is the same redemption.

    A wish ``on_own_risk`` is handed out before the hub has heard of it: Unavailable ``counter_offline`` if the agency
    may not risk that.

    Raises Refused ``op_reused`` if the name stands for another wish, ``subject_unknown``, ``no_consent``,
    ``being_erased``, ``benefit_unknown``, ``benefit_expired``, ``not_eligible`` (of another area), ``hold_too_long``,
    and Malformed ``authorised_by``.
    """
    now = node.world.now()
    with node.db.begin() as tx:
        store.awards.lock(tx)
        before = store.redemptions.of_op_key(tx, wish.op_key)
        subject = store.subjects.find(tx, node.identity.index(wish.subject))
        if before is not None:
            if subject is None or not _is_the_same(before, subject, wish):
                raise Refused("op_reused")
            if before.state != RedemptionState.DROPPED:
                return document(tx, node.identity, before)
        _check_subject(subject)
        assert subject is not None
        benefit = _offered(tx, wish, now)
        _check_terms(tx, wish, benefit, now)
        if before is not None and before.benefit_digest != benefit.digest:
            raise Refused("op_reused")
        if wish.on_own_risk:
            _check_risk(tx, node.identity, wish, subject, benefit, offline_credits_max)
        hold_id = node.world.new_op_id(now)
        row = (
            store.redemptions.revive(tx, wish.op_key, now, on_own_risk=wish.on_own_risk)
            if before
            else store.redemptions.add(tx, _values(wish, subject, benefit, hold_id, now))
        )
        changes = ["reserve"] if wish.reserve_only else ["reserve", "post"]
        store.redemptions.queue(tx, [_update(node, row, each, benefit.credits) for each in changes])
        if subject.account_id is None and not subject.wanted:
            store.subjects.mark_wanted(tx, subject.subject_id)
        return document(tx, node.identity, row)


def is_known(node: Node, wish: Wish) -> bool:
    """Whether the wish was asked for before and not dropped; Refused ``op_reused`` if its name stands for another."""
    with node.db.read() as tx:
        before = store.redemptions.of_op_key(tx, wish.op_key)
        if before is None:
            return False
        subject = store.subjects.find(tx, node.identity.index(wish.subject))
        if subject is None or not _is_the_same(before, subject, wish):
            raise Refused("op_reused")
        return before.state != RedemptionState.DROPPED


def find(node: Node, op_key: bytes) -> dict[str, Any]:
    """How the redemption stands.  Raises Refused ``redemption_unknown``."""
    with node.db.read() as tx:
        return document(tx, node.identity, _row(tx, op_key))


def list_redemptions(node: Node, limit: int) -> list[dict[str, Any]]:
    """The newest redemptions first."""
    with node.db.read() as tx:
        return [document(tx, node.identity, row) for row in store.redemptions.newest(tx, limit)]


def is_decided(db: Database, op_key: bytes) -> bool:
    """Whether the hub has answered and nothing is on its way, or nobody waits since it was handed out."""
    return bool(decided_among(db, [op_key]))


def decided_among(db: Database, op_keys: Sequence[bytes]) -> list[bytes]:
    """Those of these redemptions that :func:`is_decided` says yes of."""
    with db.read() as tx:
        return store.redemptions.decided(tx, op_keys)


def cancel(node: Node, op_key: bytes) -> bytes:
    """Void what is held, refund what is spent, drop what has not left; what is over stays as it is.

    Returns the op_id of what is to be told, or nothing.

    Raises Refused ``redemption_unknown``.
    """
    with node.db.begin() as tx:
        store.awards.lock(tx)
        row = _row(tx, op_key)
        if row.state == RedemptionState.ASKED:
            store.redemptions.drop(tx, [row.hold_id])
        elif not _on_its_way(tx, row) and row.state in {RedemptionState.HELD, RedemptionState.POSTED}:
            why = log.VOID_REASON_CANCELLED if row.state == RedemptionState.HELD else log.REFUND_REASON_RETURNED
            change = "void" if row.state == RedemptionState.HELD else "refund"
            return _queue(tx, _update(node, row, change, row.posted, why))
    return b""


def drop_unsent(db: Database, op_key: bytes) -> bool:
    """Drop the redemption if nothing of it has left, nor the benefit; whether it was dropped."""
    with db.begin() as tx:
        store.awards.lock(tx)
        row = store.redemptions.of_op_key(tx, op_key)
        return row is not None and store.redemptions.drop(tx, [row.hold_id]) > 0


def drop_update(db: Database, op_id: bytes) -> bool:
    """Drop an update that was queued and has not left; whether there was one.

    Who was told that something failed must not find it done later.
    """
    with db.begin() as tx:
        store.awards.lock(tx)
        return store.redemptions.drop_update(tx, op_id)


def post(node: Node, op_key: bytes, credits_: int | None) -> bytes:
    """Spend a hold, all of it if ``credits_`` is None; the op_id of what is to be told.

    Raises Refused ``redemption_unknown`` or ``hold_ended``, Malformed ``credits``.
    """
    with node.db.begin() as tx:
        store.awards.lock(tx)
        row = _held(tx, node.world, op_key)
        spent = row.credits if credits_ is None else credits_
        if not 1 <= spent <= row.credits:
            raise Malformed("credits", most=row.credits)
        return _queue(tx, _update(node, row, "post", spent))


def void(node: Node, op_key: bytes, reason: str) -> bytes:
    """Give a hold up; the op_id of what is to be told.  Raises Refused ``redemption_unknown`` or ``hold_ended``."""
    with node.db.begin() as tx:
        store.awards.lock(tx)
        row = _held(tx, node.world, op_key)
        return _queue(tx, _update(node, row, "void", 0, VOID_REASONS[reason]))


def refund(node: Node, op_key: bytes, credits_: int | None, reason: str) -> bytes:
    """Give back what was spent, all of it if ``credits_`` is None; the op_id of what is to be told.

    Raises Refused ``redemption_unknown``, ``hold_open`` if it is not spent yet, ``hold_ended``; Malformed ``credits``.
    """
    with node.db.begin() as tx:
        store.awards.lock(tx)
        row = _row(tx, op_key)
        if row.state in store.redemptions.OPEN:
            raise Refused("hold_open")
        if row.state != RedemptionState.POSTED or _on_its_way(tx, row):
            raise Refused("hold_ended")
        back = row.posted if credits_ is None else credits_
        if not 1 <= back <= row.posted:
            raise Malformed("credits", most=row.posted)
        return _queue(tx, _update(node, row, "refund", back, REFUND_REASONS[reason]))


def refund_elsewhere(node: Node, agency: str, hold_id: bytes, credits_: int, reason: str) -> bytes:
    """Give back what another agency's counter took for one of this agency's benefits, as its receipt names it.

    Returns the op_id of what is to be told.

    Raises Malformed ``credits`` or ``hold_code``.
    """
    if credits_ < 1:
        raise Malformed("credits", most="?")
    if len(hold_id) != batch_form.ID_BYTES or agency == node.identity.agency:
        raise Malformed("hold_code")
    now = node.world.now()
    with node.db.begin() as tx:
        store.awards.lock(tx)
        update = {
            "op_id": node.world.new_op_id(now),
            "change": "refund",
            "agency": agency,
            "hold_id": hold_id,
            "credits": credits_,
            "why": REFUND_REASONS[reason],
        }
        return _queue(tx, update)


def outcome_of(db: Database, op_id: bytes) -> tuple[str, str | None]:
    """The state of an update about a hold, and why it was declined."""
    with db.read() as tx:
        update = store.redemptions.of_op_ids(tx, [op_id])[op_id]
        return update.state, reason_word(update.reason)


def expire(db: Database, now: int) -> None:
    """Holds whose deadline has passed by the hub's clock are over here, too; what could not be sent is dropped."""
    with db.begin() as tx:
        store.awards.lock(tx)
        store.redemptions.expire(tx, hub_now(tx, now))
        store.redemptions.drop_stale(tx, now)


def hub_now(tx: Tx, now: int) -> int:
    """The hub's clock, as far as the last hello told."""
    return now + int(store.facts.get(tx, store.facts.CLOCK_OFF_MS) or 0)


def subject_shown(node: Node, subject: Identifier) -> str:
    """The subject's name, masked, for the officer to compare.  Raises Refused ``subject_unknown``."""
    with node.db.read() as tx:
        row = store.subjects.find(tx, node.identity.index(subject))
        if row is None:
            raise Refused("subject_unknown")
        return person_names.masked(node.identity.vault.open(NAME_COLUMN, row.sealed_name).decode())


def _check_subject(subject: SubjectRow | None) -> None:
    if subject is None:
        raise Refused("subject_unknown")
    if subject.erasing:
        raise Refused("being_erased")
    if not subject.redeem:
        raise Refused("no_consent")


def _is_the_same(before: RedemptionRow, subject: SubjectRow, wish: Wish) -> bool:
    said = (before.subject_id, before.owner, before.benefit, bool(before.reserve_only))
    return said == (subject.subject_id, wish.owner, wish.benefit, wish.reserve_only)


def _offered(tx: Tx, wish: Wish, now: int) -> Benefit:
    catalogue = store.documents.agreed_on(tx).catalogues.get(wish.owner)
    benefit = catalogue.benefits.get(wish.benefit) if catalogue else None
    if benefit is None:
        raise Refused("benefit_unknown", benefit=f"{wish.owner}/{wish.benefit}")
    if not benefit.is_valid_on(calendar.day_of(hub_now(tx, now))):
        raise Refused("benefit_expired", benefit=f"{wish.owner}/{wish.benefit}")
    return benefit


def _check_risk(tx: Tx, identity: Identity, wish: Wish, subject: SubjectRow, benefit: Benefit, most: int) -> None:
    """Only an agency's own benefits, up to what it allows itself a subject and what the subject is known to have."""
    risked = store.redemptions.on_own_risk(tx, subject.subject_id) + benefit.credits
    remembered = Totals.FromString(Envelope.FromString(subject.totals).payload) if subject.totals else None
    left = remembered.accounts[0].available if remembered else 0
    if wish.reserve_only or wish.owner != identity.agency or risked > min(most, left):
        raise Unavailable("counter_offline", why="hub_unreachable")


def _check_terms(tx: Tx, wish: Wish, benefit: Benefit, now: int) -> None:
    if wish.authorised_by not in AUTHORISED_BY:
        raise Malformed("authorised_by", ways=", ".join(AUTHORISED_BY))
    if not benefit.covers(wish.area):
        raise Refused("not_eligible", areas=", ".join(benefit.areas))
    in_force = policy.in_force(store.documents.agreed_on(tx).policies.values(), calendar.day_of(now))
    if in_force is not None and not 1 <= wish.ttl_seconds <= in_force.hold_seconds_max:
        raise Refused("hold_too_long", most=in_force.hold_seconds_max)


def _values(wish: Wish, subject: SubjectRow, benefit: Benefit, hold_id: bytes, now: int) -> dict[str, Any]:
    return {
        "op_key": wish.op_key,
        "subject_id": subject.subject_id,
        "hold_id": hold_id,
        "owner": wish.owner,
        "benefit": wish.benefit,
        "benefit_digest": benefit.digest,
        "credits": benefit.credits,
        "ttl_seconds": wish.ttl_seconds,
        "authorised_by": wish.authorised_by,
        "reserve_only": wish.reserve_only,
        "on_own_risk": wish.on_own_risk,
        "asked_at": now,
    }


def _update(node: Node, row: RedemptionRow, change: str, credits_: int, why: int = 0) -> dict[str, Any]:
    """A hold update; the Reserve's op_id is the hold's."""
    fresh = node.world.new_op_id(node.world.now())
    return {
        "op_id": row.hold_id if change == "reserve" else fresh,
        "change": change,
        "agency": node.identity.agency,
        "hold_id": row.hold_id,
        "credits": credits_,
        "why": why,
    }


def _queue(tx: Tx, update: dict[str, Any]) -> bytes:
    store.redemptions.queue(tx, [update])
    return bytes(update["op_id"])


def _row(tx: Tx, op_key: bytes) -> RedemptionRow:
    row = store.redemptions.of_op_key(tx, op_key)
    if row is None:
        raise Refused("redemption_unknown")
    return row


def _held(tx: Tx, world: World, op_key: bytes) -> RedemptionRow:
    row = _row(tx, op_key)
    if row.state != RedemptionState.HELD or present(row.deadline) <= hub_now(tx, world.now()) or _on_its_way(tx, row):
        raise Refused("hold_ended")
    return row


def _on_its_way(tx: Tx, row: RedemptionRow) -> bool:
    return any(each.state == HoldUpdateState.QUEUED for each in store.redemptions.of_hold(tx, row.hold_id))
