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


_OF_READER = mailbox.c.reader == sa.bindparam("reader")
_POST = mailbox.insert()
_WAITING = sa.select(sa.func.count()).where(_OF_READER, mailbox.c.sender == sa.bindparam("sender"))
_AFTER = sa.select(*(mailbox.c[name] for name in Mail._fields))
_AFTER = _AFTER.where(_OF_READER, mailbox.c.number > sa.bindparam("number"))
_AFTER = _AFTER.order_by(mailbox.c.number).limit(sa.bindparam("most", type_=sa.Integer))
_DELETE = mailbox.delete().where(_OF_READER, mailbox.c.number == sa.bindparam("number"))


def post(tx: sa.Connection, reader: str, sender: str, sealed: bytes, now: int) -> None:
    """Put mail into ``reader``'s box."""
    tx.execute(_POST, {"reader": reader, "sender": sender, "sealed": sealed, "posted_at": now})


def waiting(tx: sa.Connection, reader: str, sender: str) -> int:
    """How many pieces of ``sender`` wait for ``reader``."""
    return tx.execute(_WAITING, {"reader": reader, "sender": sender}).scalar_one()


def waiting_by_pair(tx: sa.Connection) -> dict[tuple[str, str], int]:
    """(reader, sender) → how many pieces wait."""
    pair = (mailbox.c.reader, mailbox.c.sender)
    return {(row[0], row[1]): row[2] for row in tx.execute(sa.select(*pair, sa.func.count()).group_by(*pair))}


def after(tx: sa.Connection, reader: str, number: int, limit: int) -> list[Mail]:
    """Mail with a higher number, ascending."""
    return rows_as(Mail, tx.execute(_AFTER, {"reader": reader, "number": number, "most": limit}))


def delete(tx: sa.Connection, reader: str, number: int) -> None:
    """Forget a piece of ``reader``'s mail."""
    tx.execute(_DELETE, {"reader": reader, "number": number})


def delete_older(tx: sa.Connection, posted_before: int) -> None:
    """Forget mail that nobody fetched."""
    tx.execute(mailbox.delete().where(mailbox.c.posted_at < posted_before))


def newest(tx: sa.Connection) -> int:
    """The highest number ever waiting; 0 if the box is empty."""
    return tx.execute(sa.select(sa.func.max(mailbox.c.number))).scalar() or 0
