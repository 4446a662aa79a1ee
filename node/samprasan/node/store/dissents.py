"""What agencies said against proposals that wait, and the proposals that are over."""

from typing import NamedTuple

import sqlalchemy as sa
from samprasan.node.tables import dissents, documents, ended


class Ended(NamedTuple):
    """A proposal that is over since then, milliseconds since the Unix epoch, and what the hub's chain has of it."""

    digest: bytes
    ended_at: int
    dissents: bytes


def reasons_against(tx: sa.Connection, digest: bytes) -> dict[str, str]:
    """Agency → its reason, of those that said no to the proposal with that digest."""
    query = sa.select(dissents.c.agency, dissents.c.reason).where(dissents.c.digest == digest)
    return {row.agency: row.reason for row in tx.execute(query.order_by(dissents.c.agency))}


def note(tx: sa.Connection, digest: bytes, agency: str, reason: str) -> None:
    """What an agency said against a proposal that waits."""
    tx.execute(dissents.insert().values(digest=digest, agency=agency, reason=reason))


def forget_all(tx: sa.Connection) -> None:
    """Forget what was said: the hub's list replaces it."""
    tx.execute(dissents.delete())


def end_proposal(tx: sa.Connection, digest: bytes, ended_at: int, said: bytes) -> None:
    """A proposal is over since then, milliseconds since the Unix epoch; ``said`` is what the hub's chain has of it."""
    if is_over(tx, digest):
        return
    tx.execute(ended.insert().values(digest=digest, ended_at=ended_at, dissents=said))
    tx.execute(documents.delete().where(documents.c.digest == digest, ~documents.c.active))


def is_over(tx: sa.Connection, digest: bytes) -> bool:
    """Whether the hub's chain says that the proposal with that digest is over."""
    return tx.execute(sa.select(ended.c.digest).where(ended.c.digest == digest)).first() is not None


def ended_since(tx: sa.Connection, since: int, most: int) -> list[Ended]:
    """Proposals that have ended since, the newest first."""
    query = sa.select(ended).where(ended.c.ended_at >= since).order_by(ended.c.ended_at.desc(), ended.c.digest)
    return [Ended(row.digest, row.ended_at, row.dissents) for row in tx.execute(query.limit(most))]
