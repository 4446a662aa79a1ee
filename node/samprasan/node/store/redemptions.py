"""Redemptions: what was asked for at the counter, the updates that tell the hub, and what came of them.

A redemption is *asked* until the hub has answered, *held* while credits are set aside; every other state is an end.
A hold update without a batch can still be taken back; one with a batch is on its way.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import starmap
from typing import Any

import sqlalchemy as sa
from samprasan.edge.database import insert_rows, row_as, rows_as, rows_where_in, update_where_in
from samprasan.node.rows import ConsentsRow, HoldUpdateRow, RedemptionRow, ReserveRow, SendableUpdate
from samprasan.node.states import HoldUpdateState, RedemptionState
from samprasan.node.store.links import UNLINKING
from samprasan.node.tables import hold_updates, redemptions, subjects
from samprasan.v1.log_pb2 import DECLINE_REASON_HOLD_ENDED, DECLINE_REASON_NOT_LINKED

OPEN = (RedemptionState.ASKED, RedemptionState.HELD)
_UPDATE = len(HoldUpdateRow._fields)
_RESERVE = _UPDATE + len(ReserveRow._fields)
_TAKEN_BACK = (RedemptionState.VOIDED, RedemptionState.REFUNDED)


def add(tx: sa.Connection, values: dict[str, Any]) -> RedemptionRow:
    """A new redemption, asked for."""
    blank = {"state": RedemptionState.ASKED, "reason": 0, "posted": 0, "refunded": 0}
    tx.execute(redemptions.insert().values(values | blank))
    found = of_op_key(tx, values["op_key"])
    assert found is not None
    return found


_OF_OP_KEY = sa.select(redemptions).where(redemptions.c.op_key == sa.bindparam("which"))


def of_op_key(tx: sa.Connection, op_key: bytes) -> RedemptionRow | None:
    """The redemption that somebody named so."""
    return row_as(RedemptionRow, tx.execute(_OF_OP_KEY, {"which": op_key}).first())


def of_hold_id(tx: sa.Connection, hold_id: bytes) -> RedemptionRow | None:
    """The redemption with that hold."""
    return row_as(RedemptionRow, tx.execute(sa.select(redemptions).where(redemptions.c.hold_id == hold_id)).first())


def newest(tx: sa.Connection, limit: int) -> list[RedemptionRow]:
    """The newest redemptions first."""
    query = sa.select(redemptions).order_by(redemptions.c.redemption_id.desc()).limit(limit)
    return rows_as(RedemptionRow, tx.execute(query))


def revive(tx: sa.Connection, op_key: bytes, asked_at: int, *, on_own_risk: bool) -> RedemptionRow:
    """A redemption that was dropped is asked for again."""
    change = redemptions.update().where(redemptions.c.op_key == op_key, redemptions.c.state == RedemptionState.DROPPED)
    tx.execute(change.values(state=RedemptionState.ASKED, asked_at=asked_at, on_own_risk=on_own_risk))
    found = of_op_key(tx, op_key)
    assert found is not None
    return found


def queue(tx: sa.Connection, updates: Sequence[Mapping[str, Any]]) -> None:
    """What the hub is to be told."""
    names = ("op_id", "change", "agency", "hold_id", "credits", "why")
    last = tx.execute(sa.select(sa.func.max(hold_updates.c.update_id))).scalar() or 0
    rows = [
        (last + at, *(each[name] for name in names), HoldUpdateState.QUEUED, None, 0)
        for at, each in enumerate(updates, 1)
    ]
    insert_rows(tx, hold_updates, rows)


def of_hold(tx: sa.Connection, hold_id: bytes) -> list[HoldUpdateRow]:
    """What the hub was told, or is to be, of a hold, oldest first."""
    query = sa.select(hold_updates).where(hold_updates.c.hold_id == hold_id)
    return rows_as(HoldUpdateRow, tx.execute(query.order_by(hold_updates.c.update_id)))


def of_op_ids(tx: sa.Connection, op_ids: Iterable[bytes]) -> dict[bytes, HoldUpdateRow]:
    """Op id → what the hub was told, or is to be, of a hold."""
    found = rows_where_in(tx, hold_updates, hold_updates.c.op_id, op_ids)
    return {row.op_id: row for row in starmap(HoldUpdateRow, found)}


def decided(tx: sa.Connection, op_keys: Sequence[bytes]) -> list[bytes]:
    """Those of these redemptions that the hub has answered, nothing on its way; and those handed out on own risk."""
    on_its_way = sa.exists().where(
        hold_updates.c.hold_id == redemptions.c.hold_id, hold_updates.c.state == HoldUpdateState.QUEUED
    )
    answered = sa.and_(redemptions.c.state != RedemptionState.ASKED, ~on_its_way)
    handed_out = sa.and_(redemptions.c.state == RedemptionState.ASKED, redemptions.c.on_own_risk)
    query = sa.select(redemptions.c.op_key).where(sa.or_(answered, handed_out))
    return list(tx.execute(query.where(redemptions.c.op_key.in_(op_keys))).scalars())


def sendable(tx: sa.Connection, limit: int, *, linked_only: bool = False) -> list[SendableUpdate]:
    """Hold updates that may be sealed, in the order they came, with what a Link needs.

    A Reserve needs the subject's consent and account; what follows it goes wherever its Reserve has gone.
    """
    return [
        SendableUpdate(
            HoldUpdateRow(*row[:_UPDATE]),
            ReserveRow(*row[_UPDATE:_RESERVE]) if row.subject_id is not None else None,
            ConsentsRow(*row[_RESERVE:]) if row.subject_id is not None and row.linked is not None else None,
        )
        for row in tx.execute(_sendable(linked_only), {"most": limit})
    ]


@cache
def _sendable(linked_only: bool) -> sa.Select[Any]:
    """Looked for often: putting the query together takes longer than asking it."""
    first = hold_updates.alias()
    reserve_left = sa.exists().where(
        first.c.hold_id == hold_updates.c.hold_id, first.c.change == "reserve", first.c.seq.is_not(None)
    )
    may_reserve = sa.and_(
        subjects.c.account_id.is_not(None), subjects.c.redeem, ~subjects.c.erasing, subjects.c.linked != UNLINKING
    )
    if linked_only:
        may_reserve = sa.and_(may_reserve, subjects.c.linked != 0)
    of_another = redemptions.c.redemption_id.is_(None)  # a refund of one's own benefit, redeemed elsewhere
    of_subject = [subjects.c[name] for name in ConsentsRow._fields]
    of_redemption = [redemptions.c[name] for name in ReserveRow._fields]
    return (
        sa.select(hold_updates, *of_redemption, *of_subject)
        .outerjoin(redemptions, redemptions.c.hold_id == hold_updates.c.hold_id)
        .outerjoin(subjects, subjects.c.subject_id == redemptions.c.subject_id)
        .where(hold_updates.c.state == HoldUpdateState.QUEUED, hold_updates.c.seq.is_(None))
        .where(sa.or_(of_another, reserve_left, may_reserve))
        .order_by(hold_updates.c.update_id)
        .limit(sa.bindparam("most", type_=sa.Integer))
    )


def queued(tx: sa.Connection) -> int:
    """How many hold updates have no receipt yet."""
    query = sa.select(sa.func.count()).select_from(hold_updates).where(hold_updates.c.state == HoldUpdateState.QUEUED)
    return tx.execute(query).scalar_one()


def seal(tx: sa.Connection, seq: int, update_ids: Sequence[int]) -> None:
    """These stand in the sealed batch ``seq``."""
    update_where_in(tx, hold_updates, hold_updates.c.update_id, update_ids, seq=seq)


def unseal(tx: sa.Connection, seq: int) -> None:
    """The batch was refused: its hold updates are queued again."""
    change = hold_updates.update().where(hold_updates.c.seq == seq, hold_updates.c.state == HoldUpdateState.QUEUED)
    tx.execute(change.values(seq=None))


def unsettle(tx: sa.Connection, seq: int) -> None:
    """What came of the hold updates in batch ``seq`` and behind it counts no more: they are on their way again."""
    behind = (hold_updates.c.seq >= seq, hold_updates.c.state != HoldUpdateState.QUEUED)
    holds = list(tx.execute(sa.select(hold_updates.c.hold_id).where(*behind).distinct()).scalars())
    tx.execute(hold_updates.update().where(*behind).values(state=HoldUpdateState.QUEUED, reason=0))
    for hold_id in holds:
        own = (redemptions.c.hold_id == hold_id, redemptions.c.state != RedemptionState.DROPPED)
        tx.execute(redemptions.update().where(*own).values(_as_told(of_hold(tx, hold_id))))


def _as_told(updates: Iterable[HoldUpdateRow]) -> dict[str, Any]:
    """How a redemption stands by what came of those of its updates that have their receipt."""
    found: dict[str, Any] = {
        "state": RedemptionState.ASKED,
        "reason": 0,
        "posted": 0,
        "refunded": 0,
    }
    for row in updates:
        match row.change, row.state:
            case "reserve", HoldUpdateState.SETTLED:
                found["state"] = RedemptionState.HELD
            case "post", HoldUpdateState.SETTLED:
                found |= {"state": RedemptionState.POSTED, "posted": row.credits}
            case "void", HoldUpdateState.SETTLED:
                found["state"] = RedemptionState.VOIDED
            case "refund", HoldUpdateState.SETTLED:
                found |= {"state": RedemptionState.REFUNDED, "refunded": row.credits}
            case "post" | "void", HoldUpdateState.DECLINED if (
                row.reason == DECLINE_REASON_HOLD_ENDED and found["state"] == RedemptionState.HELD
            ):
                found["state"] = RedemptionState.EXPIRED
    return found


def settle(tx: sa.Connection, seq: int, reasons: Mapping[bytes, int], appended_at: int) -> None:
    """The batch has its receipt; ``reasons`` has each op_id's reason, 0 if it took effect."""
    sent = (hold_updates.c.seq == seq, hold_updates.c.state == HoldUpdateState.QUEUED)
    query = sa.select(hold_updates).where(*sent).order_by(hold_updates.c.update_id)
    for row in rows_as(HoldUpdateRow, tx.execute(query)):
        reason = reasons[row.op_id]
        own = hold_updates.c.update_id == row.update_id
        tx.execute(
            hold_updates.update()
            .where(own)
            .values(state=HoldUpdateState.DECLINED if reason else HoldUpdateState.SETTLED, reason=reason)
        )
        if row.change == "reserve" and reason:
            later = (hold_updates.c.hold_id == row.hold_id, hold_updates.c.seq.is_(None))
            tx.execute(hold_updates.delete().where(*later))
        if changes := _what_came_of(tx, row, reason, appended_at):
            its = (
                redemptions.c.hold_id == row.hold_id,
                redemptions.c.state.in_((*OPEN, RedemptionState.POSTED, *_TAKEN_BACK)),
            )
            if "state" in changes:  # after a cut the receipt of what came before that may come after its own
                last = redemptions.c.state.in_(_TAKEN_BACK)
                changes["state"] = sa.case((last, redemptions.c.state), else_=changes["state"])
            tx.execute(redemptions.update().where(*its).values(changes))


