"""Links: what the hub is told each subject agrees to, and that an account is given up.

A subject's ``linked`` are the purposes of its newest Link in a sealed batch, as bits, or ``UNLINKING``;
``link_settled`` are those of its newest Link with a receipt.  ``due`` marks subjects that have to be looked at: finding
them must not take longer the more there are.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from samprasan.edge.database import rows_as, rows_where_in, update_where_in
from samprasan.node.rows import ConsentsRow, SubjectRow
from samprasan.node.states import UNTOLD, RedemptionState
from samprasan.node.tables import awards, hold_updates, redemptions, subjects
from samprasan.v1.log_pb2 import PURPOSE_INTEGRATORS, PURPOSE_REDEEM, PURPOSE_SHARE, REVERSE_REASON_IMPORT_UNDONE

_LINKED: dict[str, Any] = dict.fromkeys(("admission", "rests_until", "left_account"))
UNLINKING = 1  # no purpose has number 0
_INTEGRATORS = 1 << PURPOSE_INTEGRATORS
_CONSENTS = (
    (subjects.c.share, PURPOSE_SHARE),
    (subjects.c.redeem, PURPOSE_REDEEM),
    (subjects.c.integrators, PURPOSE_INTEGRATORS),
)
_AGREED = sum(
    (sa.cast(column, sa.Integer) * (1 << purpose) for column, purpose in _CONSENTS), start=sa.literal(0, sa.Integer)
)


def purposes_of(row: ConsentsRow | SubjectRow, now: int) -> int:
    """What the hub is to know the subject to agree to, as bits; 0: the account is to be given up.

    Between the moment somebody agrees to nothing any more and the moment the hub is to hear of it, one purpose is left
    of the Link: no update is made under it.
    """
    consents = ((row.share, PURPOSE_SHARE), (row.redeem, PURPOSE_REDEEM), (row.integrators, PURPOSE_INTEGRATORS))
    bits = sum(1 << purpose for given, purpose in consents if given)
    if bits or row.unlink_at is None or row.unlink_at <= now:
        return bits
    kept = row.linked & ~_INTEGRATORS  # who may see changes sees no more of them from now on
    return kept & -kept


def due(tx: sa.Connection, limit: int, now: int, *, linked_only: bool = False) -> list[SubjectRow]:
    """Subjects of whom the hub is to hear something new, oldest first; or only those that it has a Link of."""
    return rows_as(SubjectRow, tx.execute(_due(linked_only), {"now": now, "most": limit}))


@cache
def _due(linked_only: bool) -> sa.Select[Any]:
    """Looked for often: putting the query together takes longer than asking it."""
    now = sa.bindparam("now", type_=sa.BigInteger)
    asked_about = sa.and_(subjects.c.linked == 0, subjects.c.wanted, subjects.c.redeem)
    agrees = sa.or_(*(column for column, _ in _CONSENTS))
    keeps_share = sa.and_(~subjects.c.share, _taken_back())
    told = _AGREED + sa.case((keeps_share, 1 << PURPOSE_SHARE), else_=0)
    returns = sa.and_(agrees, subjects.c.linked == 0, subjects.c.rests_until > now)  # everything is as it was
    changed = sa.and_(agrees, subjects.c.linked.not_in((0, UNLINKING)), subjects.c.linked != told)
    single = [1 << PURPOSE_SHARE, 1 << PURPOSE_REDEEM]
    waits = sa.and_(subjects.c.unlink_at > now, subjects.c.linked != _INTEGRATORS)
    lessened = sa.and_(~agrees, waits, subjects.c.linked.not_in((0, UNLINKING, *single)))
    is_there = sa.and_(subjects.c.linked != UNLINKING, subjects.c.rests_until.is_(None))
    leaving = sa.and_(~agrees, subjects.c.unlink_at.is_not(None), ~waits, is_there, ~_taken_back(), ~_redeeming())
    known = [subjects.c.due, subjects.c.account_id.is_not(None)]
    if linked_only:
        known.append(subjects.c.linked != 0)
    query = sa.select(subjects).where(*known, sa.or_(asked_about, returns, changed, lessened, leaving))
    return query.order_by(subjects.c.subject_id).limit(sa.bindparam("most", type_=sa.Integer))


def _redeeming() -> sa.ColumnElement[bool]:
    """Whether a hold of the subject is open, or on its way: the hub takes no Unlink before it is over."""
    sealed = sa.exists().where(hold_updates.c.hold_id == redemptions.c.hold_id, hold_updates.c.seq.is_not(None))
    asked = sa.and_(redemptions.c.state == RedemptionState.ASKED, sealed)
    is_open = sa.or_(redemptions.c.state == RedemptionState.HELD, asked)
    return sa.exists().where(redemptions.c.subject_id == subjects.c.subject_id, is_open)


def _taken_back() -> sa.ColumnElement[bool]:
    """Whether something told of the subject by mistake still has to be taken back, over the Link that is open.

    Its import was undone, or the deed is another's, who agrees to share.
    """
    is_linked = subjects.c.linked.op("&")(1 << PURPOSE_SHARE) != 0
    reversal = sa.exists().where(
        awards.c.subject_id == subjects.c.subject_id,
        awards.c.state.in_(UNTOLD),
        awards.c.seq.is_(None),
        awards.c.reverse_reason == REVERSE_REASON_IMPORT_UNDONE,
    )
    told, receiver = awards.alias(), subjects.alias()
    moves = sa.exists().where(
        told.c.subject_id == subjects.c.subject_id,
        told.c.op_id == awards.c.replaces,
        awards.c.subject_id == receiver.c.subject_id,
        awards.c.subject_id != subjects.c.subject_id,
        awards.c.state.in_(UNTOLD),
        awards.c.seq.is_(None),
        receiver.c.share,
    )
    return sa.and_(is_linked, sa.or_(reversal, moves))


def with_something_to_take_back(tx: sa.Connection, subject_ids: Iterable[int]) -> set[int]:
    """Which of these subjects were told of by mistake: until that is taken back, their Link is for sharing, too."""
    wanted = list(subject_ids)
    query = sa.select(subjects.c.subject_id).where(subjects.c.subject_id.in_(wanted), _taken_back())
    return set(tx.execute(query).scalars()) if wanted else set()


def sharing(tx: sa.Connection, subject_ids: Iterable[int]) -> set[int]:
    """Which of these subjects have an open Link under which awards are given and taken back."""
    rows = rows_where_in(tx, subjects, subjects.c.subject_id, subject_ids)
    return {row.subject_id for row in rows if row.account_id is not None and row.linked & 1 << PURPOSE_SHARE}


def returning(tx: sa.Connection, links: Sequence[tuple[bytes, int]]) -> set[int]:
    """Subjects on whose accounts awards could not be given or taken back, and can be once these Links are settled."""
    sharing_ = {account_id for account_id, bits in links if bits & 1 << PURPOSE_SHARE}
    return {
        row.subject_id
        for row in subjects_of(tx, sharing_)
        if not row.link_settled & 1 << PURPOSE_SHARE and (row.link_settled or row.rests_until or row.left_account)
    }


def seal(tx: sa.Connection, links: Sequence[tuple[int, int]]) -> None:
    """Links and Unlinks, (subject_id, purposes as bits or ``UNLINKING``) each, stand in a sealed batch."""
    if links:
        change = subjects.update().where(subjects.c.subject_id == sa.bindparam("who"))
        bits = sa.bindparam("bits", type_=sa.SmallInteger)
        is_not_all = sa.or_(subjects.c.unlink_at.is_not(None), bits != _AGREED)
        tx.execute(
            change.values(linked=bits, due=sa.and_(bits != UNLINKING, is_not_all)),
            [{"who": who, "bits": bits} for who, bits in links],
        )


def settle(tx: sa.Connection, links: Sequence[tuple[bytes, int]]) -> None:
    """The hub applied these Links, (account id, purposes as bits) each."""
    if links:
        change = subjects.update().where(subjects.c.account_id == sa.bindparam("account"))
        tx.execute(
            change.values(link_settled=sa.bindparam("bits"), wanted=False, **_LINKED),
            [{"account": account, "bits": bits} for account, bits in links],
        )


def unseal(tx: sa.Connection, account_ids: Iterable[bytes]) -> None:
    """The Links and Unlinks of a refused batch never left: they are to be sealed again."""
    update_where_in(tx, subjects, subjects.c.account_id, account_ids, linked=subjects.c.link_settled, due=True)


def postpone(tx: sa.Connection, account_ids: Iterable[bytes], unlink_at: int) -> None:
    """These could not be given up: a hold is open.  It is tried again at ``unlink_at``."""
    change = {"linked": subjects.c.link_settled, "due": True, "unlink_at": unlink_at}
    update_where_in(tx, subjects, subjects.c.account_id, account_ids, **change)


def rest(tx: sa.Connection, subject_ids: Iterable[int], until: int) -> None:
    """These subjects' accounts are left, and rest."""
    change = {"linked": 0, "link_settled": 0, "totals": None, "rests_until": until, "due": True}
    update_where_in(tx, subjects, subjects.c.subject_id, subject_ids, **change)


