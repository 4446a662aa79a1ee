"""Recovery of a node whose database is older than its chain: it takes its own signed batches back from the log.

Each is proved by this node's own signature, its place in the chain and the hub's receipt, and is taken as when its
receipt first came.  Consents become what its Links and Unlinks say.  What the database never heard of is kept as far as
a batch tells: awards without a deed are orphans, an account without a subject belongs to somebody nobody here can name
until the same person is linked again.  Batches sealed since the restore, which the log took others instead of, leave
the chain, and what they carried is sent anew unless the log has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from samprasan.edge.database import Database, Tx
from samprasan.keys import chain, signing
from samprasan.keys.chain import Fit
from samprasan.keys.errors import SamprasanError, Unproven
from samprasan.keys.identifiers import Scheme
from samprasan.node import limits, store
from samprasan.node.deeds import awards
from samprasan.node.identity import ID_COLUMN, NAME_COLUMN, Node
from samprasan.node.linking import evaluation_totals
from samprasan.node.rows import AwardRow, SubjectRow
from samprasan.node.states import AwardState
from samprasan.node.sync import receipts
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log

_APPLIED = log.DECLINE_REASON_UNSPECIFIED
_OVER = frozenset({store.facts.RESTORED, "node_went_back", "chain_fork"})  # why it was halted, and is not any more
_PUBLIC_SCHEMES = frozenset({Scheme.REGISTRY.value, Scheme.AREA.value})
_RECOVERED = "recovered"  # how its subject proved who they are is not known any more


@dataclass(frozen=True, slots=True)
class Recovered:
    """How the node stands after it: batches taken back, accounts given up meanwhile, orphans, people without name."""

    batches: int
    given_up: int
    orphans: int
    unnamed: int


def common_seq(db: Database) -> int:
    """The batch behind which to ask: all up to it have their receipt."""
    with db.read() as tx:
        return store.batches.settled_seq(tx)


def broken_batches(node: Node) -> list[str]:
    """What of the chain in the database is not this node's, or not whole; empty if all of it holds."""
    problems, head = [], chain.START
    while True:
        with node.db.read() as tx:
            rows = store.batches.after(tx, head.seq, limits.BATCHES_READ_AT_ONCE)
        for row in rows:
            try:
                batch = node.world.open(signing.read_envelope(row.envelope), log.Batch, node.world.signer.public_key)
                holds = chain.fit(head, batch.seq, batch.previous) is Fit.NEXT and batch.seq == row.seq
            except SamprasanError:
                holds = False
            if not holds:
                problems.append(f"batch {row.seq} is not what this node signed")
            head = chain.Head(row.seq, row.digest)
        if not rows:
            return problems


def take_back(node: Node, entries: Sequence[hub_pb2.LogEntry]) -> tuple[int, int]:
    """Take back the next batches of the own chain; how many were not here, and how many accounts they gave up.

    Raises Unproven ``signature``, ``receipt_foreign``, ``chain_fork`` for what this node did not sign, or not there.
    """
    taken = given_up = 0
    for entry in entries:
        with node.db.begin() as tx:
            store.awards.lock(tx)
            is_new, unlinked = _take_back(tx, node, entry)
            taken += is_new
            given_up += unlinked
    return taken, given_up


def finish_recovery(node: Node) -> tuple[int, int]:
    """The chain is whole: what waits is worked out anew; how many orphans and people without name there are."""
    with node.db.begin() as tx:
        store.awards.lock(tx)
        evaluation_totals.allow_for_forgotten(tx, node.identity.agency)
        store.subjects.end_replay(tx)
        deeds = store.deeds.of_ids(tx, store.awards.waiting(tx))
        awards.AwardQueue(tx, node.world, node.world.now()).correct(deeds)
        if store.facts.get(tx, store.facts.HALTED) in _OVER:
            store.facts.drop(tx, store.facts.HALTED)
        return store.orphans.undecided(tx), store.subjects.unnamed(tx)


