"""Audit: the log is verified and the rules applied anew, then the tables and the tree have to say the same."""

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from samprasan.edge import bundle
from samprasan.edge.database import Database, Tx
from samprasan.hub import store
from samprasan.hub.identity import Hub
from samprasan.hub.log import checkpoints
from samprasan.keys import checkpoint, merkle, rosters, signing
from samprasan.keys.errors import SamprasanError
from samprasan.ledger import verify
from samprasan.ledger.audit import Auditor, Report
from samprasan.v1.documents_pb2 import Cut
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import Batch


def audit(hub: Hub, hub_key: bytes) -> Report:
    """Everything that can be checked without trusting the tables; ``hub_key`` is the hub's raw public key."""
    with hub.db.read() as tx:
        auditor = Auditor(store.documents.active(tx), checkpoints.offered_note(tx), hub.world.verify, [hub_key])
        for row in store.log.entries(tx):
            index = auditor.report.batches
            found = auditor.check_entry(row.batch, row.receipt)
            if found is None:
                continue
            filed = (row.log_index, row.agency, row.seq, row.digest)
            if filed != (index, found.batch.agency, found.batch.seq, found.digest):
                auditor.report.problems.append(f"log entry {index} is filed as another")
        report = auditor.finish()
        if verify.digest_of(auditor.state) != verify.digest_of(store.ledger.load_all(tx)):
            report.problems.append("the tables are not what the log folds to")
        if store.log.head_now(tx).size != report.batches:
            report.problems.append("the head names another size than the log has")
        report.problems += _tree_problems(tx)
    return report


def export(db: Database, file: BinaryIO) -> int:
    """Write what anybody needs to verify the log without this hub, as far as it was witnessed; how many entries."""
    with db.read() as tx:
        note = checkpoints.witnessed_note(tx)
        size = checkpoint.read(note).checkpoint.size if note else store.log.head_now(tx).size
        entries = ((row.batch, row.receipt) for row in islice(store.log.entries(tx), size))
        return bundle.write(file, _documents_until(tx, size), note, entries)


def _documents_until(tx: Tx, size: int) -> list[bytes]:
    """Those in force that the first ``size`` entries put into force, and every cut: receipts tell of it at once."""
    activated = {
        update.activate.digest
        for row in store.log.of_agency(tx, rosters.HUB)
        if row.log_index < size
        for update in Batch.FromString(Envelope.FromString(row.batch).payload).updates
    }
    opened = [(data, Envelope.FromString(data)) for data in store.documents.active(tx)]
    cut = signing.payload_type(Cut)
    return [data for data, each in opened if each.payload_type == cut or signing.digest(each) in activated]


def _tree_problems(tx: Tx) -> Iterator[str]:
    """Whether every stored hash is what the receipts make."""
    kept: dict[tuple[int, int], bytes] = {}
    leaves: list[bytes] = []
    try:
        leaves = [merkle.leaf_hash(row.entry) for row in store.log.entries(tx)]
    except SamprasanError:  # told already
        return

    def fetch(level: int, first: int, count: int) -> list[bytes]:
        return [kept[level, number] for number in range(first, first + count)]

    kept.update({row[:2]: row[2] for row in merkle.grown(fetch, 0, leaves)})
    if kept != store.tree.everything(tx):
        yield "the tree is not what the receipts make"
