"""What the node's own records say of each account: deeds that the hub was told of, and redemptions.

Of a deed whose newest update has not left yet, or may not leave for want of consent, counts what the hub was told; of
every other what the deed itself says, so that a deed that was changed behind the program's back shows.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from samprasan.edge.database import rows_where_in
from samprasan.ledger.contributions import NOTHING, Contribution, awarded
from samprasan.node.rows import AwardRow, DeedRow
from samprasan.node.states import UNTOLD, AwardState
from samprasan.node.store import orphans as orphans_store
from samprasan.node.tables import awards, deeds, redemptions, subjects
from samprasan.v1.log_pb2 import PURPOSE_SHARE

_OPEN = 2  # purposes above bit 0


class Suspect(NamedTuple):
    """A deed that is not what the hub was told: ``what`` is edited, deleted, doubled or orphaned.

    Of a deleted deed no record id is left; an orphaned award has lost its deed with the database.
    """

    subject_id: int
    what: str
    record_id: str


def linked(tx: sa.Connection) -> dict[int, bytes]:
    """Subject → account, of those whose Link the hub has confirmed."""
    query = sa.select(subjects.c.subject_id, subjects.c.account_id)
    rows = tx.execute(query.where(subjects.c.account_id.is_not(None), subjects.c.link_settled >= _OPEN))
    return {row.subject_id: row.account_id for row in rows}


def by_subject(tx: sa.Connection) -> dict[int, Contribution]:
    """Subject → what the records say this agency did to its account."""
    found: dict[int, Contribution] = {}
    for query in (_sums_told(), _sums_untold()):
        for row in tx.execute(query):
            found[row[0]] = found.get(row[0], NOTHING).plus(awarded(row[1], int(row[2])))
    spent = sa.func.sum(redemptions.c.posted - redemptions.c.refunded)
    for kept in orphans_store.kept(tx):
        found[kept.subject_id] = found.get(kept.subject_id, NOTHING).plus(awarded(kept.dimension, kept.credits))
    for subject_id, credits_ in tx.execute(
        sa.select(redemptions.c.subject_id, spent).where(~redemptions.c.is_over).group_by(redemptions.c.subject_id)
    ):
        found[subject_id] = found.get(subject_id, NOTHING).plus(Contribution(spent=int(credits_)))
    return found


def _pending() -> sa.ColumnElement[bool]:
    """Whether an update of the award's deed has not got its receipt."""
    later = awards.alias()
    return sa.exists().where(later.c.deed_id == awards.c.deed_id, later.c.state.in_(UNTOLD))


def _kept_back() -> sa.ColumnElement[bool]:
    """Whether the award stays as it is, whatever the deed says.

    Its record, or its subject, says no; or it is to somebody else who does not share any more.
    """
    agrees = sa.exists().where(subjects.c.subject_id == deeds.c.subject_id, subjects.c.share)
    shares = subjects.c.linked.op("&")(1 << PURPOSE_SHARE) != 0
    in_reach = sa.exists().where(
        subjects.c.subject_id == awards.c.subject_id, subjects.c.account_id.is_not(None), shares
    )
    return sa.or_(~deeds.c.share, ~agrees, sa.and_(awards.c.subject_id != deeds.c.subject_id, ~in_reach))


def _sums_told() -> sa.Select[int, int, int]:
    """Deeds with an award that stands."""
    pending = sa.or_(_pending(), _kept_back())
    subject_id = sa.case((pending, awards.c.subject_id), else_=deeds.c.subject_id).label("subject_id")
    dimension = sa.case((pending, awards.c.dimension), else_=deeds.c.dimension).label("dimension")
    credits_ = sa.case((pending, awards.c.credits), else_=deeds.c.credits).label("credits")
    each = (
        sa.select(subject_id, dimension, credits_)
        .join(deeds, deeds.c.deed_id == awards.c.deed_id)
        .where(awards.c.state == AwardState.SETTLED, awards.c.reverse_reason == 0)
        .subquery()
    )
    return sa.select(each.c.subject_id, each.c.dimension, sa.func.sum(each.c.credits)).group_by(
        each.c.subject_id, each.c.dimension
    )


def _untold_deeds() -> Sequence[sa.ColumnElement[bool]]:
    """Deeds that should have an award and have none: the importer never leaves one so."""
    has_award = sa.exists().where(awards.c.deed_id == deeds.c.deed_id)
    shared = (deeds.c.status == "verified", deeds.c.share, ~deeds.c.gone, subjects.c.share)
    return (*shared, deeds.c.credits > 0, ~has_award)


