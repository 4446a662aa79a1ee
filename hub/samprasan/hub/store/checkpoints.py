"""Checkpoints the hub signed, and the agencies' cosignatures of them."""

from typing import NamedTuple

import sqlalchemy as sa
from samprasan.hub.tables import checkpoints, cosignatures
from samprasan.keys.checkpoint import Cosignature


class Signed(NamedTuple):
    """A checkpoint as the hub signed it."""

    size: int
    made_at: int
    note: bytes


class Given(NamedTuple):
    """A cosignature and the key it is by."""

    cosignature: Cosignature
    key: bytes


_NEWEST = sa.select(checkpoints).order_by(checkpoints.c.size.desc()).limit(1)


def newest(tx: sa.Connection) -> Signed | None:
    """The newest one, which is the one that is offered."""
    row = tx.execute(_NEWEST).first()
    return Signed(*row) if row else None


def find(tx: sa.Connection, size: int) -> Signed | None:
    """The checkpoint of that size."""
    row = tx.execute(sa.select(checkpoints).where(checkpoints.c.size == size)).first()
    return Signed(*row) if row else None


def add(tx: sa.Connection, signed: Signed) -> None:
    """A new one."""
    tx.execute(checkpoints.insert().values(signed._asdict()))


def cosignatures_of(tx: sa.Connection, size: int) -> list[Given]:
    """Who cosigned the checkpoint of that size, by agency."""
    query = sa.select(cosignatures).where(cosignatures.c.size == size).order_by(cosignatures.c.agency)
    return [Given(Cosignature(row.agency, row.seconds, row.signature), row.key) for row in tx.execute(query)]


def add_cosignature(tx: sa.Connection, size: int, given: Given) -> None:
    """An agency cosigned; again, the first one stays."""
    mine = (cosignatures.c.size == size, cosignatures.c.agency == given.cosignature.agency)
    if tx.execute(sa.select(cosignatures.c.size).where(*mine)).first() is None:
        word = given.cosignature
        row = {"size": size, "agency": word.agency, "key": given.key, "seconds": word.seconds}
        tx.execute(cosignatures.insert().values(row | {"signature": word.signature}))


def newest_cosigned(tx: sa.Connection, agencies: int) -> int:
    """The size of the newest checkpoint that so many agencies cosigned; 0 if there is none."""
    by_size = sa.select(cosignatures.c.size).group_by(cosignatures.c.size).having(sa.func.count() >= agencies)
    return tx.execute(by_size.order_by(cosignatures.c.size.desc()).limit(1)).scalar() or 0


def newest_by_agency(tx: sa.Connection) -> dict[str, int]:
    """Agency → size of the newest checkpoint that it cosigned."""
    query = sa.select(cosignatures.c.agency, sa.func.max(cosignatures.c.size)).group_by(cosignatures.c.agency)
    return {row[0]: row[1] for row in tx.execute(query)}


def first_after(tx: sa.Connection, size: int) -> Signed | None:
    """The oldest checkpoint that is larger, of those that are kept."""
    query = sa.select(checkpoints).where(checkpoints.c.size > size).order_by(checkpoints.c.size).limit(1)
    row = tx.execute(query).first()
    return Signed(*row) if row else None


def forget_after(tx: sa.Connection, size: int) -> None:
    """What is said of a longer log than there is any more."""
    tx.execute(checkpoints.delete().where(checkpoints.c.size > size))
    tx.execute(cosignatures.delete().where(cosignatures.c.size > size))


def forget_before(tx: sa.Connection, size: int) -> None:
    """What is older than a final one is proved by it."""
    tx.execute(checkpoints.delete().where(checkpoints.c.size < size))
    tx.execute(cosignatures.delete().where(cosignatures.c.size < size))
