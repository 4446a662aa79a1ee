"""How many ids each agency had evaluated by each other, as both signed it, day by day.

Days before those that the alarm looks at are forgotten, but for the newest.
"""

from collections.abc import Mapping
from datetime import timedelta

import sqlalchemy as sa
from samprasan.edge.database import upsert_rows
from samprasan.hub.tables import evaluations
from samprasan.ledger import calendar, probing
from samprasan.ledger.state import Evaluated


def totals(tx: sa.Connection) -> dict[tuple[str, str], Evaluated]:
    """(requester, evaluator) → the newest total."""
    query = sa.select(evaluations).order_by(evaluations.c.day)
    return {(row.requester, row.evaluator): Evaluated(row.total, row.day) for row in tx.execute(query)}


def save(tx: sa.Connection, changed: Mapping[tuple[str, str], Evaluated]) -> None:
    """What a fold changed."""
    upsert_rows(tx, evaluations, [(*key, each.day, each.total) for key, each in changed.items()])
    for (requester, evaluator), each in changed.items():
        settled = calendar.packed(calendar.unpacked(each.day) - timedelta(days=probing.UNUSED_AFTER_DAYS))
        pair = (evaluations.c.requester == requester, evaluations.c.evaluator == evaluator)
        newest = sa.select(sa.func.max(evaluations.c.day)).where(*pair, evaluations.c.day <= settled).scalar_subquery()
        tx.execute(evaluations.delete().where(*pair, evaluations.c.day < newest))


def clear(tx: sa.Connection) -> None:
    """Delete them, to be folded anew."""
    tx.execute(evaluations.delete())


def up_to(tx: sa.Connection, day: int) -> dict[str, int]:
    """Requester → elements evaluated for it, by everybody, up to the end of ``day`` (YYYYMMDD)."""
    newest = sa.select(evaluations.c.requester, sa.func.max(evaluations.c.total).label("total"))
    newest = newest.where(evaluations.c.day <= day).group_by(evaluations.c.requester, evaluations.c.evaluator)
    pairs = newest.subquery()
    sums = sa.select(pairs.c.requester, sa.func.sum(pairs.c.total)).group_by(pairs.c.requester)
    return {row[0]: int(row[1]) for row in tx.execute(sums)}
