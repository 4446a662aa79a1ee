"""The ledger's rows: load the slice that batches touch, save what a fold changed, read totals."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlalchemy as sa
from samprasan.edge.database import insert_rows, rows_where_in, upsert_rows
from samprasan.hub.store import admissions as admissions_store
from samprasan.hub.store import evaluations as evaluations_store
from samprasan.hub.store import holds as holds_store
from samprasan.hub.store import lots as lots_store
from samprasan.hub.tables import accounts, agencies, corrections, leftovers, links, log, operations
from samprasan.ledger.state import AgencyTotals, Correction, Operation, State, Totals
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import Award, Batch


@dataclass(frozen=True, slots=True)
class Touched:
    """What one agency's batches name: accounts, their own op_ids, and op_ids of awards that they correct.

    ``tags`` are of admissions, by agency, of the agency itself or, of the hub's, of those that it admits.  ``turns``
    close accounts by day and first bytes of their ids.  ``told_of`` are agencies of which the hub says something.

    ``hold_ids`` are (agency, op_id) of holds, ``reserving`` accounts on which holds are made or have to be over,
    ``offers`` (owner, code) of benefits, ``owners`` agencies of whose benefits every one matters.
    """

    account_ids: set[bytes] = field(default_factory=set)
    op_ids: set[bytes] = field(default_factory=set)
    award_op_ids: set[bytes] = field(default_factory=set)
    hold_ids: set[tuple[str, bytes]] = field(default_factory=set)
    reserving: set[bytes] = field(default_factory=set)
    offers: set[tuple[str, str]] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    tags: dict[str, set[bytes]] = field(default_factory=dict)
    turns: set[tuple[int, bytes]] = field(default_factory=set)
    told_of: set[str] = field(default_factory=set)


def load(tx: sa.Connection, touched: Mapping[str, Touched]) -> State:
    """The slice that agencies' batches touch; what does not exist is left out."""
    state = State()
    if any(named.hold_ids or named.reserving or named.owners for named in touched.values()):
        _load_holds(tx, state, touched)
    for agency, named in touched.items():
        _load_own(tx, state, agency, named)
    every_account = set().union(*(named.account_ids for named in touched.values()))
    turns = set().union(*(named.turns for named in touched.values()))
    state.include(State(accounts=_accounts(_rows(tx, every_account, turns))))
    if any(named.told_of for named in touched.values()):
        state.evaluated = evaluations_store.totals(tx)
    for row in rows_where_in(tx, agencies, agencies.c.agency, _agencies_of(state, touched)):
        state.agencies[row[0]] = AgencyTotals(*row[1:])
    return state


def _load_own(tx: sa.Connection, state: State, agency: str, named: Touched) -> None:
    """What there is of an agency: admissions, awards and what corrected them, links, and what came of its op_ids."""
    for of_whom, tags in named.tags.items():
        state.admissions |= admissions_store.of_tags(tx, of_whom, tags)
    for op_id, award in awards_of(tx, agency, named.award_op_ids):
        state.awards[agency, op_id] = award
        named.account_ids.add(award.account_id)
    for op_id, award in leftovers_of(tx, agency, named.award_op_ids):
        state.leftovers[agency, op_id] = award
    for row in rows_where_in(tx, corrections, corrections.c.award_op_id, named.award_op_ids, agency=agency):
        state.corrections[agency, row[1]] = Correction(row[2], bool(row[3]))
    for row in rows_where_in(tx, links, links.c.account_id, named.account_ids, agency=agency):
        state.links[agency, row[1]], state.left[agency, row[1]] = purposes_of(row[2]), row[3]
    for row in rows_where_in(tx, operations, operations.c.op_id, named.op_ids, agency=agency):
        state.operations[agency, row[1]] = Operation(row[2], row[4])


def _agencies_of(state: State, touched: Mapping[str, Touched]) -> set[str]:
    """Whose totals the batches may change: their own, and those whose credits, holds, accounts and words they touch."""
    found = {*touched, *(agency for agency, _ in state.holds)}
    for account in state.accounts.values():
        found.update(
            (account.only_of, *(lot.awarder for lot in account.lots), *(debt.awarder for debt in account.owed))
        )
    return found.union(*(named.told_of for named in touched.values())) - {""}


def _rows(
    tx: sa.Connection, account_ids: Iterable[bytes], turns: Iterable[tuple[int, bytes]]
) -> Iterator[Sequence[Any]]:
    """Accounts by their ids, and those that turns are about."""
    yield from rows_where_in(tx, accounts, accounts.c.account_id, account_ids)
    for day, prefix in turns:
        begins = sa.func.substr(accounts.c.account_id, 1, len(prefix)) == prefix
        yield from tx.execute(sa.select(accounts).where(due(day), begins))


