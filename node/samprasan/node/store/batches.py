"""The node's own chain, batch by batch, with the receipts."""

import sqlalchemy as sa
from samprasan.edge.database import row_as, rows_as
from samprasan.keys.chain import Head
from samprasan.node.rows import BatchRow
from samprasan.node.tables import batches, refused
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import Batch, Receipt

_HEAD = sa.select(batches.c.seq, batches.c.digest).order_by(batches.c.seq.desc()).limit(1)


def head(tx: sa.Connection) -> Head:
    """The newest sealed batch."""
    row = tx.execute(_HEAD).first()
    return Head(row.seq, row.digest) if row else Head()


_DIGEST_AT = sa.select(batches.c.digest).where(batches.c.seq == sa.bindparam("at"))


def digest_at(tx: sa.Connection, seq: int) -> bytes | None:
    """The digest of batch ``seq``, if there is one."""
    return tx.execute(_DIGEST_AT, {"at": seq}).scalar()


def settled_seq(tx: sa.Connection) -> int:
    """The newest batch whose receipt is here; 0 if there is none."""
    return tx.execute(sa.select(sa.func.max(batches.c.seq)).where(batches.c.receipt.is_not(None))).scalar() or 0


def settled_before(tx: sa.Connection, log_index: int) -> int:
    """The newest batch whose receipt puts it in the log before ``log_index``: both numbers grow together."""
    low, high = 0, settled_seq(tx)
    while low < high:
        middle = (low + high + 1) // 2
        row = find(tx, middle)
        if row is not None and row.receipt is not None and _index(row.receipt) < log_index:
            low = middle
        else:
            high = middle - 1
    return low


def unsettle(tx: sa.Connection, seq: int) -> None:
    """The receipts of batch ``seq`` and all behind it count no more."""
    tx.execute(batches.update().where(batches.c.seq >= seq).values(receipt=None))


def in_flight(tx: sa.Connection) -> int:
    """How many sealed batches wait for their receipt."""
    return tx.execute(sa.select(sa.func.count()).select_from(batches).where(batches.c.receipt.is_(None))).scalar_one()


_UNSETTLED = sa.select(batches).where(batches.c.receipt.is_(None)).order_by(batches.c.seq)


def unsettled(tx: sa.Connection) -> list[BatchRow]:
    """Sealed batches without receipt, oldest first."""
    return rows_as(BatchRow, tx.execute(_UNSETTLED))


_AT = sa.select(batches).where(batches.c.seq == sa.bindparam("at"))


def find(tx: sa.Connection, seq: int) -> BatchRow | None:
    """Batch ``seq``."""
    return row_as(BatchRow, tx.execute(_AT, {"at": seq}).first())


_RECEIPT_AT = sa.select(batches.c.receipt).where(batches.c.seq == sa.bindparam("at"))


def receipt_of(tx: sa.Connection, seq: int) -> bytes | None:
    """The receipt of batch ``seq``, empty if it has none; None if there is no such batch."""
    row = tx.execute(_RECEIPT_AT, {"at": seq}).first()
    return None if row is None else bytes(row.receipt or b"")


def between(tx: sa.Connection, start: int, end: int) -> list[BatchRow]:
    """Batches with a receipt from ``start`` on, up to and without ``end``."""
    within = (batches.c.seq >= start, batches.c.seq < end, batches.c.receipt.is_not(None))
    return rows_as(BatchRow, tx.execute(sa.select(batches).where(*within).order_by(batches.c.seq)))


def after(tx: sa.Connection, seq: int, limit: int) -> list[BatchRow]:
    """The next batches behind ``seq``, with or without receipt."""
    return rows_as(
        BatchRow, tx.execute(sa.select(batches).where(batches.c.seq > seq).order_by(batches.c.seq).limit(limit))
    )


def at_index(tx: sa.Connection, log_index: int) -> BatchRow | None:
    """The batch whose receipt puts it there in the log: looked for by halves, since both numbers grow."""
    low, high = 1, settled_seq(tx)
    while low <= high:
        middle = (low + high) // 2
        row = find(tx, middle)
        if row is None or row.receipt is None:
            return None
        found = _index(row.receipt)
        if found == log_index:
            return row
        low, high = (middle + 1, high) if found < log_index else (low, middle - 1)
    return None


def _index(receipt: bytes) -> int:
    return Receipt.FromString(Envelope.FromString(receipt).payload).log_index


def newest_receipt(tx: sa.Connection) -> bytes:
    """The receipt of the newest batch that has one; empty if none has."""
    query = sa.select(batches.c.receipt).where(batches.c.receipt.is_not(None)).order_by(batches.c.seq.desc()).limit(1)
    return tx.execute(query).scalar() or b""


def add(tx: sa.Connection, seq: int, digest: bytes, envelope: bytes) -> None:
    """A sealed batch."""
    tx.execute(batches.insert().values(seq=seq, digest=digest, envelope=envelope))


def settle(tx: sa.Connection, seq: int, receipt: bytes) -> None:
    """The batch's receipt arrived."""
    tx.execute(batches.update().where(batches.c.seq == seq).values(receipt=receipt))


def drop_from(tx: sa.Connection, seq: int) -> list[BatchRow]:
    """Take batch ``seq`` and all behind it out of the chain; the rows they were."""
    gone = rows_as(BatchRow, tx.execute(sa.select(batches).where(batches.c.seq >= seq)))
    tx.execute(batches.delete().where(batches.c.seq >= seq))
    return gone


def keep_refused(tx: sa.Connection, digest: bytes, envelope: bytes, refusal: bytes) -> None:
    """Keep the refused batch with the hub's signed refusal."""
    tx.execute(refused.insert().values(digest=digest, envelope=envelope, refusal=refusal))


def updates_after(tx: sa.Connection, seq: int) -> int:
    """How many updates stand in settled batches behind ``seq``."""
    rows = tx.execute(sa.select(batches.c.envelope).where(batches.c.seq > seq, batches.c.receipt.is_not(None)))
    return sum(len(Batch.FromString(Envelope.FromString(row.envelope).payload).updates) for row in rows)
