"""Feeding: giving back to a hub what it gave this node, when it has lost it."""

from collections.abc import Iterable, Iterator

from samprasan.edge.database import Store
from samprasan.node import limits
from samprasan.node.identity import OPENED_COLUMN, Identity
from samprasan.node.store import batches as batches_store
from samprasan.node.store import documents as documents_store
from samprasan.node.store import hub_chain as keeping_store
from samprasan.node.store import log_views as witness_store
from samprasan.node.store import subjects as subjects_store
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope


def everything(
    store: Store, identity: Identity, own_seq: int, hub_seq: int, damaged: Iterable[int]
) -> Iterator[hub_pb2.RefeedRequest]:
    """What this node holds behind its batch ``own_seq`` and the hub's ``hub_seq``, and of ``damaged`` entries.

    Cuts come first, its checkpoint comes last.
    """
    with store.read() as tx:
        cuts = documents_store.agreed_on(tx).cuts
    for cut in cuts:
        yield hub_pb2.RefeedRequest(cut=cut)
    yield from mending(store, damaged)
    yield from _hub_chain(store, hub_seq)
    yield from _own_chain(store, own_seq)
    yield from _accounts(store, identity)
    with store.read() as tx:
        newest = witness_store.newest(tx)
    yield hub_pb2.RefeedRequest(checkpoint=newest)


def mending(store: Store, damaged: Iterable[int]) -> Iterator[hub_pb2.RefeedRequest]:
    """The entries at these places of the log that this node holds."""
    for log_index in damaged:
        with store.read() as tx:
            kept = keeping_store.at_index(tx, log_index)
            row = None if kept else batches_store.at_index(tx, log_index)
        if kept:
            yield hub_pb2.RefeedRequest(entry=hub_pb2.LogEntry.FromString(kept))
        elif row is not None:
            yield hub_pb2.RefeedRequest(entry=_entry(row.envelope, row.receipt))


def _hub_chain(store: Store, seq: int) -> Iterator[hub_pb2.RefeedRequest]:
    while True:
        with store.read() as tx:
            rows = keeping_store.after(tx, seq, limits.BATCHES_READ_AT_ONCE)
        for row in rows:
            yield hub_pb2.RefeedRequest(entry=hub_pb2.LogEntry.FromString(row.entry))
            seq = row.seq
        if not rows:
            return


def _own_chain(store: Store, seq: int) -> Iterator[hub_pb2.RefeedRequest]:
    while True:
        with store.read() as tx:
            rows = batches_store.after(tx, seq, limits.BATCHES_READ_AT_ONCE)
        for row in rows:
            yield hub_pb2.RefeedRequest(entry=_entry(row.envelope, row.receipt))
            seq = row.seq
        if not rows:
            return


def _accounts(store: Store, identity: Identity) -> Iterator[hub_pb2.RefeedRequest]:
    after = 0
    while True:
        with store.read() as tx:
            rows = subjects_store.named_by_hub(tx, after, limits.ACCOUNTS_PER_REQUEST)
        for row in rows:
            opened = Envelope.FromString(identity.vault.open(OPENED_COLUMN, row.sealed_opened))
            account = hub_pb2.NamedAccount(opened=opened, kind=row.kind, key_epoch=row.key_epoch)
            yield hub_pb2.RefeedRequest(account=account)
            after = row.subject_id
        if not rows:
            return


def _entry(envelope: bytes, receipt: bytes | None) -> hub_pb2.LogEntry:
    batch = Envelope.FromString(envelope)
    if receipt is None:
        return hub_pb2.LogEntry(batch=batch)
    return hub_pb2.LogEntry(batch=batch, receipt=Envelope.FromString(receipt))
