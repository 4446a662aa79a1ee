"""What the agencies have given back, until the log is whole again."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from samprasan.edge.database import AnyRow, upsert_rows
from samprasan.hub.tables import recovery, refed, refed_accounts, refeeders


class Refed(NamedTuple):
    """An entry as an agency gave it back; ``log_index`` None and ``receipt`` empty if it never got a receipt.

    ``documents`` is a LogEntry with those that it puts into force alone.
    """

    agency: str
    seq: int
    log_index: int | None
    digest: bytes
    batch: bytes
    receipt: bytes
    documents: bytes


class RefedAccount(NamedTuple):
    """An account that the hub had named for a subject, to an agency."""

    agency: str
    account_id: bytes
    subject_key: bytes
    kind: int
    key_epoch: int


def begin(tx: sa.Connection, now: int, why: str) -> None:
    """The hub recovers from now on, whatever it did before."""
    upsert_rows(tx, recovery, [(1, now, why, "")])
    tx.execute(refeeders.delete())


def standing(tx: sa.Connection) -> AnyRow | None:
    """Since when and why the hub recovers; None if it does not."""
    return tx.execute(sa.select(recovery)).first()


def tell(tx: sa.Connection, problem: str) -> None:
    """What keeps the log from being whole."""
    tx.execute(recovery.update().values(problem=problem))


def conflict(tx: sa.Connection, size: int) -> str:
    """The first place in the log where an agency holds another entry than stands there; empty if there is none."""
    found = tx.execute(sa.select(sa.func.min(refed.c.log_index)).where(refed.c.log_index < size)).scalar()
    return "" if found is None else str(found)


def receipted(tx: sa.Connection, agency: str) -> int:
    """How many of the agency's entries were given back with a receipt."""
    query = sa.select(sa.func.count()).where(refed.c.agency == agency, refed.c.log_index.is_not(None))
    return tx.execute(query).scalar_one()


def end(tx: sa.Connection) -> None:
    """The log is whole: forget what was given back."""
    for table in (recovery, refeeders, refed, refed_accounts):
        tx.execute(table.delete())


def checkpoints(tx: sa.Connection) -> dict[str, bytes]:
    """Agency that has given back all it holds → the newest checkpoint that it accepted."""
    rows = tx.execute(sa.select(refeeders).where(refeeders.c.checkpoint.is_not(None)))
    return {row.agency: row.checkpoint for row in rows}


def shows(tx: sa.Connection, agency: str, log_index: int) -> None:
    """The agency holds a receipt of that entry."""
    if log_index > shown(tx, agency):
        upsert_rows(tx, refeeders, [(agency, log_index, checkpoints(tx).get(agency))])


def shown(tx: sa.Connection, agency: str) -> int:
    """The newest entry of which the agency has shown a receipt; -1 if it has shown none."""
    found = tx.execute(sa.select(refeeders.c.shown).where(refeeders.c.agency == agency)).scalar()
    return -1 if found is None else int(found)


def has_fed(tx: sa.Connection, agency: str, checkpoint: bytes) -> None:
    """The agency has given back all it holds."""
    upsert_rows(tx, refeeders, [(agency, shown(tx, agency), checkpoint)])


def keep(tx: sa.Connection, entries: Sequence[Refed], accounts: Sequence[RefedAccount]) -> None:
    """What an agency gave back; an entry with a receipt stays what it is."""
    for each in entries:
        known = find(tx, each.agency, each.seq)
        if known is None or not known.receipt:
            upsert_rows(tx, refed, [each])
    upsert_rows(tx, refed_accounts, accounts)


def run_from(tx: sa.Connection, log_index: int, limit: int) -> list[Refed]:
    """Entries from ``log_index`` on, without a gap, at most ``limit``."""
    within = (refed.c.log_index >= log_index, refed.c.log_index < log_index + limit)
    found = [Refed(*row) for row in tx.execute(sa.select(refed).where(*within).order_by(refed.c.log_index))]
    return [each for at, each in enumerate(found, log_index) if each.log_index == at]


def next_index(tx: sa.Connection, log_index: int) -> int | None:
    """Where the next entry behind ``log_index`` stands that somebody gave back."""
    return tx.execute(sa.select(sa.func.min(refed.c.log_index)).where(refed.c.log_index > log_index)).scalar()


def last_index(tx: sa.Connection) -> int:
    """Where the last entry stands that somebody gave back; -1 if there is none."""
    found = tx.execute(sa.select(sa.func.max(refed.c.log_index))).scalar()
    return -1 if found is None else int(found)


def between(tx: sa.Connection, start: int, end: int) -> list[Refed]:
    """Entries from ``start`` on, up to and without ``end``."""
    within = (refed.c.log_index >= start, refed.c.log_index < end)
    return [Refed(*row) for row in tx.execute(sa.select(refed).where(*within).order_by(refed.c.log_index))]


def find(tx: sa.Connection, agency: str, seq: int) -> Refed | None:
    """The agency's batch number ``seq``, if it was given back."""
    row = tx.execute(sa.select(refed).where(refed.c.agency == agency, refed.c.seq == seq)).first()
    return Refed(*row) if row else None


def drop(tx: sa.Connection, placed: Iterable[tuple[str, int]]) -> None:
    """Forget entries, (agency, seq) each, that are in the log again."""
    for agency, seq in placed:
        tx.execute(refed.delete().where(refed.c.agency == agency, refed.c.seq == seq))


def accounts_from(tx: sa.Connection, after: tuple[str, bytes], limit: int) -> list[RefedAccount]:
    """The next accounts behind that agency's and account."""
    agency, account_id = after
    own = (refed_accounts.c.agency, refed_accounts.c.account_id)
    behind = sa.or_(own[0] > agency, sa.and_(own[0] == agency, own[1] > account_id))
    query = sa.select(refed_accounts).where(behind).order_by(*own).limit(limit)
    return [RefedAccount(*row) for row in tx.execute(query)]
