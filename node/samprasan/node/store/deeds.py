"""Deeds, the imports that brought them, and what they said before an import corrected them."""

import json
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from samprasan.edge.database import delete_where_in, insert_rows, row_as, rows_as, rows_where_in
from samprasan.node.rows import DeedRow, ImportRow
from samprasan.node.tables import awards, deeds, earlier, erased, imports, moved, moving


def known(tx: sa.Connection, source: str, record_ids: Iterable[str]) -> dict[str, DeedRow]:
    """Record id → deed, of the source's records that were ever imported."""
    found = rows_where_in(tx, deeds, deeds.c.record_id, record_ids, source=source)
    return {row[2]: DeedRow(*row) for row in found}


def of_record_ids(tx: sa.Connection, source: str, record_ids: Sequence[str]) -> DeedRow | None:
    """The deed of the source with one of these record ids; its import may have been undone."""
    row = next(rows_where_in(tx, deeds, deeds.c.record_id, record_ids, source=source), None)
    return DeedRow(*row) if row else None


_NEWEST = sa.select(sa.func.max(deeds.c.deed_id))


def next_id(tx: sa.Connection) -> int:
    """A deed id above all in use; the caller has :func:`awards.lock`."""
    return (tx.execute(_NEWEST).scalar() or 0) + 1


def add(tx: sa.Connection, rows: Sequence[DeedRow]) -> None:
    """New deeds."""
    insert_rows(tx, deeds, rows)


def replace(tx: sa.Connection, rows: Sequence[DeedRow]) -> None:
    """Known deeds that say something else now."""
    delete_where_in(tx, deeds, deeds.c.deed_id, [row.deed_id for row in rows])
    insert_rows(tx, deeds, rows)


def remove(tx: sa.Connection, deed_ids: Iterable[int]) -> None:
    """Deeds that nobody outside ever heard of."""
    gone = list(deed_ids)
    for table in (moving, moved, deeds):
        delete_where_in(tx, table, table.c.deed_id, gone)


def of_import(tx: sa.Connection, import_id: int, after: int, limit: int) -> list[DeedRow]:
    """Deeds that say what the import says, from the first behind deed id ``after``."""
    query = sa.select(deeds).where(deeds.c.import_id == import_id, deeds.c.deed_id > after, ~deeds.c.gone)
    return [DeedRow(*row) for row in tx.execute(query.order_by(deeds.c.deed_id).limit(limit))]


def of_ids(tx: sa.Connection, deed_ids: Iterable[int]) -> list[DeedRow]:
    """Deeds by their ids."""
    return [DeedRow(*row) for row in rows_where_in(tx, deeds, deeds.c.deed_id, deed_ids)]


def of_subject(tx: sa.Connection, subject_id: int) -> list[DeedRow]:
    """The subject's deeds, also those whose import was undone."""
    query = sa.select(deeds).where(deeds.c.subject_id == subject_id)
    return [DeedRow(*row) for row in tx.execute(query.order_by(deeds.c.deed_id))]


def erase(tx: sa.Connection, subject_id: int, record_hashes: Sequence[bytes]) -> None:
    """Delete the subject's deeds and what was said of it before; the records are not to come back."""
    insert_rows(tx, erased, [(each,) for each in record_hashes])
    deed_ids = [row.deed_id for row in of_subject(tx, subject_id)]
    for table in (earlier, moving, moved):
        delete_where_in(tx, table, table.c.deed_id, deed_ids)
    tx.execute(earlier.delete().where(earlier.c.subject_id == subject_id))
    tx.execute(deeds.delete().where(deeds.c.subject_id == subject_id))


def any_erased(tx: sa.Connection) -> bool:
    """Whether any record was ever erased."""
    return tx.execute(sa.select(erased.c.record_hash).limit(1)).first() is not None


def erased_among(tx: sa.Connection, record_hashes: Iterable[bytes]) -> set[bytes]:
    """Which of these records were erased."""
    return {row.record_hash for row in rows_where_in(tx, erased, erased.c.record_hash, record_hashes)}


