"""Awards: what the hub was told, or is to be told, of each deed; the queued ones are the outbox.

A deed's awards follow each other: a later one replaces or takes back the one before.  A settled award is what the hub
holds now; a queued one without batch can still change, a queued one with a batch is on its way.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from samprasan.edge.database import delete_where_in, insert_rows, rows_where_in, take_turn, update_where_in
from samprasan.node.rows import AwardRow, ConsentsRow, SendableAward
from samprasan.node.states import UNTOLD, AwardState
from samprasan.node.store.links import UNLINKING
from samprasan.node.tables import awards, subjects
from samprasan.v1.log_pb2 import PURPOSE_SHARE, REVERSE_REASON_IMPORT_UNDONE

_AWARD = len(AwardRow._fields)


def lock(tx: sa.Connection) -> None:
    """Keep everybody else from changing awards until the transaction ends.

    Importing, undoing, sealing and settling each decide by what awards there are, so they take turns: a batch sealed
    beside an import could carry an award that the import is about to replace.  SQLite has one writer anyway.
    """
    take_turn(tx, "samprasan: awards")


_NEWEST = sa.select(sa.func.max(awards.c.award_id))


def next_id(tx: sa.Connection) -> int:
    """An award id above all in use; the caller holds the lock on importing."""
    return (tx.execute(_NEWEST).scalar() or 0) + 1


def add(tx: sa.Connection, rows: Sequence[AwardRow]) -> None:
    """New awards."""
    insert_rows(tx, awards, rows)


def remove(tx: sa.Connection, award_ids: Iterable[int]) -> None:
    """Awards that were never sealed."""
    delete_where_in(tx, awards, awards.c.award_id, award_ids)


def mark_orphan(tx: sa.Connection, award_id: int) -> None:
    """The award's deed is not here any more."""
    tx.execute(awards.update().where(awards.c.award_id == award_id).values(deed_id=0))


def adopt_award(tx: sa.Connection, award_id: int, deed_id: int) -> None:
    """An award that had lost its deed has this one."""
    tx.execute(awards.update().where(awards.c.award_id == award_id).values(deed_id=deed_id))


def forget(tx: sa.Connection, deed_ids: Iterable[int]) -> None:
    """All awards of deeds of which nothing stands at the hub."""
    delete_where_in(tx, awards, awards.c.deed_id, deed_ids)


def erase(tx: sa.Connection, subject_id: int) -> list[int]:
    """Delete every award about the subject; the deeds they were of."""
    own = awards.c.subject_id == subject_id
    deed_ids = list(tx.execute(sa.select(awards.c.deed_id).where(own).distinct()).scalars())
    tx.execute(awards.delete().where(own))
    return deed_ids


def of_deeds(tx: sa.Connection, deed_ids: Iterable[int]) -> dict[int, list[AwardRow]]:
    """Deed id → its awards, oldest first."""
    found: dict[int, list[AwardRow]] = {}
    for row in sorted(rows_where_in(tx, awards, awards.c.deed_id, deed_ids), key=lambda each: int(each[0])):
        found.setdefault(row[1], []).append(AwardRow(*row))
    return found


def deeds_told_of(tx: sa.Connection, subject_ids: Iterable[int]) -> set[int]:
    """The deeds with an award to these subjects, whosever they are now."""
    return {row[1] for row in rows_where_in(tx, awards, awards.c.subject_id, subject_ids) if row[1]}


def of_op_ids(tx: sa.Connection, op_ids: Iterable[bytes]) -> dict[bytes, AwardRow]:
    """Op id → award or reversal, of those that are known."""
    return {row.op_id: AwardRow(*row) for row in rows_where_in(tx, awards, awards.c.op_id, op_ids)}


def waiting(tx: sa.Connection) -> set[int]:
    """The deeds of awards and reversals that wait to be sealed."""
    query = sa.select(awards.c.deed_id).where(awards.c.state.in_(UNTOLD), awards.c.seq.is_(None), awards.c.deed_id != 0)
    return set(tx.execute(query.distinct()).scalars())


