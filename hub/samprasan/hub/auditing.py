"""Audit: re-verify every signature, chain and receipt, fold the log anew, compare with what the tables say."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from samprasan.edge.database import Store, Tx
from samprasan.edge.world import World
from samprasan.hub.store import documents as documents_store
from samprasan.hub.store import ledger as ledger_store
from samprasan.hub.store import log as log_store
from samprasan.keys import chain, documents, signing
from samprasan.keys.chain import Fit, Head
from samprasan.keys.errors import SamprasanError
from samprasan.ledger import forms, ledger, verify
from samprasan.ledger.ledger import Activated
from samprasan.ledger.state import Entry, State
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Roster
from samprasan.v1.envelope_pb2 import Envelope

PROBLEMS_MAX = 100  # the first hundred tell what happened; a broken log has one an entry


@dataclass
class Report:
    """What an audit found."""

    batches: int = 0
    updates: int = 0
    problems: list[str] = field(default_factory=list)

    def as_document(self) -> dict[str, Any]:
        """The answer of ``samprasan-hub audit``."""
        problems = self.problems[:PROBLEMS_MAX]
        return {"ok": not problems, "batches": self.batches, "updates": self.updates, "problems": problems}


def audit(store: Store, world: World, hub_key: bytes) -> Report:
    """Everything that can be checked without trusting the tables; ``hub_key`` is the hub's raw public key."""
    report = Report()
    with store.read() as tx:
        agreed = documents_store.ever_agreed_on(tx)
        keys = _keys_by_agency(tx, world, hub_key, report)
        checked = _checked(tx, world, agreed.federation_id, keys, report)
        state = _folded(checked, agreed.activated, report)
        if verify.digest_of(state) != verify.digest_of(ledger_store.load_all(tx)):
            report.problems.append("the tables are not what the log folds to")
        report.problems += verify.breaches(state)
        if log_store.head_now(tx).size != report.batches:
            report.problems.append("the head names another size than the log has")
    return report


@dataclass(frozen=True, slots=True)
class _Checked:
    entry: Entry
    receipt: log.Receipt


def _keys_by_agency(tx: Tx, world: World, hub_key: bytes, report: Report) -> dict[str, set[bytes]]:
    """Every key that an agency ever had in a roster that holds."""
    keys: dict[str, set[bytes]] = {documents.HUB: {hub_key}}
    current: Roster | None = None
    for data in documents_store.active(tx):
        envelope = Envelope.FromString(data)
        try:
            body = documents.believe(envelope, current, world.verify)
        except SamprasanError as problem:
            report.problems.append(f"a document in force: {problem}")
            continue
        if isinstance(body, Roster):
            current = body
            for member in body.members:
                keys.setdefault(member.agency, set()).add(member.signing_key)
    return keys


def _checked(
    tx: Tx, world: World, federation_id: bytes, keys: dict[str, set[bytes]], report: Report
) -> Iterator[_Checked]:
    heads: dict[str, Head] = {}
    appended_at = 0
    for expected_index, row in enumerate(log_store.entries(tx)):
        where = f"log entry {expected_index} ({row.agency} {row.seq})"
        report.batches += 1
        try:
            envelope = signing.read_envelope(row.batch)
            batch = _opened(envelope, log.Batch, keys.get(row.agency, set()), world)
            receipt = _opened(signing.read_envelope(row.receipt), log.Receipt, keys[documents.HUB], world)
        except SamprasanError as problem:
            report.problems.append(f"{where}: {problem}")
            continue
        digest = signing.digest(envelope)
        head = heads.get(row.agency, chain.START)
        fits = chain.fit(head, batch.seq, batch.previous) is Fit.NEXT
        heads[row.agency] = Head(batch.seq, digest)
        named = (receipt.agency, receipt.seq, receipt.batch_digest, receipt.log_index)
        for holds, what in (
            (row.log_index == expected_index, "is not where it says"),
            ((row.agency, row.seq, row.digest) == (batch.agency, batch.seq, digest), "is filed as another"),
            (fits, "does not follow its chain"),
            (named == (batch.agency, batch.seq, digest, expected_index), "has another batch's receipt"),
            (receipt.appended_at >= appended_at, "goes back in time"),
            (forms.check(batch, len(envelope.payload), federation_id, row.agency) is None, "is not well formed"),
        ):
            if not holds:
                report.problems.append(f"{where} {what}")
        appended_at = receipt.appended_at
        report.updates += len(batch.updates)
        yield _Checked(Entry(batch, receipt.appended_at), receipt)


def _opened(envelope: Envelope, kind: type[Any], keys: set[bytes], world: World) -> Any:
    for key in keys:
        if envelope.signatures and envelope.signatures[0].key_id == signing.key_id(key):
            return world.open(envelope, kind, key)
    return world.open(envelope, kind, bytes(32))


def _folded(checked: Iterator[_Checked], activated: Activated, report: Report) -> State:
    state = State()
    for each in checked:
        changes, outcomes = ledger.fold(state, each.entry, activated)
        state.include(changes)
        if outcomes != list(each.receipt.outcomes):
            report.problems.append(
                f"log entry {each.receipt.log_index}: the receipt tells other outcomes than the rules"
            )
    return state
