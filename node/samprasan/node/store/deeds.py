"""Deeds and the imports that brought them; the queued ones are the outbox."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from samprasan.edge.database import AnyRow, insert_rows, rows_where_in, take_turn, update_where_in
from samprasan.node.tables import deeds, imports, subjects

Row = AnyRow


def fingerprints(tx: sa.Connection, source: str, record_ids: Iterable[str]) -> dict[str, bytes]:
    """Record id → fingerprint, of the source's records that are known."""
    found = rows_where_in(tx, deeds, deeds.c.record_id, record_ids, source=source)
    return {row[2]: row[3] for row in found}


def lock(tx: sa.Connection) -> None:
    """Keep every other process from importing until the transaction ends."""
    take_turn(tx, "samprasan: import")


def next_id(tx: sa.Connection) -> int:
    """A deed id above all in use; the caller holds :func:`lock`."""
    return (tx.execute(sa.select(sa.func.max(deeds.c.deed_id))).scalar() or 0) + 1


def add(tx: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Whole rows up to ``op_id``, of new deeds."""
    insert_rows(tx, deeds, [(*row, None, 0) for row in rows])


def add_import(tx: sa.Connection, source: str, file_digest: bytes, imported_at: int, counts: str) -> int:
    """A new import's number."""
    values = {"source": source, "file_digest": file_digest, "imported_at": imported_at, "counts": counts}
    key = tx.execute(imports.insert().values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def set_counts(tx: sa.Connection, import_id: int, counts: str) -> None:
    """The finished import's report."""
    tx.execute(imports.update().where(imports.c.import_id == import_id).values(counts=counts))


def sendable(tx: sa.Connection, limit: int) -> list[Row]:
    """Queued deeds of consenting subjects with an account, in the order they came, with what a Link needs."""
    query = (
        sa.select(
            deeds.c.deed_id,
            deeds.c.op_id,
            deeds.c.credits,
            deeds.c.dimension,
            deeds.c.occurred_on,
            deeds.c.policy_version,
            subjects.c.subject_id,
            subjects.c.account_id,
            subjects.c.linked,
            subjects.c.share,
            subjects.c.redeem,
        )
        .join(subjects, subjects.c.subject_id == deeds.c.subject_id)
        .where(deeds.c.state == "queued", deeds.c.seq.is_(None), subjects.c.account_id.is_not(None), subjects.c.share)
        .order_by(deeds.c.deed_id)
        .limit(limit)
    )
    return list(tx.execute(query))


def seal(tx: sa.Connection, seq: int, deed_ids: Sequence[int]) -> None:
    """These deeds stand in the sealed batch ``seq``."""
    update_where_in(tx, deeds, deeds.c.deed_id, deed_ids, seq=seq)


def settle(tx: sa.Connection, seq: int, declined: Iterable[tuple[bytes, int]]) -> None:
    """The batch's deeds are settled, but for ``declined`` ones, (op_id, reason) each."""
    tx.execute(deeds.update().where(deeds.c.seq == seq).values(state="settled"))
    for op_id, reason in declined:
        tx.execute(deeds.update().where(deeds.c.op_id == op_id).values(state="declined", reason=reason))


def unseal(tx: sa.Connection, seq: int) -> None:
    """The batch was refused: its deeds are queued again."""
    tx.execute(deeds.update().where(deeds.c.seq == seq, deeds.c.state == "queued").values(seq=None))


def queued(tx: sa.Connection) -> int:
    """How many deeds of consenting subjects have no receipt yet."""
    query = (
        sa.select(sa.func.count())
        .select_from(deeds.join(subjects, subjects.c.subject_id == deeds.c.subject_id))
        .where(deeds.c.state == "queued", subjects.c.share)
    )
    return tx.execute(query).scalar_one()


def by_state(tx: sa.Connection) -> dict[str, int]:
    """State → how many deeds."""
    rows = tx.execute(sa.select(deeds.c.state, sa.func.count()).group_by(deeds.c.state))
    return {row[0]: row[1] for row in rows}


def settled_credits(tx: sa.Connection, subject_id: int | None = None) -> int:
    """Credits of settled deeds, of one subject or of all."""
    query = sa.select(sa.func.coalesce(sa.func.sum(deeds.c.credits), 0)).where(deeds.c.state == "settled")
    if subject_id is not None:
        query = query.where(deeds.c.subject_id == subject_id)
    return int(tx.execute(query).scalar_one())
