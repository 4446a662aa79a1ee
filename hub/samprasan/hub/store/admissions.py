"""Admissions: what agencies were told of accounts and have not used, and the tags that the hub's chain says of it.

The secrets are beside the log and go once they are used or over; the tags are what the log folds to.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from samprasan.edge.database import delete_where_in, rows_where_in, upsert_rows
from samprasan.hub.tables import accounts, admissions, admitted, subjects
from samprasan.ledger.state import Admission


class Unused(NamedTuple):
    """What an agency was told: an account, the secret that its first Link spends, and until when (milliseconds)."""

    agency: str
    account_id: bytes
    secret: bytes
    lapses_at: int


def of_tags(tx: sa.Connection, agency: str, tags: Iterable[bytes]) -> dict[tuple[str, bytes], Admission]:
    """(agency, tag) → admission, of those that the chain says."""
    found = rows_where_in(tx, admitted, admitted.c.tag, tags, agency=agency)
    return {(row[0], row[1]): _admission(row) for row in found}


def every_tag(tx: sa.Connection) -> dict[tuple[str, bytes], Admission]:
    """Every one that the chain says."""
    return {(row[0], row[1]): _admission(row) for row in tx.execute(sa.select(admitted))}


def save_tags(tx: sa.Connection, changed: Mapping[tuple[str, bytes], Admission]) -> None:
    """What a fold changed."""
    upsert_rows(tx, admitted, [(*key, *admission) for key, admission in changed.items()])


def clear_tags(tx: sa.Connection) -> None:
    """Delete them, to be folded anew."""
    tx.execute(admitted.delete())


def keep(tx: sa.Connection, told: Sequence[Unused]) -> None:
    """Agencies are told of these."""
    upsert_rows(tx, admissions, told)


def unused(tx: sa.Connection, agency: str, account_ids: Iterable[bytes]) -> dict[bytes, Unused]:
    """Account id → what the agency was told of it and has not used."""
    found = rows_where_in(tx, admissions, admissions.c.account_id, account_ids, agency=agency)
    return {row[1]: Unused(*row) for row in found}


def count(tx: sa.Connection, agency: str) -> int:
    """How many the agency was told of and has not used."""
    query = sa.select(sa.func.count()).select_from(admissions).where(admissions.c.agency == agency)
    return int(tx.execute(query).scalar_one())


def drop(tx: sa.Connection, agency: str, secrets: Iterable[bytes]) -> None:
    """Forget these secrets that the agency was told."""
    delete_where_in(tx, admissions, admissions.c.secret, secrets, agency=agency)


def take_lapsed(tx: sa.Connection, now: int, limit: int) -> list[Unused]:
    """Forget secrets whose time is over, at most ``limit``; which."""
    query = sa.select(admissions).where(admissions.c.lapses_at <= now).order_by(admissions.c.lapses_at).limit(limit)
    found = [Unused(*row) for row in tx.execute(query)]
    for agency in {each.agency for each in found}:
        drop(tx, agency, [each.secret for each in found if each.agency == agency])
    return found


def of_nobody(tx: sa.Connection, account_ids: Iterable[bytes]) -> set[bytes]:
    """Which of these accounts nobody is linked to, or was lately, or may begin a Link on."""
    wanted = set(account_ids)
    open_ = {row[0] for row in rows_where_in(tx, accounts, accounts.c.account_id, wanted) if not row.closed}
    return wanted - open_ - {row[1] for row in rows_where_in(tx, admissions, admissions.c.account_id, wanted)}


def drop_of_accounts(tx: sa.Connection, account_ids: Iterable[bytes]) -> None:
    """Forget every secret of these accounts."""
    delete_where_in(tx, admissions, admissions.c.account_id, account_ids)


def drop_unnamed(tx: sa.Connection) -> None:
    """Forget the secrets of accounts of which no subject is known any more."""
    known = sa.exists().where(subjects.c.account_id == admissions.c.account_id)
    tx.execute(admissions.delete().where(~known))


def _admission(row: sa.Row) -> Admission:  # type: ignore[type-arg]
    return Admission(row[2], row[3], row[4], bool(row[5]))
