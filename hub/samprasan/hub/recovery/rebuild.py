"""Rebuilding: tables and tree are made anew from the log, which is what they have to say.

``state = fold(log)``: whatever happened to the tables, the signed batches in the order of their receipts bring back
every total, link and hold.  Only what ties accounts to subjects is not in the log; of it nothing is touched but what
belongs to accounts that the log has closed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.hub import store
from samprasan.hub.identity import Hub
from samprasan.keys.errors import Refused
from samprasan.ledger import changes, verify
from samprasan.ledger.audit import Auditor
from samprasan.ledger.ledger import fold
from samprasan.ledger.state import Entry, State
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import Batch, Receipt


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was made anew."""

    entries: int
    tables: bool
    tree: bool


def rebuild(hub: Hub) -> Rebuilt:
    """Make anew what is not what the log says; Refused ``log_damaged_here`` if the log itself does not verify."""
    with hub.db.begin() as tx:
        size = store.log.lock_head(tx).size
        state = _audited(tx, hub.world, size)
        before = store.tree.everything(tx)
        store.tree.rebuild(tx, (row.entry for row in store.log.entries(tx)))
        with_tree = store.tree.everything(tx) != before
        with_tables = verify.digest_of(state) != verify.digest_of(store.ledger.load_all(tx))
        if with_tables:
            _refold(tx)
            store.pseudonyms.forget(tx, [key for key, totals in state.accounts.items() if totals.closed])
        store.contributions.start_over(tx)
    return Rebuilt(size, with_tables, with_tree)


def _audited(tx: Tx, world: World, size: int) -> State:
    """What the log folds to, once every signature, chain and outcome in it holds."""
    auditor = Auditor(store.documents.active(tx), b"", world.verify, [world.signer.public_key])
    for row in store.log.entries(tx):
        auditor.check_entry(row.batch, row.receipt)
    report = auditor.finish()
    if report.problems or report.batches != size:
        raise Refused("log_damaged_here", problem=report.problems[0] if report.problems else "entries are missing")
    return auditor.state


def _refold(tx: Tx) -> None:
    """Empty the tables and fold the log into them; what entries changed is told as before."""
    store.ledger.clear(tx)
    kept_from = store.changes.kept_from(tx)
    store.changes.clear(tx)
    activated = store.documents.ever_agreed_on(tx).activated
    state = State()
    for log_index, entry in _entries(tx):
        folded, _ = fold(state, entry, activated)
        if log_index >= kept_from:
            store.changes.save(tx, [(log_index, changes.changes_of_entry(entry, state, folded))])
        state.include(folded)
        store.ledger.save(tx, folded, [(log_index, folded)])


def _entries(tx: Tx) -> Iterator[tuple[int, Entry]]:
    for row in store.log.entries(tx):
        batch = Batch.FromString(Envelope.FromString(row.batch).payload)
        receipt = Receipt.FromString(Envelope.FromString(row.receipt).payload)
        yield row.log_index, Entry(batch, receipt.appended_at)
