"""What agencies said against proposals, and the proposals that are over."""

from collections.abc import Mapping

import sqlalchemy as sa
from samprasan.hub.store import documents as stored
from samprasan.hub.tables import dissents, documents, withdrawn


def against(tx: sa.Connection, digest: bytes) -> dict[str, bytes]:
    """Agency → its envelope, against the proposal with that digest."""
    query = sa.select(dissents.c.agency, dissents.c.envelope).where(dissents.c.digest == digest)
    return {row.agency: row.envelope for row in tx.execute(query.order_by(dissents.c.agency))}


def waiting(tx: sa.Connection) -> list[bytes]:
    """Every envelope against a proposal that waits."""
    return list(tx.execute(sa.select(dissents.c.envelope).order_by(dissents.c.digest, dissents.c.agency)).scalars())


def add(tx: sa.Connection, digest: bytes, agency: str, envelope: bytes) -> None:
    """Store an agency's first."""
    tx.execute(dissents.insert().values(digest=digest, agency=agency, envelope=envelope))
    stored.note_change(tx)


def drop(tx: sa.Connection, digest: bytes, agency: str) -> None:
    """It has changed its mind."""
    tx.execute(dissents.delete().where(dissents.c.digest == digest, dissents.c.agency == agency))


def end(tx: sa.Connection, digests: Mapping[bytes, int]) -> None:
    """Proposals that are over: digest → since when, milliseconds since the Unix epoch.  Nothing of them is kept."""
    for digest, since in digests.items():
        if is_over(tx, digest):
            continue
        row = {"digest": digest, "withdrawn_at": since, "proposed_by": stored.proposer_of(tx, digest) or ""}
        tx.execute(withdrawn.insert().values(row))
        tx.execute(dissents.delete().where(dissents.c.digest == digest))
        tx.execute(documents.delete().where(documents.c.digest == digest, ~documents.c.active))
        stored.note_change(tx)


def is_over(tx: sa.Connection, digest: bytes) -> bool:
    """Whether the proposal with that digest can never take effect any more."""
    return tx.execute(sa.select(withdrawn.c.digest).where(withdrawn.c.digest == digest)).first() is not None


def over_since(tx: sa.Connection, proposer: str, since: int) -> int:
    """How many proposals of one agency have ended since, milliseconds since the Unix epoch."""
    own = (withdrawn.c.proposed_by == proposer, withdrawn.c.withdrawn_at >= since)
    return tx.execute(sa.select(sa.func.count()).where(*own)).scalar_one()