def sendable(tx: sa.Connection, limit: int, *, linked_only: bool = False) -> list[SendableAward]:
    """Queued awards of consenting subjects with an account, in the order they came, with what a Link needs.

    A correction waits until what it corrects has its receipt.
    """
    found = tx.execute(_sendable(linked_only), {"most": limit})
    return [SendableAward(AwardRow(*row[:_AWARD]), ConsentsRow(*row[_AWARD:])) for row in found]


@cache
def _sendable(linked_only: bool) -> sa.Select[Any]:
    """Looked for often: putting the query together takes longer than asking it."""
    before = awards.alias()
    has_its_receipt = sa.exists().where(
        before.c.deed_id == awards.c.deed_id,
        before.c.op_id == awards.c.replaces,
        before.c.state.in_((AwardState.SETTLED, AwardState.REPLACED)),
    )
    query = (
        sa.select(awards, *(subjects.c[name] for name in ConsentsRow._fields))
        .join(subjects, subjects.c.subject_id == awards.c.subject_id)
        .where(awards.c.state == AwardState.QUEUED, awards.c.seq.is_(None), _may_leave())
        .where(subjects.c.account_id.is_not(None), subjects.c.linked != UNLINKING)
        .where(sa.or_(awards.c.replaces.is_(None), has_its_receipt))
        .order_by(awards.c.award_id)
        .limit(sa.bindparam("most", type_=sa.Integer))
    )
    return query.where(subjects.c.linked != 0) if linked_only else query


def _may_leave() -> sa.ColumnElement[bool]:
    """The subject consents; or what a wrong import told of it is taken back, over the Link that is still open."""
    is_linked = subjects.c.linked.op("&")(1 << PURPOSE_SHARE) != 0
    return sa.or_(subjects.c.share, sa.and_(awards.c.reverse_reason == REVERSE_REASON_IMPORT_UNDONE, is_linked))


def seal(tx: sa.Connection, seq: int, award_ids: Sequence[int]) -> None:
    """These awards stand in the sealed batch ``seq``."""
    update_where_in(tx, awards, awards.c.award_id, award_ids, seq=seq)


class Came(NamedTuple):
    """What came of an award or a reversal: why it was declined, or how much of it is left and owed."""

    reason: int
    reverse_reason: int
    left: int
    owed: int


def settle(tx: sa.Connection, seq: int, came: Mapping[bytes, Came]) -> set[int]:
    """The batch's awards are settled, or declined; what those replace that took effect no longer is.

    What waits to correct a declined award corrects the one before it instead; what waits to correct a reversal is a
    first award, which restores what was taken back.  A reversal that had to leave something stands as an award of that.
    Returns the deeds the batch was about.
    """
    sent = (awards.c.seq == seq, awards.c.state == AwardState.QUEUED)
    rows = [AwardRow(*row) for row in tx.execute(sa.select(awards).where(*sent))]
    tx.execute(awards.update().where(*sent).values(state=AwardState.SETTLED))
    for row in rows:
        own = awards.c.award_id == row.award_id
        told = came[row.op_id]
        if told.reason:
            tx.execute(awards.update().where(own).values(state=AwardState.DECLINED, reason=told.reason))
            _correct_instead(tx, row, row.replaces)
        elif row.replaces is not None:
            replaced = (awards.c.deed_id == row.deed_id, awards.c.op_id == row.replaces)
            has_receipt = awards.c.state == AwardState.SETTLED
            tx.execute(awards.update().where(*replaced, has_receipt).values(state=AwardState.REPLACED))
            if told.owed:
                tx.execute(awards.update().where(own).values(owed=told.owed))
            if told.left:
                before = tx.execute(sa.select(awards).where(*replaced)).first()
                _leave(tx, row, AwardRow(*before) if before is not None else row, told.left)
            elif told.reverse_reason:
                if not row.reverse_reason:  # it had to leave something, before a cut
                    tx.execute(awards.update().where(own).values(reverse_reason=told.reverse_reason, credits=0))
                _correct_instead(tx, row, None)
    return {row.deed_id for row in rows}


def _leave(tx: sa.Connection, reversal: AwardRow, before: AwardRow, left: int) -> None:
    """The reversal stands as what it had to leave of the award before it."""
    said = {"dimension": before.dimension, "month": before.month, "policy_version": before.policy_version}
    own = awards.c.award_id == reversal.award_id
    tx.execute(awards.update().where(own).values(reverse_reason=0, credits=left, subject_id=before.subject_id, **said))