def _what_came_of(tx: sa.Connection, row: HoldUpdateRow, reason: int, appended_at: int) -> dict[str, Any]:
    """How a hold update's outcome changes its redemption."""
    ended = {"decided_at": appended_at}
    match row.change, reason:
        case "reserve", 0:
            deadline = sa.cast(redemptions.c.ttl_seconds, sa.BigInteger) * 1000 + sa.literal(appended_at, sa.BigInteger)
            return {"state": RedemptionState.HELD, "deadline": deadline}
        case "reserve", _:
            return ended | {"state": RedemptionState.DECLINED, "reason": reason}
        case "post", 0:
            number = sa.func.coalesce(redemptions.c.number, _next_number(tx))  # on paper it is in somebody's hands
            return ended | {"state": RedemptionState.POSTED, "posted": row.credits, "number": number}
        case "void", 0:
            return ended | {"state": RedemptionState.VOIDED}
        case "refund", 0:
            return {
                "state": RedemptionState.REFUNDED,
                "refunded": row.credits,
            }  # its receipt keeps its year
        case "post" | "void", int(declined) if declined == DECLINE_REASON_HOLD_ENDED:
            return ended | {
                "state": sa.case(
                    (redemptions.c.state == RedemptionState.HELD, RedemptionState.EXPIRED), else_=redemptions.c.state
                )
            }
        case _:
            return {}


