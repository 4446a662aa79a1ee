"""Recalling: an agency reads back its own chain, and every agency keeps the hub's, so that neither can be lost."""

from collections.abc import Iterable, Iterator

from samprasan.edge.database import Database, Tx
from samprasan.hub import limits, store
from samprasan.hub.store.log import LogRow
from samprasan.keys import rosters
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import Batch, Receipt

_SEQ_MAX = 2**63 - 1  # the database's integers have a sign


def recalled(db: Database, agency: str, own: bool, after_seq: int) -> list[hub_pb2.LogEntry]:
    """The next entries behind ``after_seq`` of the agency's chain, or of the hub's ``own``."""
    with db.read() as tx:
        named = rosters.HUB if own else agency
        rows = store.log.chain(tx, named, min(after_seq, _SEQ_MAX), limits.RECALLED_AT_ONCE)
        return list(_entries(tx, rows))


def own_before(db: Database, receipt: Envelope, after_seq: int) -> tuple[int, list[hub_pb2.LogEntry]]:
    """The newest batch of the hub's own chain before the entry that ``receipt`` is of, and those behind ``after_seq``.

    Of these as many as go well into one message.
    """
    if not receipt.payload:
        return 0, []
    log_index = Receipt.FromString(receipt.payload).log_index
    with db.read() as tx:
        newest = store.log.chain_seq(tx, rosters.HUB, log_index)
        if newest <= after_seq:
            return newest, []
        rows = store.log.chain(tx, rosters.HUB, min(after_seq, _SEQ_MAX), limits.OWN_BESIDE_RECEIPT)
        found, size = [], 0
        for entry in _entries(tx, [row for row in rows if row.log_index < log_index]):
            size += entry.ByteSize()
            if size > limits.OWN_BESIDE_RECEIPT_BYTES:
                break
            found.append(entry)
        return newest, found


def _entries(tx: Tx, rows: Iterable[LogRow]) -> Iterator[hub_pb2.LogEntry]:
    for row in rows:
        batch = Envelope.FromString(row.batch)
        entry = hub_pb2.LogEntry(batch=batch, receipt=Envelope.FromString(row.receipt))
        if row.agency == rosters.HUB:
            for update in Batch.FromString(batch.payload).updates:
                document = store.documents.find(tx, update.activate.digest) if update.HasField("activate") else None
                if document is not None:
                    entry.documents.append(Envelope.FromString(document))
        yield entry
