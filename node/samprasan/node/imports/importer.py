"""Importing an export: every row is accepted, unchanged, corrected, or rejected with its reason.

A rejected row changes nothing.  The whole import is one transaction: it is there or it is not, and it needs the same
memory however many rows there are.  The same file again changes nothing; a record that says something else corrects
what it said before.  What an import says of a subject's consent is its newest statement: one *no* among it is a no.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from samprasan.edge.database import Tx
from samprasan.keys.errors import Refused
from samprasan.keys.identifiers import Scheme
from samprasan.ledger import calendar
from samprasan.node import limits, person_names, store
from samprasan.node.exports.export import Export
from samprasan.node.exports.profile import STATUSES, Profile
from samprasan.node.exports.rows import BrokenRow, Row
from samprasan.node.identity import NAME_COLUMN, Identity, Node
from samprasan.node.imports.bitmap import Bitmap
from samprasan.node.imports.deed import Deed, Reader, Rejected
from samprasan.node.imports.writer import Writer
from samprasan.node.rows import DeedRow

CHUNK_ROWS = 1000  # rows looked up and stored at once
_RECORD_ID_SHOWN = 200
_NAMED_BY_ID = (Scheme.CITIZEN, Scheme.JURISTIC)  # a mistyped one may be somebody else's
Taken: TypeAlias = tuple[int, Row, Deed]


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
    """What an import did, or would do.

    ``by_status``, ``shared`` to ``credits_local`` are of the deeds taken in, accepted or corrected.  Of ``rejections``
    the first ``limits.REJECTIONS_LISTED_MAX`` are kept; ``rejected`` counts them all.
    """

    import_id: int | None = None
    rows: int = 0
    accepted: int = 0
    unchanged: int = 0
    corrected: int = 0
    rejected: int = 0
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
            "rejected": self.rejected,
            "by_status": {status: count for status, count in self.by_status.items() if count},
            "shared": self.shared,
            "kept_local": self.kept_local,
            "credits_shared": self.credits_shared,
            "credits_local": self.credits_local,
        }

    def document(self, message: Callable[[Rejection], str]) -> dict[str, Any]:
        """The answer of ``samprasan-node import``; ``message`` words a rejection for people."""
        listed: dict[str, list[dict[str, object]]] = {}
        for each in self.rejections:
            entry = {"row": each.row, "record_id": each.record_id, "column": each.column, "message": message(each)}
            listed.setdefault(each.reason, []).append(entry)
        return self.counts() | {"rejected": listed, "rejected_rows": self.rejected}

    def accept(self, deed: Deed) -> None:
        """Count a deed that is taken in."""
        self.by_status[deed.status] += 1
        if deed.may_leave:
            self.shared += 1
            self.credits_shared += deed.credits
        elif deed.is_verified:
            self.kept_local += 1
            self.credits_local += deed.credits

    def reject(self, rejection: Rejection) -> None:
        """Count a rejected row, and keep it if there is room."""
        self.rejected += 1
        if len(self.rejections) < limits.REJECTIONS_LISTED_MAX:
            self.rejections.append(rejection)


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who looks on: ``progress`` hears how many rows were done, ``rejected`` of each rejected row with its cells."""

    progress: Callable[[int], None] = lambda _rows: None
    rejected: Callable[[Rejection, Row], None] = lambda _rejection, _row: None


class _Undone(Exception):
    """Ends a dry run's transaction."""


def import_rows(
    node: Node,
    profile: Profile,
    export: Export,
    *,
    dry_run: bool = False,
    watcher: Watcher | None = None,
    confirm: bool = False,
) -> Report:
    """Import every row of ``export`` that can be taken.  A ``dry_run`` does the same and then undoes it.

    Rows whose name is not that of their id are rejected, unless somebody looked at them and says ``confirm``.
    Raises Refused ``no_policy`` if no policy is in force yet, ``file_changed`` if the file changed meanwhile.
    """
    now = node.world.now()
    report = Report()
    try:
        with node.db.begin() as tx:
            policies = list(store.documents.agreed_on(tx).policies.values())
            if not policies:
                raise Refused("no_policy")
            reader = Reader(profile, export.header, policies, calendar.day_of(now), node.identity.record_hash)
            store.awards.lock(tx)
            work = _Import(tx, node, reader, export.digest, watcher or Watcher(), confirm=confirm)
            report = work.report
            work.run(export.rows)
            export.recheck()
            if dry_run:
                raise _Undone
    except _Undone:
        report.import_id = None
    return report


