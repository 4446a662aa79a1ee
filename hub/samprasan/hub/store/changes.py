"""What each entry of the log changed of what integrators may see, as long as it is kept."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from samprasan.edge.database import insert_rows
from samprasan.hub.tables import changes, head
from samprasan.v1.changes_pb2 import EntryChanges


class Kept(NamedTuple):
    """What one entry changed."""

    log_index: int
    content: EntryChanges


def save(tx: sa.Connection, told: Sequence[tuple[int, EntryChanges]]) -> None:
    """Keep what entries changed; of those that changed nothing, nothing."""
    rows = [(index, each.at, each.SerializeToString()) for index, each in told if each.changes]
    if rows:
        insert_rows(tx, changes, rows)


def after(tx: sa.Connection, log_index: int, limit: int) -> list[Kept]:
    """What entries from ``log_index`` on changed, in order."""
    query = sa.select(changes.c.log_index, changes.c.content).where(changes.c.log_index >= log_index)
    rows = tx.execute(query.order_by(changes.c.log_index).limit(limit))
    return [Kept(row.log_index, EntryChanges.FromString(row.content)) for row in rows]


def kept_from(tx: sa.Connection) -> int:
    """The first entry of which changes are kept."""
    return int(tx.execute(sa.select(head.c.changes_from)).scalar_one())


def drop_before(tx: sa.Connection, moment: int) -> int:
    """Keep no more what was appended before ``moment``; the first entry of which changes are kept now."""
    newest = tx.execute(sa.select(sa.func.max(changes.c.log_index)).where(changes.c.appended_at < moment)).scalar()
    first = max(kept_from(tx), -1 if newest is None else newest + 1)
    tx.execute(changes.delete().where(changes.c.log_index < first))
    tx.execute(head.update().values(changes_from=first))
    return first


def clear(tx: sa.Connection) -> None:
    """Delete all of it, to be told anew."""
    tx.execute(changes.delete())
