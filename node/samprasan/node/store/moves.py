"""Moves: deeds that stand under a wrong id, whose they are in truth, who said so and who checked it."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from samprasan.edge.database import delete_where_in, insert_rows, row_as, rows_as, rows_where_in
from samprasan.node.rows import MoveRow
from samprasan.node.states import MoveState
from samprasan.node.tables import moved, moves, moving

OPEN = (MoveState.PROPOSED, MoveState.WAITING)


def add(tx: sa.Connection, values: dict[str, Any], deed_ids: Sequence[int]) -> int:
    """A new move's number."""
    key = tx.execute(moves.insert().values(values | {"state": MoveState.PROPOSED})).inserted_primary_key
    assert key is not None
    insert_rows(tx, moving, [(key[0], deed_id) for deed_id in deed_ids])
    return int(key[0])


def find(tx: sa.Connection, move_id: int) -> MoveRow | None:
    """The move with that number."""
    return row_as(MoveRow, tx.execute(sa.select(moves).where(moves.c.move_id == move_id)).first())


def every(tx: sa.Connection) -> list[MoveRow]:
    """All moves, oldest first."""
    return rows_as(MoveRow, tx.execute(sa.select(moves).order_by(moves.c.move_id)))


def waiting_for(tx: sa.Connection, digest: bytes) -> MoveRow | None:
    """The move that waits for the joint document with that digest."""
    return row_as(
        MoveRow,
        tx.execute(sa.select(moves).where(moves.c.state == MoveState.WAITING, moves.c.document == digest)).first(),
    )


def deeds_of(tx: sa.Connection, move_id: int) -> list[int]:
    """The deeds that it moves."""
    return list(tx.execute(sa.select(moving.c.deed_id).where(moving.c.move_id == move_id)).scalars())


def in_open_ones(tx: sa.Connection, deed_ids: Iterable[int]) -> set[int]:
    """Moves that are not over and would move one of these deeds."""
    named = {row.move_id for row in rows_where_in(tx, moving, moving.c.deed_id, deed_ids)}
    return {row.move_id for row in rows_where_in(tx, moves, moves.c.move_id, named) if row.state in OPEN}


def mark_waiting(tx: sa.Connection, move_id: int, checker: str, document: bytes) -> None:
    """Somebody confirmed it; it waits for the joint document."""
    change = moves.update().where(moves.c.move_id == move_id)
    tx.execute(change.values(state=MoveState.WAITING, checker=checker, document=document))


def end_move(tx: sa.Connection, move_id: int, state: MoveState, checker: str | None) -> None:
    """It is done or dropped: the id and the name are not needed any more."""
    change = moves.update().where(moves.c.move_id == move_id)
    tx.execute(change.values(state=state, checker=checker, sealed_id=None, sealed_name=None))


def remember(tx: sa.Connection, deed_ids: Sequence[int], wrong_index: bytes) -> None:
    """The records of these deeds state that id, which is wrong."""
    delete_where_in(tx, moved, moved.c.deed_id, deed_ids)
    insert_rows(tx, moved, [(deed_id, wrong_index) for deed_id in deed_ids])


def wrong_indexes(tx: sa.Connection, deed_ids: Iterable[int]) -> dict[int, bytes]:
    """Deed id → the index of the id that its record states by mistake."""
    return {row.deed_id: row.wrong_index for row in rows_where_in(tx, moved, moved.c.deed_id, deed_ids)}


def any_moved(tx: sa.Connection) -> bool:
    """Whether any deed was ever moved."""
    return tx.execute(sa.select(moved.c.deed_id).limit(1)).first() is not None


def forget(tx: sa.Connection, subject_id: int, id_index: bytes) -> None:
    """Delete everything that tells of the subject."""
    about = sa.or_(moves.c.subject_id == subject_id, moves.c.id_index == id_index)
    move_ids = list(tx.execute(sa.select(moves.c.move_id).where(about)).scalars())
    delete_where_in(tx, moving, moving.c.move_id, move_ids)
    delete_where_in(tx, moves, moves.c.move_id, move_ids)
    tx.execute(moved.delete().where(moved.c.wrong_index == id_index))