def _load_holds(tx: sa.Connection, state: State, touched: Mapping[str, Touched]) -> None:
    """Holds that batches name, the accounts they are on, and what is counted around them."""
    holds_store.load_named(tx, state, set().union(*(named.hold_ids for named in touched.values())))
    for named in touched.values():
        named.account_ids.update(state.holds[key].account_id for key in named.hold_ids if key in state.holds)
    reserving = [(agency, account_id) for agency, named in touched.items() for account_id in named.reserving]
    offers: set[tuple[str, str]] = set().union(*(named.offers for named in touched.values()))
    owners: set[str] = set().union(*(named.owners for named in touched.values()))
    holds_store.load_counts(tx, state, reserving, offers, sorted(owners))


def awards_of(tx: sa.Connection, agency: str, op_ids: Iterable[bytes]) -> Iterator[tuple[bytes, Award]]:
    """The agency's awards that took effect, read from its own batches in the log: corrections are rare.

    What a reversal had to leave of one is an award, too, by the reversal's op_id.
    """
    found = list(rows_where_in(tx, operations, operations.c.op_id, op_ids, agency=agency))
    wanted = {row[1]: row[3] for row in found if not row[4]}
    yield from leftovers_of(tx, agency, wanted)
    for log_index in sorted(set(wanted.values())):
        data = tx.execute(sa.select(log.c.batch).where(log.c.log_index == log_index)).scalar_one()
        for update in Batch.FromString(Envelope.FromString(data).payload).updates:
            if wanted.get(update.op_id) == log_index:
                del wanted[update.op_id]  # the first with that op_id took effect; a second in the batch was declined
                if update.HasField("award"):
                    yield update.op_id, update.award


def leftovers_of(tx: sa.Connection, agency: str, op_ids: Iterable[bytes]) -> Iterator[tuple[bytes, Award]]:
    """What the agency's reversals had to leave, of those that had to."""
    for row in rows_where_in(tx, leftovers, leftovers.c.op_id, op_ids, agency=agency):
        yield row[1], Award.FromString(row[2])


def load_all(tx: sa.Connection) -> State:
    """The whole state, for an audit; awards are left out, since the log is where they stand."""
    state = State(admissions=admissions_store.every_tag(tx), evaluated=evaluations_store.totals(tx))
    state.include(State(accounts=_accounts(tx.execute(sa.select(accounts)))))
    for agency, account_id, purposes, left_on in tx.execute(sa.select(links)):
        state.links[agency, account_id], state.left[agency, account_id] = purposes_of(purposes), left_on
    for row in tx.execute(sa.select(operations)):
        state.operations[row.agency, row.op_id] = Operation(row.content, row.reason)
    for agency, award_op_id, op_id, is_over in tx.execute(sa.select(corrections)):
        state.corrections[agency, award_op_id] = Correction(op_id, bool(is_over))
    for row in tx.execute(sa.select(leftovers)):
        state.leftovers[row.agency, row.op_id] = Award.FromString(row.award)
    for row in tx.execute(sa.select(agencies)):
        state.agencies[row.agency] = AgencyTotals(*row[1:])
    holds_store.load_all(tx, state)
    return state


def save(tx: sa.Connection, changes: State, operations_at: Iterable[tuple[int, State]]) -> None:
    """Store what folds changed; ``operations_at`` has each fold's own changes with its log index."""
    upsert_rows(tx, accounts, [_account_row(key, totals) for key, totals in changes.accounts.items()])
    upsert_rows(tx, links, [(*key, _bits(each), changes.left.get(key, 0)) for key, each in changes.links.items()])
    admissions_store.save_tags(tx, changes.admissions)
    evaluations_store.save(tx, changes.evaluated)
    upsert_rows(tx, agencies, [_agency_row(key, totals) for key, totals in changes.agencies.items()])
    upsert_rows(tx, corrections, [(*key, *correction) for key, correction in changes.corrections.items()])
    left = [(*key, award.SerializeToString(deterministic=True)) for key, award in changes.leftovers.items()]
    insert_rows(tx, leftovers, left)
    rows = [
        (agency, op_id, operation.content, log_index, operation.reason)
        for log_index, folded in operations_at
        for (agency, op_id), operation in folded.operations.items()
    ]
    insert_rows(tx, operations, rows)
    holds_store.save(tx, changes)


def clear(tx: sa.Connection) -> None:
    """Delete everything that the log says, to be folded anew."""
    for table in (accounts, links, agencies, corrections, leftovers, operations):
        tx.execute(table.delete())
    admissions_store.clear_tags(tx)
    evaluations_store.clear(tx)
    holds_store.clear(tx)


