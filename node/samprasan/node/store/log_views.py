"""What the node has seen of the hub's log: checkpoints, proofs of its receipts, what other agencies saw, evidence."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from samprasan.edge.database import insert_rows, rows_as, upsert_rows
from samprasan.node.rows import HeardRow, UnprovedRow
from samprasan.node.tables import batches, checkpoints, evidence, heard, proofs


class Proof(NamedTuple):
    """That the receipt of batch ``seq`` is in the tree of ``size`` entries: hashes, one after another."""

    seq: int
    size: int
    path: bytes


class Evidence(NamedTuple):
    """Two things the hub signed that cannot both be true."""

    found_at: int
    first: bytes
    second: bytes


_NEWEST = sa.select(checkpoints.c.note).order_by(checkpoints.c.size.desc()).limit(1)


def newest(tx: sa.Connection) -> bytes:
    """The newest checkpoint that was accepted, as a note; empty if there is none."""
    return tx.execute(_NEWEST).scalar() or b""


def all_newest_first(tx: sa.Connection) -> list[bytes]:
    """Every checkpoint that is kept."""
    return list(tx.execute(sa.select(checkpoints.c.note).order_by(checkpoints.c.size.desc())).scalars())


def keep_checkpoint(tx: sa.Connection, size: int, note: bytes) -> None:
    """Keep a checkpoint, or what it says of cosignatures now; older ones only if a proof leads to them."""
    upsert_rows(tx, checkpoints, [(size, note)])
    needed = sa.exists().where(proofs.c.size == checkpoints.c.size)
    tx.execute(checkpoints.delete().where(checkpoints.c.size < size, ~needed))


def forget_after(tx: sa.Connection, size: int) -> None:
    """What was said and proved of a longer log counts no more."""
    tx.execute(checkpoints.delete().where(checkpoints.c.size > size))
    tx.execute(proofs.delete().where(proofs.c.size > size))
    tx.execute(heard.delete())


_PROVED = sa.select(sa.func.coalesce(sa.func.max(proofs.c.seq), 0)).scalar_subquery()
_UNPROVED = sa.select(*(batches.c[name] for name in UnprovedRow._fields))
_UNPROVED = _UNPROVED.where(batches.c.seq > _PROVED, batches.c.receipt.is_not(None))
_UNPROVED = _UNPROVED.order_by(batches.c.seq).limit(sa.bindparam("most", type_=sa.Integer))


def unproved(tx: sa.Connection, limit: int) -> list[UnprovedRow]:
    """Batches with a receipt and without proof, oldest first: seq and receipt."""
    return rows_as(UnprovedRow, tx.execute(_UNPROVED, {"most": limit}))


def add_proofs(tx: sa.Connection, found: Sequence[Proof]) -> None:
    """Proofs that hold, in the order of their batches."""
    insert_rows(tx, proofs, found)


def proof_of(tx: sa.Connection, seq: int) -> Proof | None:
    """The proof of the batch's receipt."""
    row = tx.execute(sa.select(proofs).where(proofs.c.seq == seq)).first()
    return Proof(*row) if row else None


def proved_count(tx: sa.Connection) -> int:
    """How many receipts are proved."""
    return tx.execute(sa.select(sa.func.count()).select_from(proofs)).scalar_one()


_HEARD_AGAIN = heard.update().where(heard.c.agency == sa.bindparam("which")).values(note=sa.bindparam("newer"))
_HEARD_FIRST = heard.insert()


def note_heard(tx: sa.Connection, agency: str, note: bytes, now: int) -> None:
    """An agency knows of this checkpoint, which the hub is to connect to ours."""
    if not tx.execute(_HEARD_AGAIN, {"which": agency, "newer": note}).rowcount:
        tx.execute(_HEARD_FIRST, {"agency": agency, "note": note, "heard_at": now})


_HEARD_OF = sa.select(heard).order_by(heard.c.agency)


def heard_of(tx: sa.Connection) -> list[HeardRow]:
    """What other agencies know of that the hub has not connected yet."""
    return rows_as(HeardRow, tx.execute(_HEARD_OF))


def mark_connected(tx: sa.Connection, agency: str, note: bytes) -> None:
    """The hub proved that our log goes on from what that agency knows of."""
    tx.execute(heard.delete().where(heard.c.agency == agency, heard.c.note == note))


def keep_evidence(tx: sa.Connection, found: Evidence) -> None:
    """Keep evidence."""
    tx.execute(evidence.insert().values(found._asdict()))


def accusations(tx: sa.Connection) -> list[Evidence]:
    """All evidence, oldest first."""
    query = sa.select(evidence.c.found_at, evidence.c.first, evidence.c.second).order_by(evidence.c.evidence_id)
    return [Evidence(*row) for row in tx.execute(query)]
