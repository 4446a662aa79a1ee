"""Orphans: awards that stand at the hub and whose deed is not here, and what two people decide about each.

A deed with the same subject, dimension, month and credits adopts one, instead of being awarded again.  An orphan has no
deed id; its subject may be one that nobody here can name yet.
"""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from samprasan.edge.database import delete_where_in, rows_as, rows_where_in, update_where_in, upsert_rows
from samprasan.node.rows import AwardRow, KeptRow, OrphanRow
from samprasan.node.states import AwardState
from samprasan.node.tables import awards, decisions, deeds, subjects

NO_DEED = 0
_ERASED = "erase"  # who decided
_TAKEN_BACK = (~decisions.c.keep, decisions.c.checker.is_not(None))
_STANDS = (awards.c.deed_id == NO_DEED, awards.c.state == AwardState.SETTLED, awards.c.reverse_reason == 0)


_AWARD = len(AwardRow._fields)


def every(tx: sa.Connection) -> list[OrphanRow]:
    """Orphans of subjects that still have an account, oldest first, with what is decided."""
    query = (
        sa.select(
            awards, subjects.c.account_id, subjects.c.share, decisions.c.keep, decisions.c.maker, decisions.c.checker
        )
        .join(subjects, subjects.c.subject_id == awards.c.subject_id)
        .outerjoin(decisions, decisions.c.award_id == awards.c.award_id)
        .where(*_STANDS, subjects.c.account_id.is_not(None))
    )
    found = tx.execute(query.order_by(awards.c.award_id))
    return [OrphanRow(AwardRow(*row[:_AWARD]), *row[_AWARD:]) for row in found]


def undecided(tx: sa.Connection) -> int:
    """How many wait for a deed or a decision."""
    return sum(row.checker is None for row in every(tx))


def propose_decision(tx: sa.Connection, award_ids: Iterable[int], maker: str, *, keep: bool) -> None:
    """Somebody proposes to keep these, or to take them back."""
    upsert_rows(tx, decisions, [(award_id, keep, maker, None) for award_id in award_ids])


def confirm_decision(tx: sa.Connection, award_ids: Sequence[int], checker: str) -> None:
    """Somebody else agrees."""
    update_where_in(tx, decisions, decisions.c.award_id, award_ids, checker=checker)


def undecide(tx: sa.Connection, op_ids: Iterable[bytes]) -> None:
    """Of these updates, those that were to take an orphan back were declined: it is to be decided anew."""
    for row in list(rows_where_in(tx, awards, awards.c.op_id, op_ids)):
        if row.deed_id == NO_DEED and row.reverse_reason:
            taken = sa.select(awards.c.award_id).where(awards.c.op_id == row.replaces, awards.c.deed_id == NO_DEED)
            tx.execute(decisions.delete().where(decisions.c.award_id.in_(taken)))


def keep_erased(tx: sa.Connection, subject_id: int) -> None:
    """The subject's deeds are to be erased: what was told of them on others' accounts stays there without a deed."""
    own = sa.select(deeds.c.deed_id).where(deeds.c.subject_id == subject_id)
    others = (awards.c.deed_id.in_(own), awards.c.subject_id != subject_id)
    told = tx.execute(sa.select(awards.c.award_id).where(*others, awards.c.reverse_reason == 0)).scalars()
    upsert_rows(tx, decisions, [(award_id, True, _ERASED, _ERASED) for award_id in told])
    tx.execute(awards.update().where(*others).values(deed_id=NO_DEED))


def end_replaced(tx: sa.Connection, op_ids: Iterable[bytes]) -> set[int]:
    """Others took the place of these awards: nobody else says so if their successors were erased on the way.

    Returns the deeds that were thought to have one of them.
    """
    stand = rows_where_in(tx, awards, awards.c.op_id, op_ids, state=AwardState.SETTLED)
    over = {row.award_id: row.deed_id for row in rows_as(AwardRow, stand)}
    update_where_in(tx, awards, awards.c.award_id, over, state=AwardState.REPLACED)
    return set(over.values()) - {NO_DEED}


def stand_again(tx: sa.Connection, op_ids: Iterable[bytes]) -> None:
    """What was to take the place of these awards did not, behind a cut: those that nothing else replaces stand."""
    later = awards.alias()
    named = [row.award_id for row in rows_as(AwardRow, rows_where_in(tx, awards, awards.c.op_id, op_ids))]
    for award_id in named:
        is_replaced = sa.exists().where(later.c.replaces == awards.c.op_id, later.c.state != AwardState.DECLINED)
        erased = (awards.c.award_id == award_id, awards.c.state == AwardState.REPLACED, ~is_replaced)
        tx.execute(awards.update().where(*erased).values(state=AwardState.SETTLED))


def kept(tx: sa.Connection) -> list[KeptRow]:
    """Orphans that two people keep: subject, dimension and credits."""
    query = sa.select(*(awards.c[name] for name in KeptRow._fields)).join(
        decisions, decisions.c.award_id == awards.c.award_id
    )
    return rows_as(KeptRow, tx.execute(query.where(*_STANDS, decisions.c.keep, decisions.c.checker.is_not(None))))


def adopt_orphans(tx: sa.Connection) -> int:
    """Give first awards that wait to be sealed the orphans that say the same; how many.

    An orphan that is just being taken back is none.
    """
    orphan, later = awards.alias(), awards.alias()
    same = sa.and_(
        orphan.c.subject_id == awards.c.subject_id,
        orphan.c.dimension == awards.c.dimension,
        orphan.c.month == awards.c.month,
        orphan.c.credits == awards.c.credits,
        orphan.c.deed_id == NO_DEED,
        orphan.c.state == AwardState.SETTLED,
        orphan.c.reverse_reason == 0,
        ~sa.exists().where(decisions.c.award_id == orphan.c.award_id, *_TAKEN_BACK),
        ~sa.exists().where(
            later.c.deed_id == NO_DEED, later.c.replaces == orphan.c.op_id, later.c.state == AwardState.QUEUED
        ),
    )
    first = (
        awards.c.state == AwardState.QUEUED,
        awards.c.seq.is_(None),
        awards.c.replaces.is_(None),
        awards.c.reverse_reason == 0,
        awards.c.deed_id != NO_DEED,
    )
    query = sa.select(orphan.c.award_id, awards.c.award_id.label("queued_id"), awards.c.deed_id)
    adopted: set[int] = set()
    given: dict[int, int] = {}
    for row in tx.execute(query.select_from(orphan.join(awards, same)).where(*first).order_by(orphan.c.award_id)):
        if row.award_id not in given and row.queued_id not in adopted:
            adopted.add(row.queued_id)
            given[row.award_id] = row.deed_id
    for award_id, deed_id in given.items():
        tx.execute(awards.update().where(awards.c.award_id == award_id).values(deed_id=deed_id))
    delete_where_in(tx, awards, awards.c.award_id, adopted)
    delete_where_in(tx, decisions, decisions.c.award_id, given)
    return len(given)
