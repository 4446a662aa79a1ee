"""Audit: the log is verified and the rules applied anew, then the tables and the tree have to say the same."""

from collections.abc import Iterator
from typing import BinaryIO

from samprasan.edge import bundle
from samprasan.edge.database import Database, Tx
from samprasan.hub import store
from samprasan.hub.identity import Hub
from samprasan.hub.log import checkpoints
from samprasan.keys import merkle
from samprasan.keys.errors import SamprasanError
from samprasan.ledger import verify
from samprasan.ledger.audit import Auditor, Report


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
    """Write what anybody needs to verify the log without this hub; how many entries."""
    with db.read() as tx:
        entries = ((row.batch, row.receipt) for row in store.log.entries(tx))
        return bundle.write(file, store.documents.active(tx), checkpoints.witnessed_note(tx), entries)


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
