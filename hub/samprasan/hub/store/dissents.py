"""What agencies said against proposals, and the proposals that are over."""

import sqlalchemy as sa
from samprasan.hub.store import documents as stored
from samprasan.hub.tables import dissents, documents, withdrawn


def said_against(tx: sa.Connection, digest: bytes) -> dict[str, bytes]:
    """Agency → its envelope, against the proposal with that digest."""
    query = sa.select(dissents.c.agency, dissents.c.envelope).where(dissents.c.digest == digest)
    return {row.agency: row.envelope for row in tx.execute(query.order_by(dissents.c.agency))}


def waiting(tx: sa.Connection) -> list[bytes]:
    """Every envelope against a proposal that waits."""
    query = sa.select(dissents.c.envelope).join(documents, documents.c.digest == dissents.c.digest)
    query = query.where(~documents.c.active).order_by(dissents.c.digest, dissents.c.agency)
    return list(tx.execute(query).scalars())


def save(tx: sa.Connection, digest: bytes, agency: str, envelope: bytes) -> None:
    """Store what an agency says, in the place of what it said before."""
    drop(tx, digest, agency)
    tx.execute(dissents.insert().values(digest=digest, agency=agency, envelope=envelope))
    stored.note_change(tx)


def drop(tx: sa.Connection, digest: bytes, agency: str) -> None:
    """It has changed its mind."""
    tx.execute(dissents.delete().where(dissents.c.digest == digest, dissents.c.agency == agency))


def end_proposal(tx: sa.Connection, digest: bytes, since: int, *, taken_back: bool) -> None:
    """A proposal is over since then, milliseconds since the Unix epoch; what was said against it stays."""
    if is_over(tx, digest):
        return
    proposer = stored.proposer_of(tx, digest) or ""
    tx.execute(withdrawn.insert().values(digest=digest, ended_at=since, proposed_by=proposer, taken_back=taken_back))
    tx.execute(documents.delete().where(documents.c.digest == digest, ~documents.c.active))
    stored.note_change(tx)


def is_over(tx: sa.Connection, digest: bytes) -> bool:
    """Whether the proposal with that digest can never take effect any more."""
    return tx.execute(sa.select(withdrawn.c.digest).where(withdrawn.c.digest == digest)).first() is not None


def count_withdrawn_since(tx: sa.Connection, proposer: str, since: int) -> int:
    """How many proposals of its own an agency has withdrawn since, milliseconds since the Unix epoch."""
    own = (withdrawn.c.proposed_by == proposer, withdrawn.c.taken_back, withdrawn.c.ended_at >= since)
    return tx.execute(sa.select(sa.func.count()).where(*own)).scalar_one()