def _take_back(tx: Tx, node: Node, entry: hub_pb2.LogEntry) -> tuple[bool, int]:
    batch = node.world.open(entry.batch, log.Batch, node.world.signer.public_key)
    hub_key = store.documents.agreed_on(tx).required_roster.hub.signing_key
    receipt = node.world.open(entry.receipt, log.Receipt, hub_key)
    digest = signing.digest(entry.batch)
    if (receipt.agency, receipt.seq, receipt.batch_digest) != (node.identity.agency, batch.seq, digest):
        raise Unproven("receipt_foreign", seq=batch.seq)
    stored = store.batches.find(tx, batch.seq)
    if stored is not None and stored.digest == digest:
        if stored.receipt is None:
            receipts.settle_in(tx, node.world, stored, receipt, entry.receipt)
        return False, 0
    if stored is not None:
        if stored.receipt is not None:
            raise Unproven("chain_fork", agency=node.identity.agency, seq=batch.seq)
        receipts.remove_batches_from(tx, node.world, batch.seq)
    if chain.fit(store.batches.head(tx), batch.seq, batch.previous) is not Fit.NEXT:
        raise Unproven("chain_fork", agency=node.identity.agency, seq=batch.seq)
    store.batches.add(tx, batch.seq, digest, entry.batch.SerializeToString())
    unlinked = _Replay(tx, node, batch).run(receipt)
    stored = store.batches.find(tx, batch.seq)
    assert stored is not None
    receipts.settle_in(tx, node.world, stored, receipt, entry.receipt)
    return True, unlinked


