"""How many ids each agency had evaluated by each other, day by day, as the evaluators report."""

from collections.abc import Mapping

import sqlalchemy as sa
from samprasan.edge.database import upsert_rows
from samprasan.hub.tables import evaluated


def record(tx: sa.Connection, evaluator: str, reported: Mapping[tuple[str, int], int]) -> None:
    """(requester, day as YYYYMMDD) → elements; a number that was reported before never gets smaller."""
    query = sa.select(evaluated).where(evaluated.c.evaluator == evaluator)
    if reported:
        query = query.where(evaluated.c.day >= min(day for _, day in reported))
    known = {(row.requester, row.day): row.elements for row in tx.execute(query)}
    more = [(evaluator, *key, count) for key, count in reported.items() if count > known.get(key, 0)]
    upsert_rows(tx, evaluated, more)


def up_to(tx: sa.Connection, day: int) -> dict[str, int]:
    """Requester → elements evaluated for it, by everybody, up to ``day``."""
    sums = sa.select(evaluated.c.requester, sa.func.sum(evaluated.c.elements)).where(evaluated.c.day <= day)
    return {row[0]: int(row[1]) for row in tx.execute(sums.group_by(evaluated.c.requester))}
