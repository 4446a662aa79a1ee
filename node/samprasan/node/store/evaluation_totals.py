"""How many ids each agency ever had evaluated by each other: as counted here, signed by two, and told in the chain.

Of a pair with this node in it ``elements`` are those that it asked for, or evaluated; ``waiting`` are totals that this
node signed as evaluator and the requester has not acknowledged.
"""

import json
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from samprasan.edge.database import insert_rows, row_as, rows_as, rows_where_in, upsert_rows
from samprasan.node.rows import EvaluationTotalRow
from samprasan.node.tables import admitted, evaluation_totals, linking_counts

_ASKS = evaluation_totals.c.requester == sa.bindparam("requester")
_IS_ASKED = evaluation_totals.c.evaluator == sa.bindparam("evaluator")
_OF_PAIR = sa.select(evaluation_totals).where(_ASKS, _IS_ASKED)
_REQUESTED = sa.select(evaluation_totals).where(_ASKS).order_by(evaluation_totals.c.evaluator)
_EVALUATED = sa.select(evaluation_totals).where(_IS_ASKED).order_by(evaluation_totals.c.requester)


def of_pair(tx: sa.Connection, requester: str, evaluator: str) -> EvaluationTotalRow:
    """What is known of the pair."""
    pair = {"requester": requester, "evaluator": evaluator}
    found = row_as(EvaluationTotalRow, tx.execute(_OF_PAIR, pair).first())
    return found or EvaluationTotalRow(requester, evaluator, 0, b"", "[]", 0)


def save(tx: sa.Connection, row: EvaluationTotalRow) -> None:
    """What is known of a pair now."""
    upsert_rows(tx, evaluation_totals, [row])


def waiting(row: EvaluationTotalRow) -> list[int]:
    """Totals that the requester has not acknowledged, ascending."""
    return [int(each) for each in json.loads(row.waiting)]


def with_waiting(row: EvaluationTotalRow, totals: Sequence[int]) -> EvaluationTotalRow:
    """The row with other totals that wait."""
    return row._replace(waiting=json.dumps(list(totals), separators=(",", ":")))


def requested_by(tx: sa.Connection, requester: str) -> list[EvaluationTotalRow]:
    """The pairs in which this agency asks."""
    return rows_as(EvaluationTotalRow, tx.execute(_REQUESTED, {"requester": requester}))


def evaluated_by(tx: sa.Connection, evaluator: str) -> list[EvaluationTotalRow]:
    """The pairs in which this agency is asked."""
    return rows_as(EvaluationTotalRow, tx.execute(_EVALUATED, {"evaluator": evaluator}))


def count(tx: sa.Connection, agency: str, day: int, *, evaluated: int = 0, admitted: int = 0) -> None:
    """The hub's chain says so of the agency, as of ``day`` (YYYYMMDD)."""
    own = (linking_counts.c.agency == agency, linking_counts.c.day == day)
    row = tx.execute(sa.select(linking_counts).where(*own)).first()
    before = (row.evaluated, row.admitted) if row else (0, 0)
    upsert_rows(tx, linking_counts, [(agency, day, before[0] + evaluated, before[1] + admitted)])


def counts(tx: sa.Connection, until: int) -> dict[str, tuple[int, int]]:
    """Agency → ids evaluated for it and its admissions, up to the end of ``until`` (YYYYMMDD)."""
    sums = [sa.func.sum(linking_counts.c[name]) for name in ("evaluated", "admitted")]
    query = sa.select(linking_counts.c.agency, *sums).where(linking_counts.c.day <= until)
    return {row[0]: (int(row[1]), int(row[2])) for row in tx.execute(query.group_by(linking_counts.c.agency))}


def count_of(tx: sa.Connection, agency: str) -> tuple[int, int]:
    """Ids ever evaluated for the agency, and its admissions, as the hub's chain says."""
    sums = [sa.func.coalesce(sa.func.sum(linking_counts.c[name]), 0) for name in ("evaluated", "admitted")]
    row = tx.execute(sa.select(*sums).where(linking_counts.c.agency == agency)).one()
    return int(row[0]), int(row[1])


def hear(tx: sa.Connection, row: EvaluationTotalRow, heard: int) -> None:
    """The hub's chain says so of the pair; what else is known of it may be changing beside this."""
    pair = (evaluation_totals.c.requester == row.requester, evaluation_totals.c.evaluator == row.evaluator)
    if not tx.execute(evaluation_totals.update().where(*pair).values(heard=heard)).rowcount:
        save(tx, row._replace(heard=heard))


def tags_of(tx: sa.Connection, agency: str, tags: Collection[bytes]) -> set[bytes]:
    """Of these admissions of the agency, those that the hub's chain has told of."""
    return {row.tag for row in rows_where_in(tx, admitted, admitted.c.tag, tags, agency=agency)}


def keep_tags(tx: sa.Connection, agency: str, tags: Collection[bytes]) -> None:
    """The hub's chain tells of these admissions."""
    insert_rows(tx, admitted, [(agency, tag) for tag in tags])


def forget_chain(tx: sa.Connection) -> None:
    """Count anew what the hub's chain says."""
    tx.execute(admitted.delete())
    tx.execute(linking_counts.delete())
    tx.execute(evaluation_totals.update().values(heard=0))