def subjects_with_deeds(tx: sa.Connection, subject_ids: Iterable[int], *, or_gone: bool = True) -> set[int]:
    """Which of these subjects have a deed, or had one that an undo may restore; ``or_gone``: be its import undone."""
    wanted = list(subject_ids)
    rows = (DeedRow(*row) for row in rows_where_in(tx, deeds, deeds.c.subject_id, wanted))
    now = {row.subject_id for row in rows if or_gone or not row.gone}
    return now | {row[3] for row in rows_where_in(tx, earlier, earlier.c.subject_id, wanted)}


def named_since(tx: sa.Connection, import_id: int, subject_ids: Iterable[int]) -> dict[int, int]:
    """Subject id → the first import behind ``import_id`` that has a deed of theirs."""
    rows = [DeedRow(*row) for row in rows_where_in(tx, deeds, deeds.c.subject_id, subject_ids)]
    later = [(row.import_id, row.subject_id) for row in rows if row.import_id > import_id and not row.gone]
    return {subject_id: number for number, subject_id in sorted(later, reverse=True)}


def keep_earlier(tx: sa.Connection, import_id: int, rows: Sequence[DeedRow]) -> None:
    """Remember what these deeds said before the import corrected them."""
    insert_rows(tx, earlier, [(import_id, row.deed_id, _packed(row), row.subject_id) for row in rows])


def change_earlier(tx: sa.Connection, deed_ids: Sequence[int], subject_id: int, instead: int) -> None:
    """What these deeds said of the subject before, they said of ``instead``."""
    for row in list(rows_where_in(tx, earlier, earlier.c.deed_id, deed_ids, subject_id=subject_id)):
        content = _packed(_unpacked(row[2])._replace(subject_id=instead))
        own = (earlier.c.import_id == row[0], earlier.c.deed_id == row[1])
        tx.execute(earlier.update().where(*own).values(content=content, subject_id=instead))


def take_earlier(tx: sa.Connection, import_id: int, deed_ids: Sequence[int]) -> dict[int, DeedRow]:
    """Deed id → what it said before the import; it is forgotten."""
    found = {
        row[1]: _unpacked(row[2])
        for row in rows_where_in(tx, earlier, earlier.c.deed_id, deed_ids, import_id=import_id)
    }
    forget = earlier.delete().where(earlier.c.import_id == import_id, earlier.c.deed_id.in_(deed_ids))
    tx.execute(forget)
    return found


def corrected_since(tx: sa.Connection, import_id: int) -> list[int]:
    """Later imports that changed what this one said, ascending."""
    query = (
        sa.select(earlier.c.import_id, earlier.c.content)
        .where(earlier.c.import_id > import_id)
        .order_by(earlier.c.import_id)
    )
    found = {row.import_id for row in tx.execute(query) if _unpacked(row.content).import_id == import_id}
    return sorted(found)


def add_import(tx: sa.Connection, source: str, file_digest: bytes, imported_at: int, counts: str) -> int:
    """A new import's number."""
    values = {"source": source, "file_digest": file_digest, "imported_at": imported_at, "counts": counts}
    key = tx.execute(imports.insert().values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def set_counts(tx: sa.Connection, import_id: int, counts: str) -> None:
    """The finished import's report."""
    tx.execute(imports.update().where(imports.c.import_id == import_id).values(counts=counts))


def find_import(tx: sa.Connection, import_id: int) -> ImportRow | None:
    """The import with that number."""
    return row_as(ImportRow, tx.execute(sa.select(imports).where(imports.c.import_id == import_id)).first())


def every_import(tx: sa.Connection) -> list[ImportRow]:
    """All imports, oldest first."""
    return rows_as(ImportRow, tx.execute(sa.select(imports).order_by(imports.c.import_id)))


def set_undone(tx: sa.Connection, import_id: int, undone_at: int) -> None:
    """The import was taken back."""
    tx.execute(imports.update().where(imports.c.import_id == import_id).values(undone_at=undone_at))


def local(tx: sa.Connection) -> int:
    """How many deeds the hub was never told of, and is not to be."""
    told = sa.exists().where(awards.c.deed_id == deeds.c.deed_id)
    return tx.execute(sa.select(sa.func.count()).select_from(deeds).where(~deeds.c.gone, ~told)).scalar_one()


def _packed(row: DeedRow) -> str:
    return json.dumps([*row[:3], row.fingerprint.hex(), *row[4:]])


def _unpacked(content: str) -> DeedRow:
    values = json.loads(content)
    return DeedRow._make([*values[:3], bytes.fromhex(values[3]), *values[4:]])