def totals_of(tx: sa.Connection, account_ids: Iterable[bytes]) -> dict[bytes, Totals]:
    """Account id → totals, of those that exist."""
    return _accounts(rows_where_in(tx, accounts, accounts.c.account_id, account_ids))


def prefixes_resting_until(tx: sa.Connection, day: int, limit: int) -> list[bytes]:
    """First bytes of ids of accounts whose rest is over by ``day`` (YYYYMMDD) and that are not closed."""
    first = sa.func.substr(accounts.c.account_id, 1, 1)
    query = sa.select(first).where(due(day)).distinct().limit(limit)
    return sorted(bytes(each) for each in tx.execute(query).scalars())


def due(day: int) -> sa.ColumnElement[bool]:
    """Whether an account's rest is over by ``day`` (YYYYMMDD) and it is not closed."""
    rests = sa.text("NOT closed")  # as the index says it, or SQLite does not use it
    return sa.and_(accounts.c.closes_on > 0, rests, accounts.c.closes_on <= day)


def visible_accounts(tx: sa.Connection) -> Iterator[tuple[bytes, Totals]]:
    """Every account that integrators may see, without holding all of them in memory."""
    allowed = (accounts.c.links > 0, accounts.c.links == accounts.c.shown_by)
    for row in tx.execute(sa.select(accounts).where(*allowed).execution_options(yield_per=1000)):
        yield from _accounts([row]).items()


def purposes_at(tx: sa.Connection, agency: str, account_ids: Iterable[bytes]) -> dict[bytes, frozenset[int]]:
    """Account id → the purposes of the agency's Link."""
    found = rows_where_in(tx, links, links.c.account_id, account_ids, agency=agency)
    return {row[1]: purposes_of(row[2]) for row in found}


def federation_totals(tx: sa.Connection) -> dict[str, int]:
    """Sums over all accounts, and how many accounts have a link."""
    earned = (
        accounts.c.earned_health + accounts.c.earned_economy + accounts.c.earned_social + accounts.c.earned_environment
    )
    names = ("written_off", "available", "pending", "held", "spent", "expired")
    sums = [sa.func.coalesce(sa.func.sum(accounts.c[name]), 0).label(name) for name in names]
    linked = sa.func.count().filter(accounts.c.links > 0).label("accounts")
    row = tx.execute(sa.select(sa.func.coalesce(sa.func.sum(earned), 0).label("earned"), *sums, linked)).one()
    return {name: int(value) for name, value in row._mapping.items()}


def agency_totals(tx: sa.Connection) -> dict[str, AgencyTotals]:
    """Agency → what it did."""
    return {row.agency: AgencyTotals(*row[1:]) for row in tx.execute(sa.select(agencies))}


@cache
def purposes_of(bits: int) -> frozenset[int]:
    """The purposes whose bits are set, and ``USED``."""
    return frozenset(purpose for purpose in range(16) if bits >> purpose & 1)


def _bits(purposes: frozenset[int]) -> int:
    return sum(1 << purpose for purpose in purposes)


def _accounts(rows: Iterable[Sequence[Any]]) -> dict[bytes, Totals]:
    found = {}
    for (
        account_id,
        kind,
        health,
        economy,
        social,
        environment,
        *plain,
        open_links,
        closed,
        shown_by,
        text,
        only_of,
        closes_on,
        is_public,
    ) in rows:
        written_off, available, pending, held, spent, expired = plain
        earned = (health, economy, social, environment)
        lots, owed = lots_store.read(text)
        found[account_id] = Totals(
            kind=kind,
            earned=earned,
            written_off=written_off,
            available=available,
            pending=pending,
            held=held,
            spent=spent,
            expired=expired,
            links=open_links,
            closed=bool(closed),
            shown_by=shown_by,
            lots=lots,
            owed=owed,
            only_of=only_of,
            closes_on=closes_on,
            is_public=bool(is_public),
        )
    return found


def _account_row(account_id: bytes, totals: Totals) -> tuple[Any, ...]:
    spendable = (totals.written_off, totals.available, totals.pending, totals.held, totals.spent, totals.expired)
    lots = lots_store.written(totals.lots, totals.owed)
    linked = (totals.links, totals.closed, totals.shown_by)
    opened = (totals.only_of, totals.closes_on, totals.is_public)
    return (account_id, totals.kind, *totals.earned, *spendable, *linked, lots, *opened)


def _agency_row(agency: str, totals: AgencyTotals) -> tuple[Any, ...]:
    return (agency, *totals)