def _next_number(tx: sa.Connection) -> int:
    return (tx.execute(sa.select(sa.func.max(redemptions.c.number))).scalar() or 0) + 1


def drop(tx: sa.Connection, hold_ids: Iterable[bytes]) -> int:
    """Give up those of these redemptions of which nothing has left, nor the benefit; how many that were."""
    dropped = 0
    for hold_id in hold_ids:
        risked = sa.select(redemptions.c.on_own_risk).where(redemptions.c.hold_id == hold_id)
        if any(row.seq is not None for row in of_hold(tx, hold_id)) or tx.execute(risked).scalar():
            continue
        tx.execute(hold_updates.delete().where(hold_updates.c.hold_id == hold_id))
        own = (redemptions.c.hold_id == hold_id, redemptions.c.state == RedemptionState.ASKED)
        dropped += tx.execute(redemptions.update().where(*own).values(state=RedemptionState.DROPPED)).rowcount
    return dropped


def drop_update(tx: sa.Connection, op_id: bytes) -> bool:
    """Drop an update that is queued and has not left; whether there was one."""
    unsent = (hold_updates.c.seq.is_(None), hold_updates.c.state == HoldUpdateState.QUEUED)
    return bool(tx.execute(hold_updates.delete().where(hold_updates.c.op_id == op_id, *unsent)).rowcount)


