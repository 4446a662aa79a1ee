"""Entries of the log that are not what was stored."""

from collections.abc import Mapping

import sqlalchemy as sa
from samprasan.edge.database import insert_rows
from samprasan.hub.tables import damages


def within(tx: sa.Connection, start: int, end: int) -> dict[int, str]:
    """Those from ``start`` up to and without ``end``: log index → in what."""
    query = sa.select(damages.c.log_index, damages.c.what)
    rows = tx.execute(query.where(damages.c.log_index >= start, damages.c.log_index < end))
    return {row.log_index: row.what for row in rows}


def replace(tx: sa.Connection, start: int, end: int, found: Mapping[int, str], now: int) -> None:
    """What was found there takes the place of what was known."""
    tx.execute(damages.delete().where(damages.c.log_index >= start, damages.c.log_index < end))
    insert_rows(tx, damages, [(index, now, what) for index, what in found.items()])


def count(tx: sa.Connection) -> int:
    """How many there are."""
    return tx.execute(sa.select(sa.func.count()).select_from(damages)).scalar_one()


def first(tx: sa.Connection, limit: int) -> dict[int, str]:
    """The first ones: log index → in what."""
    query = sa.select(damages.c.log_index, damages.c.what).order_by(damages.c.log_index).limit(limit)
    return {row.log_index: row.what for row in tx.execute(query)}
