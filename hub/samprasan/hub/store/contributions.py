"""What each agency did to each account, counted from the log up to some entry; and what reconciliations found."""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import sqlalchemy as sa
from samprasan.edge.database import rows_where_in, upsert_rows
from samprasan.hub.tables import accounts, contributions, counted, links, reconciliations
from samprasan.ledger.contributions import NOTHING, Contribution

Changes = Mapping[tuple[str, bytes], Contribution]
"""(agency, account) → what is to be added."""

_OPEN = 2  # purposes above bit 0, which only says that the agency ever used the account


class Reconciled(NamedTuple):
    """What one reconciliation found; ``causes`` is a likely cause → accounts."""

    agency: str
    at: int
    seq: int
    accounts: int
    differences: int
    causes: Mapping[str, int]


def counted_up_to(tx: sa.Connection) -> int:
    """How many entries of the log are counted."""
    return tx.execute(sa.select(counted.c.log_size)).scalar() or 0


def start_over(tx: sa.Connection) -> None:
    """Count the log from its beginning."""
    tx.execute(contributions.delete())
    tx.execute(counted.delete())


def add_changes(tx: sa.Connection, changes: Changes, log_size: int) -> None:
    """Add what entries up to ``log_size`` did."""
    before = {
        (row[0], row[1]): Contribution(*row[2:])
        for agency in {agency for agency, _ in changes}
        for row in rows_where_in(
            tx,
            contributions,
            contributions.c.account_id,
            [account_id for each, account_id in changes if each == agency],
            agency=agency,
        )
    }
    rows = []
    for key, change in changes.items():
        now = before.get(key, NOTHING).plus(change)
        rows.append((*key, *now[:-1]))
    upsert_rows(tx, contributions, rows)
    upsert_rows(tx, counted, [(1, log_size)])


def of_agency(tx: sa.Connection, agency: str, changes: Changes) -> dict[bytes, Contribution]:
    """Account → what ``agency`` did there, of accounts with its open Link; ``changes`` are of entries not yet counted.

    Credits are what the account's totals have less what the others did: so a total that is wrong shows.
    """
    others = (
        sa.select(
            contributions.c.account_id,
            *(sa.func.sum(contributions.c[name]).label(name) for name in Contribution._fields[:4]),
        )
        .where(contributions.c.agency != agency)
        .group_by(contributions.c.account_id)
        .subquery()
    )
    own = contributions.alias()
    mine = sa.and_(own.c.agency == agency, own.c.account_id == links.c.account_id)
    left = [accounts.c[f"earned_{name}"] - sa.func.coalesce(others.c[name], 0) for name in Contribution._fields[:4]]
    query = (
        sa.select(links.c.account_id, *left, sa.func.coalesce(own.c.spent, 0))
        .join(accounts, accounts.c.account_id == links.c.account_id)
        .outerjoin(others, others.c.account_id == links.c.account_id)
        .outerjoin(own, mine)
        .where(links.c.agency == agency, links.c.purposes >= _OPEN)
    )
    found = {row[0]: Contribution._make([*(int(each) for each in row[1:]), 1]) for row in tx.execute(query)}
    for (by, account_id), change in changes.items():
        if account_id in found:
            later = Contribution(spent=change.spent) if by == agency else NOTHING.minus(change)._replace(spent=0)
            found[account_id] = found[account_id].plus(later)
    return found


def add_reconciliation(tx: sa.Connection, found: Reconciled) -> None:
    """Keep what a reconciliation found."""
    row = found._asdict() | {"causes": json.dumps(dict(found.causes))}
    tx.execute(reconciliations.insert().values(row))


def newest_by_agency(tx: sa.Connection) -> dict[str, Reconciled]:
    """Agency → its newest reconciliation."""
    newest = sa.select(sa.func.max(reconciliations.c.number)).group_by(reconciliations.c.agency)
    return {each.agency: each for each in _read(tx, reconciliations.c.number.in_(newest))}


def agreed_at(tx: sa.Connection) -> dict[str, int]:
    """Agency → when it last agreed, milliseconds since the Unix epoch."""
    query = sa.select(reconciliations.c.agency, sa.func.max(reconciliations.c.at))
    found = tx.execute(query.where(reconciliations.c.differences == 0).group_by(reconciliations.c.agency))
    return {row[0]: row[1] for row in found}


def history(tx: sa.Connection, limit: int) -> list[Reconciled]:
    """The newest reconciliations first."""
    return list(_read(tx, sa.true()))[-limit:][::-1]


def forget_before(tx: sa.Connection, agency: str, keep: int) -> None:
    """Forget all but the agency's newest ``keep``."""
    numbers = sa.select(reconciliations.c.number).where(reconciliations.c.agency == agency)
    oldest = tx.execute(numbers.order_by(reconciliations.c.number.desc()).offset(keep).limit(1)).scalar()
    if oldest is not None:
        tx.execute(
            reconciliations.delete().where(reconciliations.c.agency == agency, reconciliations.c.number <= oldest)
        )


def _read(tx: sa.Connection, which: sa.ColumnElement[bool]) -> Iterable[Reconciled]:
    query = sa.select(*reconciliations.c[1:]).where(which).order_by(reconciliations.c.number)
    for row in tx.execute(query):
        yield Reconciled._make([*row[:-1], json.loads(row[-1])])