def _correct_instead(tx: sa.Connection, ended: AwardRow, instead: bytes | None) -> None:
    """What waits to correct ``ended`` corrects ``instead``; with nothing left to correct, a reversal is not needed."""
    own = (awards.c.deed_id == ended.deed_id, awards.c.replaces == ended.op_id)
    waiting = (*own, awards.c.state.in_(UNTOLD), awards.c.seq.is_(None))
    if instead is None:
        tx.execute(awards.delete().where(*waiting, awards.c.reverse_reason != 0))
        here = awards.c.subject_id == ended.subject_id
        tx.execute(awards.update().where(*waiting, here).values(restores=ended.replaces))
    tx.execute(awards.update().where(*waiting).values(replaces=instead))


def end(tx: sa.Connection, subject_ids: Collection[int]) -> None:
    """What these subjects were awarded is over with their account, and so is what was to correct it."""
    own = awards.c.subject_id.in_(subject_ids)
    told = (own, awards.c.state.in_((AwardState.SETTLED, AwardState.REPLACED)))
    tx.execute(awards.update().where(*told).values(state=AwardState.OVER))
    over = awards.alias()
    of_the_same = (over.c.deed_id == awards.c.deed_id, over.c.subject_id == awards.c.subject_id)
    corrects = sa.exists().where(*of_the_same, over.c.state == AwardState.OVER)
    tx.execute(awards.delete().where(own, awards.c.state.in_(UNTOLD), awards.c.seq.is_(None), corrects))


def put_off(tx: sa.Connection, deed_ids: Collection[int]) -> None:
    """What waits to be sealed of these deeds is for another day."""
    waiting = (awards.c.state == AwardState.QUEUED, awards.c.seq.is_(None))
    tx.execute(awards.update().where(awards.c.deed_id.in_(deed_ids), *waiting).values(state=AwardState.WAITING))


def put_off_all(tx: sa.Connection) -> None:
    """Nothing more is awarded today; what is taken back or becomes less goes on."""
    before = awards.alias()
    is_no_more = sa.exists().where(
        before.c.deed_id == awards.c.deed_id,
        before.c.op_id == awards.c.replaces,
        before.c.subject_id == awards.c.subject_id,
        before.c.credits >= awards.c.credits,
    )
    waiting = (awards.c.state == AwardState.QUEUED, awards.c.seq.is_(None), awards.c.reverse_reason == 0)
    tx.execute(awards.update().where(*waiting, ~is_no_more).values(state=AwardState.WAITING))


def take_up(tx: sa.Connection) -> None:
    """Another day has come: what was put off is queued again."""
    tx.execute(awards.update().where(awards.c.state == AwardState.WAITING).values(state=AwardState.QUEUED))


def end_replaced(tx: sa.Connection, seq: int) -> None:
    """Of the batch's awards, those that a later batch replaced whose receipt came first.

    That comes of a cut: batches whose receipts count no more are on their way beside each other.
    """
    later = awards.alias()
    replaced = sa.exists().where(
        later.c.deed_id == awards.c.deed_id,
        later.c.replaces == awards.c.op_id,
        later.c.state.in_((AwardState.SETTLED, AwardState.REPLACED)),
    )
    mine = (awards.c.seq == seq, awards.c.state == AwardState.SETTLED, replaced)
    tx.execute(awards.update().where(*mine).values(state=AwardState.REPLACED))


def orphan_doubled(tx: sa.Connection, seq: int) -> None:
    """Of deeds in the batch for which the hub holds two awards, the older one loses its deed: people decide of it.

    That comes of a cut: an award that had been declined, and was made anew for another account, may have taken effect.
    A deed of which another award is still on its way is looked at when that has its receipt.
    """
    later, mine, waiting = awards.alias(), awards.alias(), awards.alias()
    on_its_way = sa.exists().where(
        waiting.c.deed_id == mine.c.deed_id, waiting.c.state == AwardState.QUEUED, waiting.c.seq.is_not(None)
    )
    in_batch = sa.select(mine.c.deed_id).where(mine.c.seq == seq, mine.c.deed_id != 0, ~on_its_way)
    stands = (awards.c.state == AwardState.SETTLED, awards.c.reverse_reason == 0, awards.c.deed_id.in_(in_batch))
    newer = sa.exists().where(
        later.c.deed_id == awards.c.deed_id,
        later.c.award_id > awards.c.award_id,
        later.c.state == AwardState.SETTLED,
        later.c.reverse_reason == 0,
    )
    doubled = list(tx.execute(sa.select(awards.c.award_id).where(*stands, newer)).scalars())
    update_where_in(tx, awards, awards.c.award_id, doubled, deed_id=0)