def rested(tx: sa.Connection, now: int) -> list[SubjectRow]:
    """Subjects whose account's rest is over, or who are to be erased meanwhile."""
    over = sa.or_(subjects.c.rests_until <= now, subjects.c.erasing)
    query = sa.select(subjects).where(subjects.c.rests_until.is_not(None), over, subjects.c.linked == 0)
    return rows_as(SubjectRow, tx.execute(query))


def forget_accounts(tx: sa.Connection, subject_ids: Iterable[int]) -> None:
    """Accounts that this agency may do nothing with any more; of those that it was linked to the id is kept."""
    was_linked = subjects.c.admission.is_(None)
    left = sa.case(
        (was_linked, sa.func.coalesce(subjects.c.account_id, subjects.c.left_account)), else_=subjects.c.left_account
    )
    nothing: dict[str, Any] = dict.fromkeys(("account_id", "sealed_opened", "totals", "admission", "rests_until"))
    nothing |= {"linked": 0, "link_settled": 0, "due": True, "left_account": left}
    nothing["sealed_key"] = None  # of the next linking key; it was for that account
    update_where_in(tx, subjects, subjects.c.subject_id, subject_ids, **nothing)


def subjects_of(tx: sa.Connection, account_ids: Iterable[bytes]) -> list[SubjectRow]:
    """The subjects with these accounts."""
    return rows_as(SubjectRow, rows_where_in(tx, subjects, subjects.c.account_id, account_ids))


def every_account(tx: sa.Connection) -> Iterator[bytes]:
    """The accounts of all subjects, without holding all of them in memory."""
    query = sa.select(subjects.c.account_id).where(subjects.c.account_id.is_not(None))
    for row in tx.execute(query.execution_options(yield_per=1000)):
        yield row.account_id


def held(tx: sa.Connection, account_ids: Iterable[bytes]) -> set[bytes]:
    """Which of these accounts a subject has."""
    return {row.account_id for row in subjects_of(tx, account_ids) if row.account_id is not None}


def leaving(tx: sa.Connection) -> int:
    """How many subjects agree to nothing any more and still have an account."""
    query = sa.select(sa.func.count()).where(subjects.c.unlink_at.is_not(None), subjects.c.account_id.is_not(None))
    return tx.execute(query).scalar_one()
