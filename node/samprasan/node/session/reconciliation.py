"""Reconciliation over a connection: begin, cells until they explain everything, what the hub has, the verdict."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Any

from samprasan.client.connection import Hub
from samprasan.edge.database import Database
from samprasan.edge.logs import get_logger
from samprasan.keys.chain import Head
from samprasan.keys.errors import Malformed, Unavailable, Unproven
from samprasan.ledger import sketch
from samprasan.ledger.contributions import NOTHING, Contribution
from samprasan.ledger.sketch import Cell, Peeling, Side
from samprasan.node import limits
from samprasan.node.proof import reconciliation
from samprasan.node.proof.reconciliation import Outcome, Records
from samprasan.node.session.session import Session
from samprasan.v1 import hub_pb2

RECONCILE_SECONDS = 300.0
NONCE_BYTES = 32
TRIES = 20
TRY_AGAIN_SECONDS = 0.25
SETTLE_SECONDS = 10.0  # for a receipt that the hub has given and this node has not taken yet
_AMOUNT_MAX = 1 << 40  # a difference in one component is read off the sketch up to so many credits
logger = get_logger("node")


async def run(session: Session) -> None:
    """Compare records and totals every five minutes, and note what was found."""
    node = session.node
    while True:
        async with session.patiently("reconciling"):
            outcome = await reconcile(node.db, node.identity.agency, session.hub, session.quiet)
            await session.step(reconciliation.record_outcome, node.db, node.world.now(), outcome)
            if outcome.differences:
                logger.error("accounts differ", accounts=len(outcome.differences), causes=outcome.causes)
        await asyncio.sleep(RECONCILE_SECONDS)


async def reconcile(db: Database, agency: str, hub: Hub, quiet: asyncio.Lock | None = None) -> Outcome:
    """Compare until both stand at one position; what was found is told to the hub's operator, in numbers.

    If the node moves on meanwhile, it is tried again, and nothing new is sent by whoever respects ``quiet`` while the
    position is agreed on: not at once, since the hub may first have a whole log to count.

    Raises Unavailable ``reconcile_busy`` if updates never let both stand still, Unproven ``sketch`` for cells that
    explain nothing, and what the hub refuses.
    """
    for attempt in range(TRIES):
        talk = _Talk(db, agency, hub, quiet if quiet and attempt else asyncio.Lock())
        try:
            outcome = await talk.run()
        finally:
            await talk.close()
        if outcome is not None:
            differing = len(outcome.differences)
            logger.info("reconciled", seq=outcome.head.seq, accounts=outcome.accounts, differences=differing)
            return outcome
        await asyncio.sleep(TRY_AGAIN_SECONDS * (1 + secrets.randbelow(4)))
    raise Unavailable("reconcile_busy")


class _Talk:
    """One stream."""

    def __init__(self, db: Database, agency: str, hub: Hub, quiet: asyncio.Lock) -> None:
        self._db, self._agency, self._quiet = db, agency, quiet
        self._requests: asyncio.Queue[hub_pb2.ReconcileRequest | None] = asyncio.Queue()
        self._answers = hub.reconcile(self._outgoing())
        self._bytes = 0

    async def _outgoing(self) -> AsyncIterator[hub_pb2.ReconcileRequest]:
        while (request := await self._requests.get()) is not None:
            yield request

    async def close(self) -> None:
        """End the stream."""
        self._requests.put_nowait(None)
        async for _ in self._answers:
            pass

    async def run(self) -> Outcome | None:
        """What was found; None if the node has moved on meanwhile."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        async with self._quiet:
            self._requests.put_nowait(hub_pb2.ReconcileRequest(begin=hub_pb2.ReconcileBegin(nonce=nonce)))
            begun = (await self._next("begun")).begun
            here = await self._records(Head(begun.head.seq, begun.head.digest))
        first = _cells(begun.cell, 1)
        if here is None:
            return None
        keys = here.keys(nonce, begun.nonce)
        self._bytes += sketch.CELL_BYTES
        accounts, have = list(here.have), dict(here.have)
        mine = await asyncio.to_thread(Side, keys, accounts, list(have.values()))
        peeling = Peeling(mine.ids)
        peeling.add_cells(mine.more(1), first)
        round_trips = 1
        if not peeling.is_done:
            round_trips = 2
            self._requests.put_nowait(hub_pb2.ReconcileRequest(more=hub_pb2.ReconcileMore()))
            accounts, peeling = await self._peel(keys, have, mine, peeling, first)
        deltas = {accounts[place]: delta for place, delta in peeling.found.items() if delta}
        theirs: dict[bytes, Contribution] = {}
        unread = []
        for account_id, delta in deltas.items():
            change = keys.single(delta, _AMOUNT_MAX)
            if change is None:
                unread.append(account_id)
            else:
                theirs[account_id] = have.get(account_id, NOTHING).minus(change)
        if unread:
            round_trips += 1
            theirs |= await self._ask(unread)
        found = await asyncio.to_thread(reconciliation.explain, self._db, here, theirs) if theirs else []
        outcome = Outcome(here.head, len(here.have), found, self._bytes, round_trips)
        self._requests.put_nowait(hub_pb2.ReconcileRequest(verdict=outcome.verdict))
        return outcome

    async def _records(self, head: Head) -> Records | None:
        """The records at the hub's position of this node's chain, once its receipts are here."""
        ends = asyncio.get_running_loop().time() + SETTLE_SECONDS
        while True:
            here = await asyncio.to_thread(reconciliation.records, self._db, self._agency, head)
            if here is not None:
                return here
            settled = await asyncio.to_thread(reconciliation.settled_at, self._db)
            if settled.seq >= head.seq or asyncio.get_running_loop().time() > ends:
                return None
            await asyncio.sleep(TRY_AGAIN_SECONDS / 5)

    async def _peel(
        self, keys: sketch.Keys, have: dict[bytes, Contribution], mine: Side, peeling: Peeling, first: Sequence[Cell]
    ) -> tuple[list[bytes], Peeling]:
        """Go on until everything is explained.  Accounts that only the chain knows of are looked up once it stalls."""
        accounts, theirs, widened = list(have), list(first), False
        while not peeling.is_done:
            if peeling.count >= limits.SKETCH_CELLS_MAX:
                raise Unproven("sketch", cells=peeling.count)
            if not widened and peeling.count > limits.SKETCH_STALLED_CELLS + 4 * len(peeling.found):
                widened = True
                unknown = await asyncio.to_thread(reconciliation.ever_linked, self._db)
                accounts += sorted(unknown - have.keys())
                values = [have.get(each, NOTHING) for each in accounts]
                mine = await asyncio.to_thread(Side, keys, accounts, values)
                peeling = Peeling(mine.ids)
                peeling.add_cells(mine.more(len(theirs)), theirs)
                continue
            answer = await self._next("cells")
            more = _cells(answer.cells.cells, len(answer.cells.cells) // sketch.CELL_BYTES)
            self._bytes += len(answer.cells.cells)
            theirs += more
            peeling.add_cells(await asyncio.to_thread(mine.more, len(more)), more)
        return accounts, peeling

    async def _ask(self, account_ids: Sequence[bytes]) -> dict[bytes, Contribution]:
        """What the hub says it has on accounts that differ in more than one thing."""
        found = {}
        for start in range(0, len(account_ids), limits.ACCOUNTS_PER_REQUEST):
            part = list(account_ids[start : start + limits.ACCOUNTS_PER_REQUEST])
            self._requests.put_nowait(hub_pb2.ReconcileRequest(ask=hub_pb2.ReconcileAsk(account_ids=part)))
            answer = await self._next("told")
            self._bytes += answer.ByteSize()
            if [each.account_id for each in answer.told.accounts] != part:
                raise Malformed("request_unreadable")
            for each in answer.told.accounts:
                earned = [*each.earned, 0, 0, 0, 0][:4]
                found[each.account_id] = Contribution._make([*earned, each.spent, int(each.linked)])
        return found

    async def _next(self, step: str) -> hub_pb2.ReconcileResponse:
        """The next answer of that kind; cells that were on their way already are passed over."""
        async for answer in self._answers:
            if answer.WhichOneof("step") == step:
                return answer
            self._bytes += len(answer.cells.cells)
        if step == "cells":
            raise Unproven("sketch", cells=limits.SKETCH_CELLS_MAX)
        raise Unavailable("hub_unreachable", status="stream ended")


def _cells(data: bytes, count: int) -> list[Any]:
    try:
        cells = sketch.read(data)
    except ValueError as problem:
        raise Malformed("request_unreadable") from problem
    if not cells or len(cells) != count:
        raise Malformed("request_unreadable")
    return cells
