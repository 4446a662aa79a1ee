"""The hub's own chain, kept so that a hub that is lost can be made again."""

import sqlalchemy as sa
from samprasan.edge.database import insert_rows, rows_as
from samprasan.keys.chain import Head
from samprasan.node.rows import HubEntryRow
from samprasan.node.store import facts
from samprasan.node.tables import hub_entries
from samprasan.v1.hub_pb2 import LogEntry

_HEAD = sa.select(hub_entries.c.seq, hub_entries.c.digest).order_by(hub_entries.c.seq.desc()).limit(1)


def head(tx: sa.Connection) -> Head:
    """The newest batch of the hub's chain that is kept."""
    row = tx.execute(_HEAD).first()
    return Head(row.seq, row.digest) if row else Head()


def digest_at(tx: sa.Connection, seq: int) -> bytes | None:
    """The digest of the hub's batch ``seq``, if it is kept."""
    return tx.execute(sa.select(hub_entries.c.digest).where(hub_entries.c.seq == seq)).scalar()


def add(tx: sa.Connection, seq: int, log_index: int, digest: bytes, entry: bytes) -> None:
    """Keep the next one."""
    insert_rows(tx, hub_entries, [(seq, log_index, digest, entry)])


_UNPROVED = sa.select(hub_entries.c.seq, hub_entries.c.entry).where(hub_entries.c.seq > sa.bindparam("seq"))
_UNPROVED = _UNPROVED.order_by(hub_entries.c.seq).limit(sa.bindparam("most", type_=sa.Integer))
_UNPROVED = _UNPROVED.execution_options(yield_per=1)


def forget_from(tx: sa.Connection, log_index: int) -> None:
    """Forget the entries from there on in the log, and what was proved of the others: it is another log now."""
    tx.execute(hub_entries.delete().where(hub_entries.c.log_index >= log_index))
    facts.drop(tx, facts.ENTRIES_PROVED)


def unproved(tx: sa.Connection, limit: int) -> list[tuple[int, bytes]]:
    """Entries that are not proved to be in the log, oldest first: seq and receipt."""
    rows = tx.execute(_UNPROVED, {"seq": _proved_up_to(tx), "most": limit})  # one at a time: an entry may be large
    return [(row.seq, LogEntry.FromString(row.entry).receipt.SerializeToString()) for row in rows]


def note_proved(tx: sa.Connection, seq: int) -> None:
    """Note that the entries up to ``seq`` are proved to be in the log."""
    facts.write(tx, facts.ENTRIES_PROVED, str(max(seq, _proved_up_to(tx))))


def _proved_up_to(tx: sa.Connection) -> int:
    """Up to which entry they are proved to be in the log."""
    return int(facts.get(tx, facts.ENTRIES_PROVED) or 0)


_LAST_INDEX = sa.select(hub_entries.c.log_index).order_by(hub_entries.c.seq.desc()).limit(1)


def last_index(tx: sa.Connection) -> int:
    """Where the newest that is kept stands in the log; -1 if none is."""
    found = tx.execute(_LAST_INDEX).scalar()
    return -1 if found is None else int(found)


def after(tx: sa.Connection, seq: int, limit: int) -> list[HubEntryRow]:
    """The next ones behind ``seq``."""
    query = sa.select(hub_entries).where(hub_entries.c.seq > seq).order_by(hub_entries.c.seq)
    return rows_as(HubEntryRow, tx.execute(query.limit(limit)))


def at_index(tx: sa.Connection, log_index: int) -> bytes | None:
    """The entry that stands there in the log, if it is the hub's own and kept."""
    return tx.execute(sa.select(hub_entries.c.entry).where(hub_entries.c.log_index == log_index)).scalar()


def newest_receipt(tx: sa.Connection) -> bytes:
    """The receipt of the newest entry; empty if none is kept."""
    query = sa.select(hub_entries.c.entry).order_by(hub_entries.c.seq.desc()).limit(1)
    data = tx.execute(query).scalar()
    return LogEntry.FromString(data).receipt.SerializeToString() if data else b""
