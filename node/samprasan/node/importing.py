"""Importing an export: every row is accepted, unchanged, or rejected with its reason; a rejected row changes nothing.

The whole import is one transaction: it is there or it is not.  The same file again changes nothing.  What an import
says of a subject's consent is its newest statement: one row that says *no* is a no.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from samprasan.edge.database import Store, Tx
from samprasan.edge.world import World
from samprasan.keys.errors import Refused
from samprasan.ledger import calendar, forms
from samprasan.node import deeds
from samprasan.node.deeds import Deed, Rejected
from samprasan.node.exports import Export
from samprasan.node.identity import ID_COLUMN, NAME_COLUMN, Identity
from samprasan.node.profiles import STATUSES, Profile
from samprasan.node.store import deeds as deeds_store
from samprasan.node.store import documents as documents_store
from samprasan.node.store import subjects as subjects_store

CHUNK_ROWS = 1000  # rows looked up and stored at once
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected row: its number in the file, its record id if it has one, their column, and what is wrong."""

    row: int
    record_id: str
    column: str
    reason: str
    detail: str
    values: dict[str, object]


@dataclass
class Report:
    """What an import did, or would do."""

    import_id: int | None = None
    rows: int = 0
    accepted: int = 0
    unchanged: int = 0
    corrected: int = 0
    rejections: list[Rejection] = field(default_factory=list)
    by_status: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    shared: int = 0
    kept_local: int = 0
    credits_shared: int = 0
    credits_local: int = 0

    def counts(self) -> dict[str, Any]:
        """The report without its rejected rows, as kept with the import."""
        return {
            "import_id": self.import_id,
            "rows": self.rows,
            "accepted": self.accepted,
            "unchanged": self.unchanged,
            "corrected": self.corrected,
            "rejected": len(self.rejections),
            "by_status": {status: count for status, count in self.by_status.items() if count},
            "shared": self.shared,
            "kept_local": self.kept_local,
            "credits_shared": self.credits_shared,
            "credits_local": self.credits_local,
        }

    def document(self, message: Callable[[Rejection], str]) -> dict[str, Any]:
        """The answer of ``samprasan-node import``; ``message`` words a rejection for people."""
        rejected: dict[str, list[dict[str, object]]] = {}
        for each in self.rejections:
            entry = {"row": each.row, "record_id": each.record_id, "column": each.column, "message": message(each)}
            rejected.setdefault(each.reason, []).append(entry)
        return self.counts() | {"rejected": rejected}

    def take(self, deed: Deed) -> None:
        """Count an accepted deed."""
        self.accepted += 1
        self.by_status[deed.status] += 1
        if deed.may_leave:
            self.shared += 1
            self.credits_shared += deed.credits
        elif deed.is_verified:
            self.kept_local += 1
            self.credits_local += deed.credits


def bring_in(
    store: Store,
    world: World,
    identity: Identity,
    profile: Profile,
    export: Export,
    *,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda _rows: None,
) -> Report:
    """Import every row of ``export`` that can be taken.  With ``dry_run`` everything is decided and nothing changed.

    Raises Refused ``no_policy`` if no policy is in force yet.
    """
    now = world.now()
    with store.read() as tx:
        policies = list(documents_store.agreed_on(tx).policies.values())
    if not policies:
        raise Refused("no_policy")

    def read(row: Any) -> Deed:
        return deeds.read(row, profile, policies, calendar.day_of(now))

    with store.read() if dry_run else store.begin() as tx:
        if not dry_run:
            deeds_store.lock(tx)
        writer = None if dry_run else _Writer(tx, world, identity, profile.source, export.digest, now)
        report = _sort_rows(tx, identity, profile, export.rows, read, writer, progress)
        if writer is not None:
            writer.finish(report)
    return report


