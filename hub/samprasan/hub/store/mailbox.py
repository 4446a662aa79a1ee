"""Sealed mail between nodes."""

from typing import NamedTuple

import sqlalchemy as sa
from samprasan.edge.database import rows_as
from samprasan.hub.tables import mailbox


class Mail(NamedTuple):
    """A letter that waits for its reader."""

    number: int
    sender: str
    sealed: bytes


def post(tx: sa.Connection, reader: str, sender: str, sealed: bytes, now: int) -> None:
    """Put mail into ``reader``'s box."""
    tx.execute(mailbox.insert().values(reader=reader, sender=sender, sealed=sealed, posted_at=now))


def waiting(tx: sa.Connection, reader: str, sender: str) -> int:
    """How many pieces of ``sender`` wait for ``reader``."""
    query = sa.select(sa.func.count()).where(mailbox.c.reader == reader, mailbox.c.sender == sender)
    return tx.execute(query).scalar_one()


def waiting_by_pair(tx: sa.Connection) -> dict[tuple[str, str], int]:
    """(reader, sender) → how many pieces wait."""
    pair = (mailbox.c.reader, mailbox.c.sender)
    return {(row[0], row[1]): row[2] for row in tx.execute(sa.select(*pair, sa.func.count()).group_by(*pair))}


def after(tx: sa.Connection, reader: str, number: int, limit: int) -> list[Mail]:
    """Mail with a higher number, ascending."""
    query = (
        sa.select(*(mailbox.c[name] for name in Mail._fields))
        .where(mailbox.c.reader == reader, mailbox.c.number > number)
        .order_by(mailbox.c.number)
        .limit(limit)
    )
    return rows_as(Mail, tx.execute(query))


def delete(tx: sa.Connection, reader: str, number: int) -> None:
    """Forget a piece of ``reader``'s mail."""
    tx.execute(mailbox.delete().where(mailbox.c.reader == reader, mailbox.c.number == number))


def delete_older(tx: sa.Connection, posted_before: int) -> None:
    """Forget mail that nobody fetched."""
    tx.execute(mailbox.delete().where(mailbox.c.posted_at < posted_before))


def newest(tx: sa.Connection) -> int:
    """The highest number ever waiting; 0 if the box is empty."""
    return tx.execute(sa.select(sa.func.max(mailbox.c.number))).scalar() or 0
