"""Keeping the hub's own chain: whom it admitted, holds it saw run out, documents it put into force.

It comes with the receipts behind it, and is recalled at hello and before a checkpoint is accepted: whatever this node
holds a receipt or a checkpoint of can be made again without the hub.
"""

from collections.abc import Sequence

from samprasan.edge.database import Database, Tx, take_turn
from samprasan.keys import chain, dissents, documents, rosters, signing
from samprasan.keys.chain import Fit
from samprasan.keys.errors import Unavailable, Unproven
from samprasan.node import store
from samprasan.node.identity import Node
from samprasan.node.linking import linking_use
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log


def kept_up_to(db: Database) -> int:
    """How much of the hub's chain is kept."""
    with db.read() as tx:
        return store.hub_chain.head(tx).seq


def keep_entries(node: Node, entries: Sequence[hub_pb2.LogEntry]) -> None:
    """Keep what comes next of the hub's chain; what comes behind something that is not here is left.

    Raises Unproven ``signature``, ``receipt_foreign``; ``hub_chain_fork`` for an entry that is not what is kept;
    ``dissent``, ``document_revived`` for the end of a proposal that nobody said no to, or that is in force here;
    ``document_replaced`` for a document that took effect in the log and is another one here.
    """
    if not entries:
        return
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: hub chain")  # serve and sync at once both recall what comes next
        key = store.documents.agreed_on(tx).required_roster.hub.signing_key
        agreed = store.documents.agreed_on(tx)
        head = store.hub_chain.head(tx)
        for entry in entries:
            batch = node.world.open(entry.batch, log.Batch, key)
            receipt = node.world.open(entry.receipt, log.Receipt, key)
            digest = signing.digest(entry.batch)
            named = (receipt.agency, receipt.seq, receipt.batch_digest)
            if named != (rosters.HUB, batch.seq, digest) or batch.agency != rosters.HUB:
                raise Unproven("receipt_foreign", seq=batch.seq)
            if receipt.cuts != agreed.cuts_at(receipt.log_index):
                raise Unavailable("log_cut")
            match chain.fit(head, batch.seq, batch.previous):
                case Fit.NEXT:
                    linking_use.note_batch(tx, node, batch, receipt.appended_at)
                    _note_documents(tx, node, batch, receipt.appended_at)
                    store.hub_chain.add(tx, batch.seq, receipt.log_index, digest, entry.SerializeToString())
                    head = chain.Head(batch.seq, digest)
                case Fit.KNOWN if store.hub_chain.digest_at(tx, batch.seq) == digest:
                    continue
                case Fit.GAP:
                    return
                case _:
                    raise Unproven("hub_chain_fork", seq=batch.seq)


def _note_documents(tx: Tx, node: Node, batch: log.Batch, appended_at: int) -> None:
    """Keep which proposals the next batch of the hub's chain says are over; what it puts in force is what is so here.

    A hub that shows two agencies two documents, both signed by enough, puts one of them into a log that all witness.
    """
    for update in batch.updates:
        if update.HasField("activate"):
            named = update.activate
            if store.documents.is_another(tx, named.document, named.version, named.digest):
                raise Unproven("document_replaced", kind=documents.kind_name(named.document), version=named.version)
        if update.HasField("withdrawn"):
            digest, agreed = update.withdrawn.digest, store.documents.agreed_on(tx)
            said = (digest, update.withdrawn.dissents, agreed.federation_id)
            dissents.check_end(*said, agreed.signing_keys, node.world.verify)
            if digest in agreed.digests:
                raise Unproven("document_revived", id=digest.hex()[:12])
            store.dissents.end(tx, digest, appended_at, update.withdrawn.SerializeToString())