def _sort_rows(
    tx: Tx,
    identity: Identity,
    profile: Profile,
    rows: Iterable[tuple[int, Any]],
    read: Callable[[Any], Deed],
    writer: "_Writer | None",
    progress: Callable[[int], None],
) -> Report:
    report = Report()
    seen: dict[str, bytes] = {}
    for chunk in _chunks(rows):
        readable = []
        for number, row in chunk:
            report.rows += 1
            try:
                readable.append((number, read(row)))
            except Rejected as problem:
                report.rejections.append(_rejection(number, row, profile, problem))
        known = deeds_store.fingerprints(tx, profile.source, [deed.record_id for _, deed in readable])
        accepted = []
        for number, deed in readable:
            fingerprint = identity.vault.index(b"deed/" + deed.says())
            earlier = seen.get(deed.record_id) or known.get(deed.record_id)
            if earlier is None:
                seen[deed.record_id] = fingerprint
                report.take(deed)
                accepted.append((deed, fingerprint))
            elif earlier == fingerprint:
                seen[deed.record_id] = fingerprint
                report.unchanged += 1
            else:
                detail = "repeated_in_file" if deed.record_id in seen else "changed_since"
                repeated = Rejected("duplicate_record", "record_id", detail)
                report.rejections.append(_rejection(number, {}, profile, repeated, deed.record_id))
        if writer is not None:
            writer.add(accepted)
        progress(len(chunk))
    return report


class _Writer:
    """Stores accepted deeds and their subjects within one transaction."""

    def __init__(self, tx: Tx, world: World, identity: Identity, source: str, file_digest: bytes, now: int) -> None:
        self._tx = tx
        self._world = world
        self._identity = identity
        self._source = source
        self._now = now
        self._consents: dict[int, tuple[bool, str]] = {}
        self._import_id = deeds_store.add_import(tx, source, file_digest, now, "{}")
        self._next_subject = subjects_store.next_id(tx)
        self._next_deed = deeds_store.next_id(tx)

    def add(self, accepted: list[tuple[Deed, bytes]]) -> None:
        """Store a chunk of deeds."""
        indexes = [self._identity.index(deed.subject) for deed, _ in accepted]
        known = {index: row.subject_id for index, row in subjects_store.by_index(self._tx, indexes).items()}
        new_subjects, rows = [], []
        for (deed, fingerprint), index in zip(accepted, indexes, strict=True):
            if index not in known:
                known[index] = self._next_subject
                self._next_subject += 1
                new_subjects.append(self._subject_row(known[index], index, deed))
            subject_id = known[index]
            consent = deed.consent and self._consents.get(subject_id, (True, ""))[0]
            self._consents[subject_id] = (consent, deed.subject_name)
            rows.append(self._deed_row(deed, fingerprint, subject_id))
        subjects_store.add(self._tx, new_subjects)
        deeds_store.add(self._tx, rows)

    def finish(self, report: Report) -> None:
        """State the subjects' consent and keep the report."""
        for subject_id, (consent, name) in self._consents.items():
            sealed_name = self._sealed(NAME_COLUMN, name)
            subjects_store.restate(self._tx, subject_id, sealed_name, share=consent, redeem=consent)
        report.import_id = self._import_id
        deeds_store.set_counts(self._tx, self._import_id, json.dumps(report.counts()))

    def _subject_row(self, subject_id: int, index: bytes, deed: Deed) -> tuple[Any, ...]:
        sealed_id = self._sealed(ID_COLUMN, deed.subject.reveal())
        sealed_name = self._sealed(NAME_COLUMN, deed.subject_name)
        return (
            subject_id,
            index,
            deed.kind,
            deed.subject.scheme.value,
            sealed_id,
            sealed_name,
            deed.consent,
            deed.consent,
        )

    def _deed_row(self, deed: Deed, fingerprint: bytes, subject_id: int) -> tuple[Any, ...]:
        deed_id = self._next_deed
        self._next_deed += 1
        return (
            deed_id,
            self._source,
            deed.record_id,
            fingerprint,
            self._import_id,
            subject_id,
            deed.category,
            str(deed.quantity),
            calendar.packed(deed.occurred_on),
            deed.area_code,
            deed.status,
            deed.credits,
            deed.dimension,
            deed.policy_version,
            "queued" if deed.may_leave else "local",
            forms.new_op_id(self._world.random_bytes(10), self._now) if deed.may_leave else None,
        )

    def _sealed(self, column: str, text: str) -> bytes:
        return self._identity.vault.seal(column, text.encode(), self._world.random_bytes(_NONCE_BYTES))


def _rejection(number: int, row: Any, profile: Profile, problem: Rejected, record_id: str = "") -> Rejection:
    if not record_id and row:
        cell = row.get(profile.columns.get("record_id", ""))
        record_id = str(cell).strip()[:200] if cell is not None else ""
    column = profile.columns.get(problem.field, problem.field)
    return Rejection(number, record_id, column, problem.reason, problem.detail, problem.values)


def _chunks(rows: Iterable[tuple[int, Any]]) -> Iterable[list[tuple[int, Any]]]:
    chunk: list[tuple[int, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