def hold_ids_of(tx: sa.Connection, subject_ids: Iterable[int]) -> set[bytes]:
    """The holds of these subjects' redemptions that count for their accounts."""
    rows = rows_where_in(tx, redemptions, redemptions.c.subject_id, subject_ids)
    return {row.hold_id for row in rows if not row.is_over}


def end(tx: sa.Connection, subject_ids: Collection[int]) -> None:
    """What these subjects redeemed is over with their account."""
    decided = (redemptions.c.subject_id.in_(subject_ids), redemptions.c.state != RedemptionState.ASKED)
    tx.execute(redemptions.update().where(*decided).values(is_over=True))


def asked_by(tx: sa.Connection, subject_id: int) -> list[bytes]:
    """The hold ids of the subject's redemptions that the hub has not answered."""
    own = (redemptions.c.subject_id == subject_id, redemptions.c.state == RedemptionState.ASKED)
    return list(tx.execute(sa.select(redemptions.c.hold_id).where(*own)).scalars())


_LASTED = sa.cast(redemptions.c.ttl_seconds, sa.BigInteger) * 1000
_STALE = sa.select(redemptions.c.hold_id).where(
    redemptions.c.state == RedemptionState.ASKED,
    ~redemptions.c.on_own_risk,
    redemptions.c.asked_at + _LASTED <= sa.bindparam("now"),
)
_AGREES = sa.exists().where(subjects.c.subject_id == redemptions.c.subject_id, subjects.c.redeem)
_SEALED = sa.exists().where(hold_updates.c.hold_id == redemptions.c.hold_id, hold_updates.c.seq.is_not(None))
_LOST = sa.select(redemptions.c.hold_id).where(
    redemptions.c.state == RedemptionState.ASKED, redemptions.c.on_own_risk, ~_AGREES, ~_SEALED
)


def drop_stale(tx: sa.Connection, now: int) -> None:
    """What could not be sent while its hold would have lasted is given up: nobody waits at the counter any more.

    What was handed out on own risk to somebody who does not agree to redeem any more is the agency's loss.
    """
    drop(tx, list(tx.execute(_STALE, {"now": now}).scalars()))
    for hold_id in list(tx.execute(_LOST).scalars()):
        tx.execute(hold_updates.delete().where(hold_updates.c.hold_id == hold_id))
        own = redemptions.c.hold_id == hold_id
        tx.execute(
            redemptions.update().where(own).values(state=RedemptionState.DECLINED, reason=DECLINE_REASON_NOT_LINKED)
        )


_ON_ITS_WAY = _SEALED.where(hold_updates.c.state == HoldUpdateState.QUEUED)
_OVER = sa.select(redemptions.c.hold_id).where(
    redemptions.c.state == RedemptionState.HELD, redemptions.c.deadline <= sa.bindparam("now"), ~_ON_ITS_WAY
)


def expire(tx: sa.Connection, now: int) -> None:
    """Holds whose deadline has passed by the hub's clock are over, unless something of them is on its way."""
    holds = list(tx.execute(_OVER, {"now": now}).scalars())
    if holds:
        unsent = sa.and_(hold_updates.c.hold_id.in_(holds), hold_updates.c.seq.is_(None))
        tx.execute(hold_updates.delete().where(unsent))
        change = redemptions.update().where(redemptions.c.hold_id.in_(holds))
        tx.execute(change.values(state=RedemptionState.EXPIRED, decided_at=redemptions.c.deadline))


def on_own_risk(tx: sa.Connection, subject_id: int) -> int:
    """Credits that were handed out to the subject while the hub was away and are not settled."""
    risked = (redemptions.c.subject_id == subject_id, redemptions.c.on_own_risk, redemptions.c.state.in_(OPEN))
    return int(
        tx.execute(sa.select(sa.func.coalesce(sa.func.sum(redemptions.c.credits), 0)).where(*risked)).scalar_one()
    )
