"""The log: its head, each agency's chain in it, and batches that will never be in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from samprasan.edge.database import insert_rows
from samprasan.hub.store import tree
from samprasan.hub.tables import head, log, refusals
from samprasan.keys import merkle, signing
from samprasan.keys.chain import Head


@dataclass(frozen=True, slots=True)
class LogHead:
    """How many entries the log has, and when the newest was appended."""

    size: int
    appended_at: int


@dataclass(frozen=True, slots=True)
class LogRow:
    """One entry: envelopes as bytes, the batch as sent and the receipt as answered."""

    log_index: int
    agency: str
    seq: int
    digest: bytes
    batch: bytes
    receipt: bytes

    @property
    def entry(self) -> bytes:
        """What stands for it in the tree: SHA-256 of the receipt's payload."""
        return signing.digest(signing.read_envelope(self.receipt))


def start(tx: sa.Connection) -> None:
    """The head of an empty log."""
    tx.execute(head.insert().values(one=1, log_size=0, appended_at=0, documents_changed=0, changes_from=0))


def started(tx: sa.Connection) -> bool:
    """Whether the log has a head."""
    return tx.execute(sa.select(head.c.one)).first() is not None


_HEAD = sa.select(head.c.log_size, head.c.appended_at)
_HEAD_TO_WRITE = _HEAD.with_for_update()


def lock_head(tx: sa.Connection) -> LogHead:
    """The head, kept from every other writer until the transaction ends."""
    row = tx.execute(_HEAD_TO_WRITE).one()
    return LogHead(row.log_size, row.appended_at)


def head_now(tx: sa.Connection) -> LogHead:
    """The head, to read."""
    row = tx.execute(_HEAD).one()
    return LogHead(row.log_size, row.appended_at)


def append(tx: sa.Connection, rows: Sequence[LogRow], appended_at: int) -> None:
    """Put ``rows`` behind the head that this transaction locked."""
    insert_rows(tx, log, [(r.log_index, r.agency, r.seq, r.digest, r.batch, r.receipt) for r in rows])
    if rows:
        tree.grow(tx, rows[0].log_index, [row.entry for row in rows])
        tx.execute(head.update().values(log_size=rows[-1].log_index + 1, appended_at=appended_at))


_CHAIN_HEAD = sa.select(log.c.seq, log.c.digest).where(log.c.agency == sa.bindparam("of"))
_CHAIN_HEAD = _CHAIN_HEAD.order_by(log.c.seq.desc()).limit(1)


def chain_head(tx: sa.Connection, agency: str) -> Head:
    """The newest batch of the agency's chain."""
    row = tx.execute(_CHAIN_HEAD, {"of": agency}).first()
    return Head(row.seq, row.digest) if row else Head()


_CHAIN_SEQ = sa.select(log.c.seq).where(log.c.agency == sa.bindparam("of"), log.c.log_index < sa.bindparam("size"))
_CHAIN_SEQ = _CHAIN_SEQ.order_by(log.c.seq.desc()).limit(1)


def chain_seq(tx: sa.Connection, agency: str, size: int) -> int:
    """The agency's newest batch among the first ``size`` entries; 0 if it has none there."""
    return tx.execute(_CHAIN_SEQ, {"of": agency, "size": size}).scalar() or 0


def find(tx: sa.Connection, agency: str, seq: int) -> LogRow | None:
    """The agency's batch number ``seq``."""
    row = tx.execute(sa.select(log).where(log.c.agency == agency, log.c.seq == seq)).first()
    return LogRow(*row) if row else None


def chain(tx: sa.Connection, agency: str, after_seq: int, limit: int) -> list[LogRow]:
    """The next entries of the agency's chain behind ``after_seq``."""
    query = sa.select(log).where(log.c.agency == agency, log.c.seq > after_seq).order_by(log.c.seq).limit(limit)
    return [LogRow(*row) for row in tx.execute(query)]


def of_agency(tx: sa.Connection, agency: str) -> Iterator[LogRow]:
    """The agency's chain, newest first, without holding all of it in memory."""
    query = sa.select(log).where(log.c.agency == agency).order_by(log.c.seq.desc())
    for row in tx.execute(query.execution_options(yield_per=100)):
        yield LogRow(*row)


def mend(tx: sa.Connection, row: LogRow) -> None:
    """Put an entry of the log in the place of what stands there, or does not stand there any more."""
    same = sa.and_(log.c.agency == row.agency, log.c.seq == row.seq)
    tx.execute(log.delete().where(sa.or_(log.c.log_index == row.log_index, same)))
    insert_rows(tx, log, [(row.log_index, row.agency, row.seq, row.digest, row.batch, row.receipt)])
    tree.put_leaf(tx, row.log_index, merkle.leaf_hash(row.entry))


def entries(tx: sa.Connection, start_at: int = 0) -> Iterator[LogRow]:
    """The log from ``start_at`` on, in order, without holding all of it in memory."""
    query = sa.select(log).where(log.c.log_index >= start_at).order_by(log.c.log_index)
    for row in tx.execute(query.execution_options(yield_per=100)):
        yield LogRow(*row)


def between(tx: sa.Connection, start_at: int, end: int) -> list[LogRow]:
    """Entries from ``start_at`` on, up to and without ``end``."""
    within = (log.c.log_index >= start_at, log.c.log_index < end)
    return [LogRow(*row) for row in tx.execute(sa.select(log).where(*within).order_by(log.c.log_index))]


def refusal_of(tx: sa.Connection, agency: str, digest: bytes) -> bytes | None:
    """The signed refusal of that batch, if it was ever refused."""
    query = sa.select(refusals.c.refusal).where(refusals.c.agency == agency, refusals.c.digest == digest)
    return tx.execute(query).scalar()


def refusal_count(tx: sa.Connection, agency: str) -> int:
    """How many of the agency's batches were refused."""
    return tx.execute(sa.select(sa.func.count()).where(refusals.c.agency == agency)).scalar_one()


def refusals_by_agency(tx: sa.Connection) -> dict[str, int]:
    """Agency → how many of its batches were refused."""
    rows = tx.execute(sa.select(refusals.c.agency, sa.func.count()).group_by(refusals.c.agency))
    return {row[0]: row[1] for row in rows}


def add_refusal(tx: sa.Connection, agency: str, digest: bytes, refusal: bytes) -> None:
    """Remember that the batch is refused."""
    tx.execute(refusals.insert().values(agency=agency, digest=digest, refusal=refusal))
