"""Feeding: giving back to a hub what it gave this node, when it has lost it."""

from collections.abc import Iterable, Iterator

from samprasan.edge.database import Database
from samprasan.node import limits, store
from samprasan.node.identity import OPENED_COLUMN, Node
from samprasan.node.linking import evaluation_totals
from samprasan.node.rows import present
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope


def everything(node: Node, own_seq: int, hub_seq: int, damaged: Iterable[int]) -> Iterator[hub_pb2.RefeedRequest]:
    """What this node holds behind its batch ``own_seq`` and the hub's ``hub_seq``, and of ``damaged`` entries.

    Cuts come first, its checkpoint comes last.
    """
    with node.db.read() as tx:
        cuts = store.documents.agreed_on(tx).cuts
    for cut in cuts:
        yield hub_pb2.RefeedRequest(cut=cut)
    yield from mending(node.db, damaged)
    yield from _hub_chain(node.db, hub_seq)
    yield from _own_chain(node.db, own_seq)
    yield from _accounts(node)
    yield from _evaluations(node)
    with node.db.read() as tx:
        newest = store.log_views.newest(tx)
    yield hub_pb2.RefeedRequest(checkpoint=newest)


def mending(db: Database, damaged: Iterable[int]) -> Iterator[hub_pb2.RefeedRequest]:
    """The entries at these places of the log that this node holds."""
    for log_index in damaged:
        with db.read() as tx:
            kept = store.hub_chain.at_index(tx, log_index)
            row = None if kept else store.batches.at_index(tx, log_index)
        if kept:
            yield hub_pb2.RefeedRequest(entry=hub_pb2.LogEntry.FromString(kept))
        elif row is not None:
            yield hub_pb2.RefeedRequest(entry=_entry(row.envelope, row.receipt))


def _hub_chain(db: Database, seq: int) -> Iterator[hub_pb2.RefeedRequest]:
    while True:
        with db.read() as tx:
            rows = store.hub_chain.after(tx, seq, limits.BATCHES_READ_AT_ONCE)
        for row in rows:
            yield hub_pb2.RefeedRequest(entry=hub_pb2.LogEntry.FromString(row.entry))
            seq = row.seq
        if not rows:
            return


def _own_chain(db: Database, seq: int) -> Iterator[hub_pb2.RefeedRequest]:
    while True:
        with db.read() as tx:
            rows = store.batches.after(tx, seq, limits.BATCHES_READ_AT_ONCE)
        for row in rows:
            yield hub_pb2.RefeedRequest(entry=_entry(row.envelope, row.receipt))
            seq = row.seq
        if not rows:
            return


def _accounts(node: Node) -> Iterator[hub_pb2.RefeedRequest]:
    after = 0
    while True:
        with node.db.read() as tx:
            rows = store.subjects.named_by_hub(tx, after, limits.ACCOUNTS_PER_REQUEST)
        for row in rows:
            opened = Envelope.FromString(node.identity.vault.open(OPENED_COLUMN, present(row.sealed_opened)))
            yield hub_pb2.RefeedRequest(account=opened)
            after = row.subject_id
        if not rows:
            return


def _evaluations(node: Node) -> Iterator[hub_pb2.RefeedRequest]:
    with node.db.read() as tx:
        found = evaluation_totals.every_acknowledged(tx, node.identity.agency)
    for each in found:
        yield hub_pb2.RefeedRequest(evaluated=each)


def _entry(envelope: bytes, receipt: bytes | None) -> hub_pb2.LogEntry:
    batch = Envelope.FromString(envelope)
    if receipt is None:
        return hub_pb2.LogEntry(batch=batch)
    return hub_pb2.LogEntry(batch=batch, receipt=Envelope.FromString(receipt))