def op_ids_in(tx: sa.Connection, seq: int) -> set[bytes]:
    """The op_ids of the awards and reversals in the batch ``seq`` that are kept here."""
    return set(tx.execute(sa.select(awards.c.op_id).where(awards.c.seq == seq)).scalars())


def deeds_of(tx: sa.Connection, seq: int, op_ids: Iterable[bytes]) -> set[int]:
    """The deeds of these awards of the batch ``seq``."""
    rows = tx.execute(sa.select(awards.c.deed_id, awards.c.op_id).where(awards.c.seq == seq))
    named = set(op_ids)
    return {row.deed_id for row in rows if row.op_id in named}


def moved_in_vain(tx: sa.Connection, seq: int, op_ids: Iterable[bytes]) -> set[int]:
    """The deeds of those of these awards of the batch that were to take the place of an award to somebody else."""
    before = awards.alias()
    query = sa.select(awards.c.deed_id, awards.c.op_id).where(
        awards.c.seq == seq,
        before.c.deed_id == awards.c.deed_id,
        before.c.op_id == awards.c.replaces,
        before.c.subject_id != awards.c.subject_id,
    )
    named = set(op_ids)
    return {row.deed_id for row in tx.execute(query) if row.op_id in named}


def unseal(tx: sa.Connection, seq: int) -> set[int]:
    """The batch was refused: its awards are queued again; the deeds they are about."""
    rows = tx.execute(sa.select(awards.c.deed_id).where(awards.c.seq == seq, awards.c.state == AwardState.QUEUED))
    deed_ids = {row.deed_id for row in rows}
    tx.execute(awards.update().where(awards.c.seq == seq, awards.c.state == AwardState.QUEUED).values(seq=None))
    return deed_ids


def unsettle(tx: sa.Connection, seq: int) -> set[int]:
    """What came of the awards in batch ``seq`` and behind it counts no more; the deeds they are about.

    They are on their way again, and what they had replaced stands again if it was told before.
    """
    behind = awards.c.seq >= seq
    later = awards.alias()
    replaced_since = sa.exists().where(
        later.c.deed_id == awards.c.deed_id, later.c.replaces == awards.c.op_id, later.c.seq >= seq
    )
    tx.execute(
        awards.update()
        .where(awards.c.seq < seq, awards.c.state == AwardState.REPLACED, replaced_since)
        .values(state=AwardState.SETTLED)
    )
    deed_ids = set(tx.execute(sa.select(awards.c.deed_id).where(behind).distinct()).scalars())
    is_over = awards.c.state == AwardState.OVER
    tx.execute(awards.update().where(behind, ~is_over).values(state=AwardState.QUEUED, reason=0))
    return deed_ids


def queued(tx: sa.Connection) -> int:
    """How many awards of consenting subjects have no receipt yet."""
    query = (
        sa.select(sa.func.count())
        .select_from(awards.join(subjects, subjects.c.subject_id == awards.c.subject_id))
        .where(awards.c.state == AwardState.QUEUED, _may_leave())
    )
    return tx.execute(query).scalar_one()


def by_state(tx: sa.Connection) -> dict[str, int]:
    """State → how many awards."""
    rows = tx.execute(sa.select(awards.c.state, sa.func.count()).group_by(awards.c.state))
    return {row[0]: row[1] for row in rows}


def settled_credits(tx: sa.Connection, subject_id: int | None = None) -> int:
    """Credits of settled awards, of one subject or of all."""
    query = sa.select(sa.func.coalesce(sa.func.sum(awards.c.credits), 0)).where(awards.c.state == AwardState.SETTLED)
    if subject_id is not None:
        query = query.where(awards.c.subject_id == subject_id)
    return int(tx.execute(query).scalar_one())