def _sums_untold() -> sa.Select[int, int, int]:
    return (
        sa.select(deeds.c.subject_id, deeds.c.dimension, sa.func.sum(deeds.c.credits))
        .join(subjects, subjects.c.subject_id == deeds.c.subject_id)
        .where(*_untold_deeds())
        .group_by(deeds.c.subject_id, deeds.c.dimension)
    )


def _changed() -> sa.ColumnElement[bool]:
    differs = sa.or_(
        deeds.c.credits != awards.c.credits,
        deeds.c.dimension != awards.c.dimension,
        deeds.c.subject_id != awards.c.subject_id,
    )
    return sa.and_(differs, ~_kept_back())


def _is_in_force() -> Sequence[sa.ColumnElement[bool]]:
    return (awards.c.state == AwardState.SETTLED, awards.c.reverse_reason == 0, ~_pending())


def suspects(tx: sa.Connection) -> list[Suspect]:
    """Every deed that is not what the hub was told."""
    changed, stands = _changed(), _is_in_force()
    edited = (
        sa.select(awards.c.subject_id, deeds.c.subject_id.label("other"), deeds.c.record_id)
        .join(deeds, deeds.c.deed_id == awards.c.deed_id)
        .where(*stands, changed)
    )
    with_deed = awards.c.deed_id != orphans_store.NO_DEED
    deleted = sa.select(awards.c.subject_id).where(
        *stands, with_deed, ~sa.exists().where(deeds.c.deed_id == awards.c.deed_id)
    )
    doubled = (
        sa.select(deeds.c.subject_id, deeds.c.record_id)
        .join(subjects, subjects.c.subject_id == deeds.c.subject_id)
        .where(*_untold_deeds())
    )
    found = [
        Suspect(subject_id, "edited", row.record_id)
        for row in tx.execute(edited)
        for subject_id in {row.subject_id, row.other}
    ]
    found += [Suspect(row.subject_id, "deleted", "") for row in tx.execute(deleted)]
    found += [Suspect(row.award.subject_id, "orphaned", "") for row in orphans_store.every(tx) if not row.checker]
    return found + [Suspect(row.subject_id, "doubled", row.record_id) for row in tx.execute(doubled)]


def without_deed(tx: sa.Connection, subject_ids: Iterable[int]) -> list[tuple[int, int]]:
    """Awards, (award_id, subject_id) each, of these subjects that stand and whose deed is gone."""
    wanted = set(subject_ids)
    lost = ~sa.exists().where(deeds.c.deed_id == awards.c.deed_id)
    stands = (
        awards.c.state == AwardState.SETTLED,
        awards.c.reverse_reason == 0,
        awards.c.deed_id != orphans_store.NO_DEED,
    )
    rows = tx.execute(sa.select(awards.c.award_id, awards.c.subject_id).where(*stands, lost))
    return [(row.award_id, row.subject_id) for row in rows if row.subject_id in wanted]


def untold(tx: sa.Connection, subject_ids: Iterable[int]) -> list[DeedRow]:
    """Deeds of these subjects that should have an award and have none."""
    wanted = set(subject_ids)
    query = sa.select(deeds).join(subjects, subjects.c.subject_id == deeds.c.subject_id).where(*_untold_deeds())
    found = [DeedRow(*row) for row in tx.execute(query.order_by(deeds.c.deed_id))]
    return [each for each in found if each.subject_id in wanted]


def edited(tx: sa.Connection, subject_ids: Iterable[int]) -> list[tuple[DeedRow, AwardRow]]:
    """Deeds of, or awarded to, these subjects that do not say what their award does."""
    wanted = set(subject_ids)
    query = sa.select(deeds, awards.c.award_id).join(awards, deeds.c.deed_id == awards.c.deed_id)
    found = []
    for *deed, award_id in tx.execute(query.where(*_is_in_force(), _changed())):
        row = AwardRow(*tx.execute(sa.select(awards).where(awards.c.award_id == award_id)).one())
        if {deed[5], row.subject_id} & wanted:
            found.append((DeedRow._make(deed), row))
    return found


def op_ids_of(tx: sa.Connection, op_ids: Iterable[bytes]) -> set[bytes]:
    """Which of these awards the node knows."""
    return {row.op_id for row in rows_where_in(tx, awards, awards.c.op_id, op_ids)}
