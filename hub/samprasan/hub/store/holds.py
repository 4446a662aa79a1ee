"""Holds, offers and uses: load what batches name, save what a fold changed, find what has run out."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa
from samprasan.edge.database import rows_where_in, upsert_rows
from samprasan.hub.store import lots as lots_store
from samprasan.hub.tables import holding, holds, offers, uses
from samprasan.ledger import benefits
from samprasan.ledger.state import Hold, Offer, State
from samprasan.v1.log_pb2 import HOLD_STATE_HELD


def load_named(tx: sa.Connection, state: State, hold_ids: Iterable[tuple[str, bytes]]) -> None:
    """Put these holds, (agency, op_id) each, into ``state``."""
    by_agency: dict[str, list[bytes]] = {}
    for agency, hold_id in hold_ids:
        by_agency.setdefault(agency, []).append(hold_id)
    for agency, named in by_agency.items():
        for row in rows_where_in(tx, holds, holds.c.hold_id, named, agency=agency):
            state.holds[row[0], row[1]] = _hold(row)


def _hold(row: Sequence[Any]) -> Hold:
    return Hold(*row[2:-1])._replace(parts=lots_store.read_parts(row[-1]))


def load_counts(
    tx: sa.Connection,
    state: State,
    reserving: Iterable[tuple[str, bytes]],
    named: Iterable[tuple[str, str]],
    owners: Iterable[str],
) -> None:
    """Put what is counted around ``state``'s holds, and around ``reserving``, (agency, account) each, into it.

    Open holds of each agency on each account, uses of each account, the offers of holds and ``named`` ones, (owner,
    code) each, and every offer of ``owners``.
    """
    by_agency: dict[str, set[bytes]] = {}
    around = [*reserving, *((agency, hold.account_id) for (agency, _), hold in state.holds.items())]
    for agency, account_id in around:
        by_agency.setdefault(agency, set()).add(account_id)
    for agency, account_ids in by_agency.items():
        for row in rows_where_in(tx, holding, holding.c.account_id, account_ids, agency=agency):
            state.holding[row[0], row[1]] = row[2]
    for row in rows_where_in(tx, uses, uses.c.account_id, {account_id for _, account_id in around}):
        state.uses[row[0], row[1], row[2], row[3]] = row[4]
    codes: dict[str, set[str]] = {}
    for owner, code in (*named, *((hold.owner, hold.benefit) for hold in state.holds.values())):
        codes.setdefault(owner, set()).add(code)
    found = [rows_where_in(tx, offers, offers.c.owner, owners)]
    found += [rows_where_in(tx, offers, offers.c.benefit, sorted(each), owner=owner) for owner, each in codes.items()]
    for row in chain.from_iterable(found):
        state.offers[row[0], row[1]] = Offer(benefits.from_message(row[2]), bool(row[3]), row[4])


def load_all(tx: sa.Connection, state: State) -> None:
    """Put everything into ``state``, for an audit."""
    for row in tx.execute(sa.select(holds)):
        state.holds[row.agency, row.hold_id] = _hold(row)
    for row in tx.execute(sa.select(holding)):
        state.holding[row.agency, row.account_id] = row.open_holds
    for row in tx.execute(sa.select(offers)):
        state.offers[row.owner, row.benefit] = Offer(benefits.from_message(row.message), bool(row.withdrawn), row.taken)
    for row in tx.execute(sa.select(uses)):
        state.uses[tuple(row[:4])] = row[4]


def save(tx: sa.Connection, changes: State) -> None:
    """Store what folds changed."""
    rows = [(*key, *hold[:-1], lots_store.written_parts(hold.parts)) for key, hold in changes.holds.items()]
    upsert_rows(tx, holds, rows)
    upsert_rows(tx, holding, [(*key, count) for key, count in changes.holding.items()])
    stock = [(*key, each.benefit.message, each.withdrawn, each.taken) for key, each in changes.offers.items()]
    upsert_rows(tx, offers, stock)
    upsert_rows(tx, uses, [(*use, count) for use, count in changes.uses.items()])


def clear(tx: sa.Connection) -> None:
    """Delete everything that the log says, to be folded anew."""
    for table in (holds, holding, offers, uses):
        tx.execute(table.delete())


def run_out(tx: sa.Connection, now: int, limit: int) -> list[tuple[str, bytes]]:
    """(agency, hold_id) of open holds whose deadline has passed, oldest first."""
    query = sa.select(holds.c.agency, holds.c.hold_id).where(holds.c.state == HOLD_STATE_HELD, holds.c.deadline <= now)
    rows = tx.execute(query.order_by(holds.c.deadline, holds.c.agency, holds.c.hold_id).limit(limit))
    return [(row.agency, row.hold_id) for row in rows]


def credits_run_out(tx: sa.Connection, account_ids: Iterable[bytes], now: int) -> dict[bytes, int]:
    """Account id → credits of its open holds whose deadline has passed."""
    credits_ = sa.func.sum(holds.c.credits)
    over = (holds.c.account_id.in_(list(account_ids)), holds.c.state == HOLD_STATE_HELD, holds.c.deadline <= now)
    rows = tx.execute(sa.select(holds.c.account_id, credits_).where(*over).group_by(holds.c.account_id))
    return {row[0]: int(row[1]) for row in rows}


def accounts_of(tx: sa.Connection, agency: str, hold_ids: Iterable[bytes]) -> dict[bytes, bytes]:
    """Hold id → account, of the agency's own holds."""
    found = rows_where_in(tx, holds, holds.c.hold_id, hold_ids, agency=agency)
    return {row.hold_id: row.account_id for row in found}


def codes_of(tx: sa.Connection, owner: str) -> set[str]:
    """Every benefit that the agency ever offered."""
    return set(tx.execute(sa.select(offers.c.benefit).where(offers.c.owner == owner)).scalars())
