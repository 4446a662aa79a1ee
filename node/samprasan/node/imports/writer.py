"""What an import writes, in one transaction: deeds and subjects, what they said before, what the hub is to hear."""

from collections.abc import Collection, Sequence

from samprasan.edge.database import Tx
from samprasan.ledger import calendar
from samprasan.node import limits, store
from samprasan.node.deeds.awards import AwardQueue
from samprasan.node.identity import ID_COLUMN, NAME_COLUMN, Node
from samprasan.node.imports.bitmap import Bitmap
from samprasan.node.imports.deed import Consents, Deed
from samprasan.node.rows import DeedRow, SubjectRow

_NEITHER = Consents(share=False, redeem=False, integrators=True, publish=True)


class Writer:
    """Stores the deeds of one import; the caller holds the lock on importing."""

    def __init__(self, tx: Tx, node: Node, source: str, import_id: int, now: int) -> None:
        self._tx = tx
        self._world = node.world
        self._identity = node.identity
        self._source = source
        self._import_id = import_id
        self._unlink_at = now + limits.UNLINK_GRACE_MS
        self._next_subject = store.subjects.next_id(tx)
        self._first_new_subject = self._next_subject
        self._next_deed = store.deeds.next_id(tx)
        self._award_queue = AwardQueue(tx, node.world, now)
        self._objected = Bitmap()  # subjects for whom an unchanged row says no
        self._stated = Bitmap()  # subjects of whom this import spoke
        self._kept = Bitmap()  # those of whom it said something else than before

    def add(self, deeds: Sequence[tuple[Deed, bytes]]) -> None:
        """Store new deeds, each with its fingerprint."""
        subject_ids = self._store_subjects([deed for deed, _ in deeds])
        rows = []
        for (deed, fingerprint), subject_id in zip(deeds, subject_ids, strict=True):
            rows.append(self._row(self._next_deed, deed, fingerprint, subject_id))
            self._next_deed += 1
        store.deeds.add(self._tx, rows)
        self._award_queue.award(rows)

    def change(self, deeds: Sequence[tuple[Deed, bytes, DeedRow]]) -> None:
        """Store deeds that say something else than they did, or that come back after they were undone."""
        if not deeds:
            return
        subject_ids = self._store_subjects([deed for deed, *_ in deeds])
        rows = [
            self._row(before.deed_id, deed, fingerprint, subject_id)
            for (deed, fingerprint, before), subject_id in zip(deeds, subject_ids, strict=True)
        ]
        store.deeds.keep_earlier(self._tx, self._import_id, [before for *_, before in deeds if not before.gone])
        store.deeds.replace(self._tx, rows)
        self._award_queue.correct(rows)

    def _store_subjects(self, deeds: Sequence[Deed]) -> list[int]:
        """Store the deeds' subjects with what this import says of them; their ids."""
        indexes = [self._identity.index(deed.subject) for deed in deeds]
        known = store.subjects.by_index(self._tx, dict.fromkeys(indexes))
        said: dict[bytes, tuple[Consents, Deed]] = {}
        for deed, index in zip(deeds, indexes, strict=True):
            before = said.get(index)
            said[index] = (deed.consents.both(before[0]) if before else deed.consents, deed)
        ids = {index: row.subject_id for index, row in known.items()}
        new_rows = []
        for index, (consents, deed) in said.items():
            if index not in known:
                ids[index] = self._next_subject
                new_rows.append(self._new_subject(index, deed, consents))
        store.subjects.add(self._tx, new_rows)
        self._restate([(row, said[index][0], said[index][1].subject_name) for index, row in known.items()])
        return [ids[index] for index in indexes]

    def _new_subject(self, index: bytes, deed: Deed, consents: Consents) -> tuple[object, ...]:
        subject_id = self._next_subject
        self._next_subject += 1
        sealed_id = self._sealed(ID_COLUMN, deed.subject.reveal())
        sealed_name = self._sealed(NAME_COLUMN, deed.subject_name)
        return (subject_id, index, deed.kind, deed.subject.scheme.value, sealed_id, sealed_name, *_flags(consents))

    def object(self, subject_ids: Collection[int]) -> None:
        """Rows of the file that changed nothing say *no* for these subjects: no other row's *yes* counts for them."""
        for subject_id in subject_ids:
            self._objected.add(subject_id)
        stated = [each for each in subject_ids if each >= self._first_new_subject or each in self._stated]
        self._restate([(row, _NEITHER, "") for row in store.subjects.of_ids(self._tx, stated)])

    def _restate(self, statements: Sequence[tuple[SubjectRow, Consents, str]]) -> None:
        """Known subjects: a first statement of this import is the newest, further ones only take away."""
        restated, earlier = [], []
        for row, consents, stated_name in statements:
            before = Consents(bool(row.share), bool(row.redeem), bool(row.integrators), bool(row.publish))
            is_new = row.subject_id >= self._first_new_subject
            said = consents.both(before) if is_new or row.subject_id in self._stated else consents
            said = said.both(_NEITHER) if row.subject_id in self._objected else said
            name = self._identity.vault.open(NAME_COLUMN, row.sealed_name).decode()
            if said == before and stated_name in {"", name}:
                continue
            sealed_name = self._sealed(NAME_COLUMN, stated_name or name)
            restated.append((row.subject_id, sealed_name, *_flags(said)))
            if not is_new and row.subject_id not in self._kept:
                self._kept.add(row.subject_id)
                earlier.append((row.subject_id, row.sealed_name, *_flags(before)))
        for row, *_ in statements:
            self._stated.add(row.subject_id)
        store.subjects.keep_restated(self._tx, self._import_id, earlier)
        store.subjects.restate(self._tx, restated, self._unlink_at)

    def _row(self, deed_id: int, deed: Deed, fingerprint: bytes, subject_id: int) -> DeedRow:
        return DeedRow(
            deed_id=deed_id,
            source=self._source,
            record_id=deed.record_id,
            fingerprint=fingerprint,
            import_id=self._import_id,
            subject_id=subject_id,
            category=deed.category,
            quantity=str(deed.quantity),
            occurred_on=calendar.packed(deed.occurred_on),
            area_code=deed.area_code,
            status=deed.status,
            share=deed.consents.share,
            credits=deed.credits,
            dimension=deed.dimension,
            policy_version=deed.policy_version,
            gone=False,
        )

    def _sealed(self, column: str, text: str) -> bytes:
        return self._identity.seal(self._world, column, text.encode())


def _flags(consents: Consents) -> tuple[bool, bool, bool, bool]:
    return consents.share, consents.redeem, consents.integrators, consents.publish