class _Replay:
    """What one batch says, written down as if this node had just sealed it."""

    def __init__(self, tx: Tx, node: Node, batch: log.Batch) -> None:
        self._tx, self._world, self._identity, self._batch = tx, node.world, node.identity, batch
        named = {update.op_id for update in batch.updates}
        named |= {update.award.replaces for update in batch.updates if update.award.replaces}
        named |= {update.reverse.award_op_id for update in batch.updates if update.HasField("reverse")}
        self._known = store.awards.of_op_ids(tx, named)
        self._told = store.redemptions.of_op_ids(tx, [update.op_id for update in batch.updates])
        self._next_id = store.awards.next_id(tx)
        self._unlinked = 0

    def run(self, receipt: log.Receipt) -> int:
        """Write everything down; how many accounts were given up."""
        for update, outcome in zip(self._batch.updates, receipt.outcomes, strict=True):
            kind = update.WhichOneof("change")
            if kind in {"link", "unlink"}:
                self._write_link(update, applied=outcome.reason == _APPLIED)
            elif kind in {"award", "reverse"}:
                self._write_award(update, applied=outcome.reason == _APPLIED)
            else:
                self._write_hold_update(update)
        return self._unlinked

    def _write_link(self, update: log.Update, *, applied: bool) -> None:
        now = self._world.now()
        if update.HasField("link"):
            bits = sum(1 << purpose for purpose in update.link.purposes)
            account_id = update.link.account_id
            if not applied:
                return
            if store.subjects.mirror_link(self._tx, account_id, bits, now) is None:
                if not store.subjects.return_to(self._tx, account_id):
                    self._add_unnamed(account_id)
                store.subjects.mirror_link(self._tx, account_id, bits, now)
            self._seal(account_id, bits)
        elif applied and store.subjects.mirror_link(self._tx, update.unlink.account_id, 0, now) is not None:
            self._seal(update.unlink.account_id, store.links.UNLINKING)
            self._unlinked += 1

    def _seal(self, account_id: bytes, bits: int) -> None:
        store.links.seal(self._tx, [(row.subject_id, bits) for row in store.links.subjects_of(self._tx, [account_id])])

    def _add_unnamed(self, account_id: bytes) -> None:
        """Somebody with that account: the agency linked them, and nobody here knows whom."""
        sealed = [self._identity.seal(self._world, column, b"") for column in (ID_COLUMN, NAME_COLUMN)]
        store.subjects.add_unnamed(self._tx, account_id, self._world.random_bytes(32), (sealed[0], sealed[1]))

    def _name(self, subject_id: int, account_id: bytes) -> None:
        """The database knows of whom an update is, and the update names the account: so it is theirs."""
        row = next(store.subjects.of_ids(self._tx, [subject_id]), None)
        if account_id and row is not None and row.account_id is None:
            key = store.documents.agreed_on(self._tx).required_roster.linking
            store.subjects.name_accounts(self._tx, [(subject_id, account_id)])
            epoch = store.subjects.PUBLIC if row.scheme in _PUBLIC_SCHEMES else key.key_epoch
            store.subjects.set_account(self._tx, subject_id, account_id, epoch)

    def _write_award(self, update: log.Update, *, applied: bool) -> None:
        known = self._known.get(update.op_id)
        if known is not None:
            if known.is_open:
                store.awards.seal(self._tx, self._batch.seq, [known.award_id])
                self._name(known.subject_id, update.award.account_id)
            return
        if not applied:
            return
        award, reverse = update.award, update.reverse
        replaced = self._known.get(award.replaces or reverse.award_op_id)
        subject_id = replaced.subject_id if replaced else 0
        if update.HasField("award"):
            subject_id = next((row.subject_id for row in self._subjects(award.account_id)), 0)
        row = AwardRow(
            award_id=self._next_id,
            deed_id=replaced.deed_id if replaced else store.orphans.NO_DEED,
            subject_id=subject_id,
            op_id=update.op_id,
            replaces=(award.replaces or reverse.award_op_id) or None,
            reverse_reason=reverse.reason,
            credits=award.credits,
            dimension=award.dimension,
            month=award.month,
            policy_version=award.policy_version,
            state=AwardState.QUEUED,
            seq=self._batch.seq,
            reason=0,
            restores=award.restores or None,
        )
        store.awards.add(self._tx, [row])
        self._known[update.op_id] = row
        self._next_id += 1

    def _subjects(self, account_id: bytes) -> list[SubjectRow]:
        return store.links.subjects_of(self._tx, [account_id])

    def _write_hold_update(self, update: log.Update) -> None:
        told = self._told.get(update.op_id)
        if told is not None:
            if told.seq is None:
                store.redemptions.seal(self._tx, self._batch.seq, [told.update_id])
                asked = store.redemptions.of_hold_id(self._tx, told.hold_id)
                if update.HasField("reserve") and asked is not None:
                    self._name(asked.subject_id, update.reserve.account_id)
            return
        kind = update.WhichOneof("change") or ""
        change = getattr(update, kind)
        hold_id = update.op_id if kind == "reserve" else change.hold_id
        if kind == "reserve":
            self._write_reserve(update.op_id, change)
        values = {
            "op_id": update.op_id,
            "change": kind,
            "agency": change.agency if kind == "refund" else self._identity.agency,
            "hold_id": hold_id,
            "credits": 0 if kind == "void" else change.credits,
            "why": change.reason if kind in {"void", "refund"} else 0,
        }
        store.redemptions.queue(self._tx, [values])
        found = store.redemptions.of_op_ids(self._tx, [update.op_id])
        store.redemptions.seal(self._tx, self._batch.seq, [found[update.op_id].update_id])

    def _write_reserve(self, hold_id: bytes, reserve: log.Reserve) -> None:
        values = {
            "op_key": hold_id,
            "subject_id": next((row.subject_id for row in self._subjects(reserve.account_id)), 0),
            "hold_id": hold_id,
            "owner": reserve.benefit_agency,
            "benefit": reserve.benefit,
            "benefit_digest": reserve.benefit_digest,
            "credits": reserve.credits,
            "ttl_seconds": reserve.ttl_seconds,
            "authorised_by": _RECOVERED,
            "reserve_only": False,
            "on_own_risk": False,
            "asked_at": self._batch.created_at,
        }
        store.redemptions.add(self._tx, values)
