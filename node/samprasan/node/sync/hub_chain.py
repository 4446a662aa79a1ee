"""Keeping the hub's own chain: whom it admitted, holds it saw run out, documents it put into force.

It comes with the receipts behind it, and is recalled at hello and before a checkpoint is accepted: whatever this node
holds a receipt or a checkpoint of can be made again without the hub.
"""

from collections.abc import Sequence

from samprasan.edge.database import Database, Tx, take_turn
from samprasan.keys import chain, dissents, documents, rosters, signing
from samprasan.keys.chain import Fit
from samprasan.keys.errors import SamprasanError, Unavailable, Unproven
from samprasan.node import limits, store
from samprasan.node.identity import Node
from samprasan.node.linking import linking_use
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Roster
from samprasan.v1.envelope_pb2 import Envelope


def kept_up_to(db: Database) -> int:
    """How much of the hub's chain is kept."""
    with db.read() as tx:
        return store.hub_chain.head(tx).seq


def keep_entries(node: Node, entries: Sequence[hub_pb2.LogEntry]) -> None:
    """Keep what comes next of the hub's chain; what comes behind something that is not here is left.

    Raises Unproven ``signature``, ``receipt_foreign``; ``receipt_disordered`` for an entry that is said to stand before
    the one that it follows; ``hub_chain_fork`` for one that is not what is kept;
    ``dissent``, ``document_revived`` for the end of a proposal that nobody said no to, or that is in force here;
    ``document_replaced`` for a document that took effect in the log and is another one here, ``document_late`` for one
    whose time was over then, ``document_again`` for one that took effect before; ``admissions_uncovered`` for
    admissions to more accounts than ids were evaluated for; Unavailable ``log_ahead``.
    """
    if not entries:
        return
    try:
        _keep_entries(node, entries)
    except SamprasanError:
        if len(entries) == 1:
            raise
        for entry in entries:  # those before the one that does not fit stay
            _keep_entries(node, [entry])


def check_moment(node: Node, receipt: log.Receipt) -> None:
    """Whether the log is no more than hours ahead of this node's clock: else the hub could begin days, with their caps.

    Raises Unavailable ``log_ahead``.
    """
    ahead_ms = receipt.appended_at - node.world.now()
    if ahead_ms > limits.LOG_AHEAD_MS_MAX:
        raise Unavailable("log_ahead", seconds=round(ahead_ms / 1000))


def _keep_entries(node: Node, entries: Sequence[hub_pb2.LogEntry]) -> None:
    """All of them, or none."""
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: hub chain")  # serve and sync at once both recall what comes next
        key = store.documents.agreed_on(tx).required_roster.hub.signing_key
        agreed = store.documents.agreed_on(tx)
        head, last = store.hub_chain.head(tx), store.hub_chain.last_index(tx)
        for entry in entries:
            batch = node.world.open(entry.batch, log.Batch, key)
            receipt = node.world.open(entry.receipt, log.Receipt, key)
            digest = signing.digest(entry.batch)
            named = (receipt.agency, receipt.seq, receipt.batch_digest)
            whole = len(receipt.outcomes) == len(batch.updates)
            if named != (rosters.HUB, batch.seq, digest) or batch.agency != rosters.HUB or not whole:
                raise Unproven("receipt_foreign", seq=batch.seq)
            check_moment(node, receipt)
            if receipt.cuts != agreed.cuts_at(receipt.log_index):
                raise Unavailable("log_cut")
            match chain.fit(head, batch.seq, batch.previous):
                case Fit.NEXT:
                    if receipt.log_index <= last:
                        raise Unproven("receipt_disordered", seq=batch.seq)
                    linking_use.note_batch(tx, node, batch, receipt)
                    _note_documents(tx, node, batch, receipt)
                    store.hub_chain.add(tx, batch.seq, receipt.log_index, digest, entry.SerializeToString())
                    head, last = chain.Head(batch.seq, digest), receipt.log_index
                case Fit.KNOWN if store.hub_chain.digest_at(tx, batch.seq) == digest:
                    continue
                case Fit.GAP:
                    return
                case _:
                    raise Unproven("hub_chain_fork", seq=batch.seq)


def _note_documents(tx: Tx, node: Node, batch: log.Batch, receipt: log.Receipt) -> None:
    """Keep which proposals the next batch of the hub's chain says are over, and which documents take effect.

    A hub that shows two agencies two documents, both signed by enough, puts one of them into a log that all witness.
    """
    updates = [each for each in batch.updates if each.HasField("activate") or each.HasField("withdrawn")]
    if not updates:
        return
    take_turn(tx, "samprasan: documents")  # a list that comes at once sees what this says, or this what the list says
    agreed = store.documents.agreed_on(tx)
    for update in updates:
        if update.HasField("activate"):
            _note_activation(tx, update.activate, receipt)
            continue
        withdrawn = update.withdrawn
        dissents.check_end(
            withdrawn.digest, withdrawn.dissents, agreed.federation_id, agreed.signing_keys, node.world.verify
        )
        if withdrawn.digest in agreed.digests:
            raise Unproven("document_revived", id=documents.short_id(withdrawn.digest))
        store.dissents.end_proposal(tx, withdrawn.digest, receipt.appended_at, withdrawn.SerializeToString())


def _note_activation(tx: Tx, said: log.Activate, receipt: log.Receipt) -> None:
    kind, version = documents.kind_name(said.document), said.version
    noted = store.documents.activation(tx, said.digest)
    if noted is not None and noted.log_index != receipt.log_index:
        raise Unproven("document_again", kind=kind, version=version)
    replaced = Unproven("document_replaced", kind=kind, version=version)
    if documents.counts_alone(said.document) and store.documents.is_another(tx, said.document, version, said.digest):
        raise replaced
    if (data := store.documents.find_active(tx, said.digest)) is not None:
        body = documents.read(Envelope.FromString(data))
        if (documents.kind_of(body), body.version) != (said.document, version):
            raise replaced
        before = store.documents.roster(tx, version - 1) if isinstance(body, Roster) else None
        if not documents.is_in_time(body, before, receipt.appended_at):
            raise Unproven("document_late", kind=kind, version=version)
    store.documents.note_activation(tx, said, receipt.log_index, receipt.appended_at)
