"""``samprasan.v1.Counter``: what an agency's own applications ask, over a Unix socket or mutual TLS.

A method is a few lines around the steps that the commands take.  Redeeming answers when the hub has: one task looks at
what came of everything that is waited for, whenever a receipt came in.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import grpc
from samprasan.client.connection import Connect
from samprasan.edge import wire
from samprasan.edge.logs import get_logger
from samprasan.keys.errors import Malformed, Unavailable
from samprasan.keys.identifiers import Identifier, Scheme, parse
from samprasan.node import limits
from samprasan.node.counter import balance, redemption
from samprasan.node.counter.redemption import Wish
from samprasan.node.identity import Node
from samprasan.node.imports import single_record
from samprasan.node.process import serve as process_serve
from samprasan.node.session.live import LOOK_SECONDS, Live
from samprasan.node.states import RedemptionState
from samprasan.v1 import counter_pb2, counter_pb2_grpc, hub_pb2

P = ParamSpec("P")
T = TypeVar("T")
UNIX = "unix:"
ANSWER_SECONDS = 15.0  # under the callers' usual deadline of 20 s
BALANCE_SECONDS = 5.0
_CANCELS = 3
logger = get_logger("counter")
Credentials = tuple[bytes, bytes, bytes]


@dataclass
class Waiting:
    """Redemptions that somebody waits for."""

    node: Node
    live: Live
    futures: dict[bytes, "asyncio.Future[bool]"] = field(default_factory=dict)

    async def decided(self, op_key: bytes) -> bool:
        """Wait for the hub's answer; whether it came before the time was over or the hub went away."""
        future = self.futures.setdefault(op_key, asyncio.get_running_loop().create_future())
        self.live.sending.ring()
        await asyncio.wait({future}, timeout=ANSWER_SECONDS)
        if self.futures.get(op_key) is future:  # a later caller's is left
            del self.futures[op_key]
        return future.done() and future.result()

    async def watch(self) -> None:
        """Tell those who wait, as receipts come in; all of them when the hub goes away."""
        while True:
            news = self.live.sending.next()
            try:
                await self._look()
            except Exception:  # the database may be away for a moment; who waits is told later, or runs out of time
                logger.error("cannot look at what was decided", exc_info=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await news.wait()

    async def _look(self) -> None:
        if not self.futures:
            return
        connected = self.live.connected
        asked = list(self.futures)
        for op_key in await asyncio.to_thread(redemption.decided_among, self.node.db, asked):
            self._tell(op_key, decided=True)
        if not connected:
            for op_key in asked:
                self._tell(op_key, decided=False)

    def _tell(self, op_key: bytes, *, decided: bool) -> None:
        future = self.futures.pop(op_key, None)
        if future is not None and not future.done():
            future.set_result(decided)


class CounterServicer(counter_pb2_grpc.CounterServicer):
    """The methods of ``samprasan.v1.Counter``."""

    def __init__(self, node: Node, live: Live, connect: Connect, offline_credits_max: int) -> None:
        self._node = node
        self._live = live
        self._connect = connect
        self._offline_credits_max = offline_credits_max
        self.waiting = Waiting(node, live)

    async def _step(self, step: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.to_thread(step, *arguments, **named)

    async def Balance(self, request: counter_pb2.BalanceRequest, context: Any) -> counter_pb2.BalanceResponse:
        """See :mod:`samprasan.node.counter.balance`; as remembered while the hub is away."""
        node, subject = self._node, _identifier(request.subject)
        found = await self._step(balance.find_or_want, node, subject)
        ends = asyncio.get_running_loop().time() + BALANCE_SECONDS
        while found.request is None and self._live.connected and asyncio.get_running_loop().time() < ends:
            self._live.wake_all()
            await asyncio.sleep(LOOK_SECONDS / 5)
            found = await self._step(balance.find_or_want, node, subject)
        kept, fresh = found.remembered, False
        with contextlib.suppress(Unavailable):
            if found.request is not None:
                kept = await self._ask_hub(found.request)
                fresh = True
        if kept is None:
            raise Unavailable("link_pending")
        totals = hub_pb2.Totals.FromString(kept.payload)
        account = totals.accounts[0]
        return counter_pb2.BalanceResponse(
            earned=account.earned,
            available=account.available,
            held=account.held,
            spent=account.spent,
            earned_here=found.earned_here,
            as_of=totals.as_of,
            fresh=fresh,
        )

    async def _ask_hub(self, request: hub_pb2.GetTotalsRequest) -> Any:
        node = self._node
        totals = await process_serve.ask(self._connect, lambda hub: hub.totals(request))
        return await self._step(balance.accept_totals, node, request, totals)

    async def Redeem(self, request: counter_pb2.RedeemRequest, context: Any) -> counter_pb2.RedeemResponse:
        """See :func:`samprasan.node.counter.redemption.request_redemption`.

        Unavailable ``counter_offline`` if nothing has left, ``redemption_pending`` if its answer has not come.
        """
        node, wish = self._node, _wish(request)
        known = await self._step(redemption.is_known, node, wish)
        if not known and not self._live.connected:
            risked = replace(wish, on_own_risk=True)
            most = self._offline_credits_max
            await self._step(redemption.request_redemption, node, risked, most)
        elif not known:
            await self._step(redemption.request_redemption, node, wish)
        op_key = wish.op_key
        if await self._is_decided(op_key) or await self.waiting.decided(op_key) or await self._is_decided(op_key):
            return counter_pb2.RedeemResponse(redemption=await self._found(op_key))
        if await self._step(redemption.drop_unsent, node.db, op_key):
            raise Unavailable("counter_offline", why="hub_unreachable")
        raise Unavailable("redemption_pending", id=op_key.hex())

    async def Cancel(self, request: counter_pb2.CancelRequest, context: Any) -> counter_pb2.CancelResponse:
        """Void a hold, refund what was spent; again, it stays so."""
        node, op_key = self._node, request.op_id
        _check_op_id(op_key)
        update = b""
        for _ in range(_CANCELS):  # what is on its way is waited for, then taken back
            queued = await self._step(redemption.cancel, node, op_key)
            update = queued or update
            if not await self._is_decided(op_key) and not await self.waiting.decided(op_key):
                break
            found = await self._found(op_key)
            if found.state not in {RedemptionState.HELD, RedemptionState.POSTED}:
                return counter_pb2.CancelResponse(redemption=found)
        if await self._step(redemption.drop_update, node.db, update):
            raise Unavailable("counter_offline", why="hub_unreachable")
        raise Unavailable("redemption_pending", id=op_key.hex())

    async def _is_decided(self, op_key: bytes) -> bool:
        return await self._step(redemption.is_decided, self._node.db, op_key)

    async def RecordDeed(self, request: counter_pb2.RecordDeedRequest, context: Any) -> counter_pb2.RecordDeedResponse:
        """See :func:`samprasan.node.imports.single_record.record`."""
        node = self._node
        response = await self._step(single_record.record, node, request)
        self._live.wake_all()
        return response

    async def _found(self, op_key: bytes) -> counter_pb2.Redemption:
        document = await self._step(redemption.find, self._node, op_key)
        return counter_pb2.Redemption(
            op_id=op_key,
            state=document["state"],
            reason=document["reason"] or "",
            credits=document["credits"],
            refunded=document["refunded"],
            subject=document["subject"] or "",
            receipt=document["receipt"] or "",
            hold=document["hold"],
            on_own_risk=document["on_own_risk"],
        )


@contextlib.asynccontextmanager
async def served(address: str, servicer: CounterServicer, credentials: Credentials | None) -> AsyncIterator[str]:
    """Serve at ``unix:PATH`` (the owner alone may connect) or ``HOST:PORT`` until the block ends; where it answers.

    ``credentials`` are key, certificate and authority, PEM, for ``HOST:PORT``.  Raises Refused ``address_taken``.
    """
    server = grpc.aio.server(interceptors=[wire.ErrorInterceptor(logger)], options=wire.SERVER_OPTIONS)
    counter_pb2_grpc.add_CounterServicer_to_server(servicer, server)
    if credentials is None:
        path = Path(address.removeprefix(UNIX))
        wire.bind_unix(server, path)
        at = address
    else:
        port = wire.bind(server, address, wire.server_credentials(*credentials))
        at = f"{address.rpartition(':')[0]}:{port}"
    await server.start()
    watcher = asyncio.create_task(servicer.waiting.watch())
    try:
        yield at
    finally:
        watcher.cancel()
        await server.stop(ANSWER_SECONDS)


async def serve(
    node: Node,
    connect: Connect,
    address: str,
    offline_credits_max: int,
    credentials: Credentials | None,
    announce: Callable[[str], None],
) -> None:
    """Run the node, and its local service if ``address`` says where, until SIGTERM or SIGINT."""
    live = Live()
    if not address:
        await process_serve.serve(node, connect, live, lambda: announce(""))
        return
    servicer = CounterServicer(node, live, connect, offline_credits_max)
    async with served(address, servicer, credentials) as at:
        await process_serve.serve(node, connect, live, lambda: announce(at))


def _wish(request: counter_pb2.RedeemRequest) -> Wish:
    _check_op_id(request.op_id)
    owner, _, code = request.benefit.partition("/")
    usual = limits.RESERVED_SECONDS if request.reserve_only else limits.HOLD_SECONDS
    return Wish(
        op_key=request.op_id,
        subject=_identifier(request.subject),
        owner=owner,
        benefit=code,
        authorised_by=request.authorised_by,
        area=request.area,
        reserve_only=request.reserve_only,
        ttl_seconds=request.ttl_seconds or usual,
    )


def _check_op_id(op_id: bytes) -> None:
    if len(op_id) != 16:
        raise Malformed("op_id")


def _identifier(subject: counter_pb2.Subject) -> Identifier:
    try:
        scheme = Scheme(subject.scheme)
    except ValueError:
        raise Malformed("scheme", schemes=", ".join(Scheme)) from None
    return parse(scheme, subject.id, subject.registry)
