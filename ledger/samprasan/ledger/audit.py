"""Auditing a log from its documents, batches and receipts alone: no table, no pseudonym, no trust in who kept them.

Every signature, chain and receipt is verified, the rules are applied anew, and the tree over it all has to have the
root that the hub signed and the agencies cosigned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from samprasan.keys import chain, checkpoint, dissents, documents, evaluation_totals, merkle, rosters, signing
from samprasan.keys.chain import Fit, Head
from samprasan.keys.documents import Body
from samprasan.keys.errors import SamprasanError
from samprasan.keys.signing import Verify
from samprasan.ledger import agreement, batch_form, ledger, verify
from samprasan.ledger.state import Entry, State
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Cut, Roster

PROBLEMS_MAX = 100  # the first hundred tell what happened; a broken log has one an entry


@dataclass
class Report:
    """What an audit found; ``cosigned`` are the agencies that cosigned the checkpoint of ``witnessed`` entries."""

    batches: int = 0
    updates: int = 0
    problems: list[str] = field(default_factory=list)
    root: bytes = merkle.EMPTY_ROOT
    witnessed: int = 0
    cosigned: list[str] = field(default_factory=list)

    def as_document(self) -> dict[str, Any]:
        """The answer of ``audit`` and ``verify``."""
        problems = self.problems[:PROBLEMS_MAX]
        return {
            "ok": not problems,
            "batches": self.batches,
            "updates": self.updates,
            "root": self.root.hex(),
            "witnessed": self.witnessed,
            "cosigned": self.cosigned,
            "problems": problems,
        }


@dataclass(frozen=True, slots=True)
class Read:
    """An entry whose signatures hold."""

    batch: log.Batch
    digest: bytes
    receipt: log.Receipt


class Auditor:
    """Takes a log entry by entry, in order; :meth:`finish` tells."""

    def __init__(self, envelopes: Sequence[bytes], note: bytes, check: Verify, hub_keys: Sequence[bytes] = ()) -> None:
        """``envelopes`` are the documents that were ever in force, rosters first; ``note`` a checkpoint, or empty."""
        self.report = Report()
        self.state = State()
        self._verify = check
        self._keys: dict[str, set[bytes]] = {rosters.HUB: set(hub_keys)}
        self._roster: Roster | None = None
        self._documents: dict[bytes, tuple[Body, Roster | None]] = {}  # with the roster that each came behind
        believed = [data for data in envelopes if self._believes(data)]
        self.agreed = agreement.read_documents(believed)
        self._heads: dict[str, Head] = {}
        self._activated: set[bytes] = set()
        self._newest: dict[tuple[int, str], int] = {}  # version in force, by kind and series
        self._appended_at = 0
        self._tree = merkle.Growing()
        self._note = self._read(note)

    def _believes(self, data: bytes) -> bool:
        try:
            body = documents.believe(signing.read_envelope(data), self._roster, self._verify)
        except SamprasanError as problem:
            self.report.problems.append(f"a document in force: {problem}")
            return False
        self._documents[signing.digest(signing.read_envelope(data))] = (body, self._roster)
        if isinstance(body, Roster):
            self._roster = body
            self._keys[rosters.HUB].add(body.hub.signing_key)
            for member in body.members:
                self._keys.setdefault(member.agency, set()).add(member.signing_key)
        return True

    def _read(self, note: bytes) -> checkpoint.Note | None:
        """The checkpoint, if there is one and the hub signed it."""
        if not note or self._roster is None:
            return None
        try:
            hub_key = self._roster.hub.signing_key
            found = checkpoint.open_note(note, self.agreed.federation_id, hub_key, self._verify)
            keys = {member.agency: member.signing_key for member in self._roster.members}
            given = checkpoint.cosignatures(found, keys, self._verify)
        except SamprasanError as problem:
            self.report.problems.append(f"the checkpoint: {problem}")
            return None
        self.report.witnessed = found.checkpoint.size
        self.report.cosigned = sorted(each.agency for each in given)
        return found

    def check_entry(self, batch_data: bytes, receipt_data: bytes) -> Read | None:
        """The next entry; None if it cannot be believed."""
        index = self.report.batches
        self.report.batches += 1
        try:
            batch_envelope, receipt_envelope = signing.read_envelope(batch_data), signing.read_envelope(receipt_data)
            self._tree.add(merkle.leaf_hash(signing.digest(receipt_envelope)))
            self._compare_root()
            receipt = signing.open_by_any(receipt_envelope, log.Receipt, self._keys[rosters.HUB], self._verify)
            own = self._keys.get(receipt.agency, set())
            batch = signing.open_by_any(batch_envelope, log.Batch, own, self._verify)
        except SamprasanError as problem:
            self.report.problems.append(f"log entry {index}: {problem}")
            return None
        found = Read(batch, signing.digest(batch_envelope), receipt)
        self._check(found, len(batch_envelope.payload), index)
        self._fold(found)
        return found

    def _check(self, found: Read, size: int, index: int) -> None:
        batch, receipt = found.batch, found.receipt
        head = self._heads.get(batch.agency, chain.START)
        fits = chain.fit(head, batch.seq, batch.previous) is Fit.NEXT
        self._heads[batch.agency] = Head(batch.seq, found.digest)
        named = (receipt.agency, receipt.seq, receipt.batch_digest, receipt.log_index)
        well_formed = batch_form.check(batch, size, self.agreed.federation_id, receipt.agency) is None
        for holds, what in (
            (fits, "does not follow its chain"),
            (named == (batch.agency, batch.seq, found.digest, index), "has another batch's receipt"),
            (receipt.cuts == self.agreed.cuts_at(index), "has a receipt of the log before a cut"),
            (receipt.appended_at >= self._appended_at, "goes back in time"),
            (well_formed, "is not well formed"),
            (self._are_signed(batch), "tells of evaluations that not both agencies signed"),
            (
                self._activates_rightly(batch, receipt),
                "puts a document into force whose time was over, or as another one, or one that is not here",
            ),
            (self._note_activations(batch), "puts a document into force again, or an older one behind a newer"),
            (self._end_proposals(batch), "ends a proposal that took effect, or that nobody said no to"),
        ):
            if not holds:
                self.report.problems.append(f"log entry {index} ({batch.agency} {batch.seq}) {what}")
        self._appended_at = receipt.appended_at
        self.report.updates += len(batch.updates)

    def _are_signed(self, batch: log.Batch) -> bool:
        said = [update.evaluated.total for update in batch.updates if update.HasField("evaluated")]
        try:
            for each in said:
                evaluation_totals.check(each, self.agreed.federation_id, self._keys, self._verify)
        except SamprasanError:
            return False
        return True

    def _activates_rightly(self, batch: log.Batch, receipt: log.Receipt) -> bool:
        said = [update.activate for update in batch.updates if update.HasField("activate")]
        if not self._documents.keys() >= {each.digest for each in said}:
            return False
        found = [(each, *self._documents[each.digest]) for each in said]
        return all(
            (documents.kind_of(body), body.version) == (said.document, said.version)
            and documents.is_in_time(body, roster, receipt.appended_at)
            for said, body, roster in found
        )

    def _note_activations(self, batch: log.Batch) -> bool:
        """Keep which documents the log puts into force; whether each is newer than all of its series before."""
        is_newer = True
        for update in batch.updates:
            self._activated.add(update.activate.digest)
            if update.activate.digest in self._documents:
                body, _ = self._documents[update.activate.digest]
                key = (int(documents.kind_of(body)), documents.series_of(body))
                is_newer &= body.version > self._newest.get(key, 0)
                self._newest[key] = body.version
        return is_newer

    def _end_proposals(self, batch: log.Batch) -> bool:
        said = [update.withdrawn for update in batch.updates if update.HasField("withdrawn")]
        try:
            for each in said:
                dissents.check_end(each.digest, each.dissents, self.agreed.federation_id, self._keys, self._verify)
        except SamprasanError:
            return False
        return self.agreed.digests.isdisjoint(each.digest for each in said)

    def _fold(self, found: Read) -> None:
        entry = Entry(found.batch, found.receipt.appended_at)
        changes, outcomes = ledger.fold(self.state, entry, self.agreed.activated)
        self.state.include(changes)
        if outcomes != list(found.receipt.outcomes):
            index = found.receipt.log_index
            self.report.problems.append(f"log entry {index}: the receipt tells other outcomes than the rules")

    def _compare_root(self) -> None:
        head = self._note.checkpoint if self._note else None
        if head is not None and self._tree.size == head.size and self._tree.root() != head.root:
            self.report.problems.append(f"the first {head.size} entries have another root than the checkpoint")

    def finish(self) -> Report:
        """What was found, once every entry was taken."""
        self.report.root = self._tree.root()
        documents_of_log = {each for each, (body, _) in self._documents.items() if not isinstance(body, Cut)}
        if unused := documents_of_log - self._activated:
            self.report.problems.append(f"{len(unused)} documents are here that the log does not put into force")
        if self.report.witnessed > self._tree.size:
            self.report.problems.append(f"the checkpoint names {self.report.witnessed} entries")
        self.report.problems += verify.breaches(self.state)
        return self.report
