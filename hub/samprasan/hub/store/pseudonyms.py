"""Subject key and kind → account: the one deletable place that ties them; two keys while the linking key is rotated."""

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from samprasan.edge.database import delete_where_in, insert_rows, rows_where_in, upsert_rows
from samprasan.hub.store import admissions
from samprasan.hub.tables import accounts, links, rekeyed, rotations, subjects
from samprasan.hub.tables import admissions as admissions_table

PUBLIC = 0  # the epoch of the hash of a public id
Key = tuple[bytes, int, int]
"""A subject key, the kind of subject that it is said to be of, and the linking key that made it; 0: a public id."""

_OPEN = links.c.purposes > 1  # bit 0 says only that the agency once awarded


def accounts_of(tx: sa.Connection, keys: Iterable[Key]) -> dict[Key, bytes]:
    """Key → account id, of those that have one."""
    wanted = set(keys)
    found = rows_where_in(tx, subjects, subjects.c.subject_key, {key[0] for key in wanted})
    return {tuple(row[:3]): row[3] for row in found if tuple(row[:3]) in wanted}


def keys_of(tx: sa.Connection, account_ids: Iterable[bytes]) -> dict[bytes, list[Key]]:
    """Account id → the keys that it is found by."""
    found: dict[bytes, list[Key]] = {}
    for row in rows_where_in(tx, subjects, subjects.c.account_id, account_ids):
        found.setdefault(row[3], []).append((row[0], row[1], row[2]))
    return found


def add(tx: sa.Connection, made: Mapping[Key, bytes]) -> None:
    """Tie new keys to accounts."""
    insert_rows(tx, subjects, [(*key, account_id) for key, account_id in made.items()])


def forget(tx: sa.Connection, account_ids: Sequence[bytes]) -> None:
    """Delete what ties these accounts to anybody."""
    delete_where_in(tx, subjects, subjects.c.account_id, account_ids)
    delete_where_in(tx, rekeyed, rekeyed.c.account_id, account_ids)
    admissions.drop_of_accounts(tx, account_ids)


def forget_if_nobodys(tx: sa.Connection, account_ids: Iterable[bytes]) -> None:
    """Delete what ties those of these accounts to anybody that nobody is linked to, or may be."""
    forget(tx, sorted(admissions.of_nobody(tx, account_ids)))


def forget_nobodys(tx: sa.Connection) -> None:
    """Delete every tie to an account that is not open, does not rest, and that nobody may begin a Link on."""
    is_there = sa.exists().where(accounts.c.account_id == subjects.c.account_id, sa.not_(accounts.c.closed))
    may_be = sa.exists().where(admissions_table.c.account_id == subjects.c.account_id)
    tx.execute(subjects.delete().where(~is_there, ~may_be))


def note_rekeyed(tx: sa.Connection, agency: str, keys: Mapping[bytes, bytes]) -> None:
    """What the agency calls accounts, account id → subject key, under the next linking key."""
    upsert_rows(tx, rekeyed, [(agency, account_id, key) for account_id, key in keys.items()])


def rekeyed_by(tx: sa.Connection, account_ids: Iterable[bytes]) -> dict[bytes, dict[str, bytes]]:
    """Account id → what each agency calls it under the next key."""
    found: dict[bytes, dict[str, bytes]] = {}
    for agency, account_id, key in rows_where_in(tx, rekeyed, rekeyed.c.account_id, account_ids):
        found.setdefault(account_id, {})[agency] = key
    return found


def linked_agencies(tx: sa.Connection, account_ids: Iterable[bytes]) -> dict[bytes, set[str]]:
    """Account id → the agencies with an open Link on it."""
    found: dict[bytes, set[str]] = {}
    for agency, account_id, purposes, _ in rows_where_in(tx, links, links.c.account_id, account_ids):
        if purposes > 1:
            found.setdefault(account_id, set()).add(agency)
    return found


def not_moved(tx: sa.Connection, key_epoch: int) -> int:
    """How many accounts of persons or organizations, linked or resting, are not found under that key yet."""
    moved = subjects.alias()
    is_moved = sa.exists().where(moved.c.account_id == subjects.c.account_id, moved.c.key_epoch == key_epoch)
    is_linked = sa.exists().where(links.c.account_id == subjects.c.account_id, _OPEN)
    rests = sa.exists().where(
        accounts.c.account_id == subjects.c.account_id, accounts.c.closes_on > 0, sa.not_(accounts.c.closed)
    )
    behind = (subjects.c.key_epoch.not_in((PUBLIC, key_epoch)), ~is_moved)
    query = sa.select(sa.func.count()).where(*behind, sa.or_(is_linked, rests))
    return tx.execute(query).scalar_one()


def disagreements(tx: sa.Connection) -> int:
    """How many accounts agencies call differently under the next key, or as another account is called.

    One of them is wrong.
    """
    several = sa.select(rekeyed.c.account_id).group_by(rekeyed.c.account_id)
    differing = several.having(sa.func.count(sa.distinct(rekeyed.c.subject_key)) > 1)
    taken = sa.select(rekeyed.c.account_id).where(
        subjects.c.subject_key == rekeyed.c.subject_key, subjects.c.account_id != rekeyed.c.account_id
    )
    either = differing.union(taken).subquery()
    return tx.execute(sa.select(sa.func.count()).select_from(either)).scalar_one()


def end_rotation(tx: sa.Connection, key_epoch: int) -> None:
    """Only that linking key is left; how much each agency had evaluated for it is remembered."""
    counts = sa.select(rekeyed.c.agency, sa.func.count()).group_by(rekeyed.c.agency)
    upsert_rows(tx, rotations, [(row[0], key_epoch, row[1]) for row in tx.execute(counts)])
    tx.execute(rekeyed.delete())
    tx.execute(subjects.delete().where(subjects.c.key_epoch.not_in((PUBLIC, key_epoch))))
    admissions.drop_unnamed(tx)


def rekeyed_in_all(tx: sa.Connection) -> dict[str, int]:
    """Agency → ids it ever had evaluated because the linking key was rotated."""
    found: dict[str, int] = {}
    for query in (
        sa.select(rekeyed.c.agency, sa.func.count()).group_by(rekeyed.c.agency),
        sa.select(rotations.c.agency, sa.func.sum(rotations.c.accounts)).group_by(rotations.c.agency),
    ):
        for agency, count in tx.execute(query):
            found[agency] = found.get(agency, 0) + int(count)
    return found