@dataclass(frozen=True, slots=True)
class KnownNames:
    """The name first told for each subject, by the subject's index; None: whatever name is told is right."""

    names: dict[bytes, str] | None
    identity: Identity

    def fits(self, deed: Deed) -> bool:
        """Whether the deed's name may be its subject's."""
        if self.names is None or deed.subject.scheme not in _NAMED_BY_ID:
            return True
        index = self.identity.index(deed.subject)
        return not person_names.differ(self.names.setdefault(index, deed.subject_name), deed.subject_name)


class _Import:
    """One import within its transaction."""

    def __init__(
        self,
        tx: Tx,
        node: Node,
        reader: Reader,
        file_digest: bytes,
        watcher: Watcher,
        *,
        confirm: bool,
    ) -> None:
        now, source = node.world.now(), reader.profile.source
        self._tx = tx
        self._vault = node.identity.vault
        self._source = source
        self._reader = reader
        self.report = Report()
        self._watcher = watcher
        self._import_id = store.deeds.add_import(tx, source, file_digest, now, "{}")
        self._writer = Writer(tx, node, source, self._import_id, now)
        self._confirm = confirm
        self._repeated = Bitmap()
        self._identity = node.identity
        self._any_erased = store.deeds.any_erased(tx)
        self._any_moved = store.moves.any_moved(tx)
        self._being_erased = store.subjects.indexes_being_erased(tx)

    def run(self, rows: Iterable[tuple[int, Row]]) -> None:
        """Take every row in, chunk by chunk; then keep the report."""
        for chunk in _chunks(rows):
            self._import_chunk(chunk)
            self._watcher.progress(len(chunk))
        self.report.import_id = self._import_id
        store.deeds.set_counts(self._tx, self._import_id, json.dumps(self.report.counts()))

    def _import_chunk(self, chunk: list[tuple[int, Row]]) -> None:
        readable = list(self._readable(chunk))
        known = store.deeds.known(self._tx, self._source, [deed.record_id for *_, deed in readable])
        fingerprints = [self._vault.index(b"deed/" + deed.says()) for *_, deed in readable]
        readable = self._put_right(readable, known)
        erased = self._erased([deed for *_, deed in readable if deed.record_id not in known])
        new: list[tuple[Deed, bytes]] = []
        changed: list[tuple[Deed, bytes, DeedRow]] = []
        in_chunk: dict[str, bytes] = {}
        objected: set[int] = set()
        says_news = [
            deed
            for (*_, deed), fingerprint in zip(readable, fingerprints, strict=True)
            if (before := known.get(deed.record_id)) is None or before.fingerprint != fingerprint
        ]
        known_names = self._names(says_news)
        for (number, row, deed), fingerprint in zip(readable, fingerprints, strict=True):
            if deed.record_id in erased or self._is_being_erased(deed):
                self._reject(number, row, Rejected("erased", "subject_id", "erased"), deed.record_id)
                continue
            before = known.get(deed.record_id)
            first = in_chunk.get(deed.record_id) or self._said_in_file(before)
            if first is not None:
                self._repeat(number, row, deed, same=first == fingerprint)
                continue
            is_news = before is None or before.gone or before.fingerprint != fingerprint
            if is_news and not known_names.fits(deed):
                self._reject(number, row, Rejected("name_differs", "subject_name", "name_differs"), deed.record_id)
                continue
            in_chunk[deed.record_id] = fingerprint
            if before is None:
                new.append((deed, fingerprint))
            elif is_news:
                changed.append((deed, fingerprint, before))
            else:
                self.report.unchanged += 1
                self._repeated.add(before.deed_id)
                if not before.share:
                    objected.add(before.subject_id)
        self._count(new, changed)
        self._writer.add(new)
        self._writer.change(changed)
        self._writer.object(objected)

    def _readable(self, chunk: list[tuple[int, Row]]) -> Iterator[Taken]:
        for number, row in chunk:
            self.report.rows += 1
            try:
                if isinstance(row, BrokenRow):
                    raise Rejected("missing_field", "record_id", row.detail)
                yield number, row, self._reader.deed(row)
            except Rejected as problem:
                self._reject(number, row, problem, self._shown_record_id(row))

    def _put_right(self, taken: list[Taken], known: dict[str, DeedRow]) -> list[Taken]:
        """Deeds that were moved, and whose record still states the wrong id, are whom they were moved to."""
        if not self._any_moved:
            return taken
        wrong = store.moves.wrong_indexes(self._tx, [row.deed_id for row in known.values()])
        rows = (row for row in known.values() if row.deed_id in wrong)
        subjects = {row.subject_id: row for row in store.subjects.of_ids(self._tx, {row.subject_id for row in rows})}
        put_right: list[Taken] = []
        for number, row, deed in taken:
            before = known.get(deed.record_id)
            if before and wrong.get(before.deed_id) == self._identity.index(deed.subject):
                right = subjects[before.subject_id]
                put_right.append(
                    (number, row, replace(deed, kind=right.kind, subject=self._identity.identifier(right)))
                )
            else:
                put_right.append((number, row, deed))
        return put_right

    def _names(self, deeds: Iterable[Deed]) -> KnownNames:
        """What is known of the names of these deeds' subjects, so that an id that was typed wrong is noticed."""
        if self._confirm:
            return KnownNames(None, self._identity)
        indexes = {self._identity.index(deed.subject) for deed in deeds if deed.subject.scheme in _NAMED_BY_ID}
        rows = store.subjects.by_index(self._tx, indexes)
        open_name = self._identity.vault.open
        return KnownNames(
            {index: open_name(NAME_COLUMN, row.sealed_name).decode() for index, row in rows.items()}, self._identity
        )

    def _erased(self, deeds: list[Deed]) -> set[str]:
        """The record ids among those of ``deeds``, all unknown, that were erased."""
        if not self._any_erased:
            return set()
        hashes = {deed.record_id: self._identity.tombstone(self._source, deed.record_id) for deed in deeds}
        gone = store.deeds.erased_among(self._tx, hashes.values())
        return {record_id for record_id, tombstone in hashes.items() if tombstone in gone}

    def _is_being_erased(self, deed: Deed) -> bool:
        return bool(self._being_erased) and self._identity.index(deed.subject) in self._being_erased

    def _said_in_file(self, before: DeedRow | None) -> bytes | None:
        """What an earlier chunk of this file said of the record, if it did."""
        if before is None or not (before.import_id == self._import_id or before.deed_id in self._repeated):
            return None
        return before.fingerprint

    def _repeat(self, number: int, row: Row, deed: Deed, *, same: bool) -> None:
        if same:
            self.report.unchanged += 1
        else:
            problem = Rejected("duplicate_record", "record_id", "repeated_in_file")
            self._reject(number, row, problem, deed.record_id)

    def _count(self, new: list[tuple[Deed, bytes]], changed: list[tuple[Deed, bytes, DeedRow]]) -> None:
        revived = sum(before.gone for *_, before in changed)
        self.report.accepted += len(new) + revived
        self.report.corrected += len(changed) - revived
        for deed in (*(deed for deed, _ in new), *(deed for deed, *_ in changed)):
            self.report.accept(deed)

    def _reject(self, number: int, row: Row, problem: Rejected, record_id: str) -> None:
        column = self._reader.profile.column_of(problem.field)
        rejection = Rejection(
            row=number,
            record_id=record_id,
            column=column,
            reason=problem.reason,
            detail=problem.detail,
            values=problem.values,
        )
        self.report.reject(rejection)
        self._watcher.rejected(rejection, row)

    def _shown_record_id(self, row: Row) -> str:
        try:
            return self._reader.record_id(row)[:_RECORD_ID_SHOWN]
        except Rejected:
            return ""


def _chunks(rows: Iterable[tuple[int, Row]]) -> Iterator[list[tuple[int, Row]]]:
    chunk: list[tuple[int, Row]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
