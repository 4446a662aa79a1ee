"""Batches go out, receipts come in: each is taken before the next batch has room."""

import asyncio
from collections.abc import AsyncIterator

from samprasan.edge.logs import get_logger
from samprasan.keys.errors import Unavailable, Unproven
from samprasan.node import limits
from samprasan.node.session import documents, hello, live
from samprasan.node.session.session import Session
from samprasan.node.sync import batches, halt, hub_chain, receipts
from samprasan.v1 import hub_pb2

_HALTING = frozenset({"chain_fork", "node_went_back", "hub_went_back", "receipt_foreign", "receipt_disordered"})
logger = get_logger("node")


async def run(session: Session, after_seq: int) -> None:
    """Send the batches behind ``after_seq`` for ever.  Halts, and raises Unproven, if the hub's answer does not fit."""
    node = session.node
    room = asyncio.Semaphore(limits.BATCHES_IN_FLIGHT_MAX)
    try:
        async for response in session.hub.push(_seal_batches(session, after_seq, room)):
            if response.HasField("refusal"):
                refusal = await session.step(receipts.accept_refusal, node, response.refusal)
                logger.error("batch refused", seq=refusal.seq, reason=refusal.reason)
                raise Unproven("batch_refused", seq=refusal.seq)
            await documents.keep_entries(session, response.own)
            await hello.keep_up(session, response.own_seq)
            await session.step(receipts.settle, node, response.receipt)
            room.release()
            session.live.sending.ring()
    except Unproven as problem:
        if problem.code in _HALTING:
            await session.step(halt.halt_sending, node.db, problem)
        raise
    raise Unavailable("hub_unreachable", status="stream ended")


async def _seal_batches(
    session: Session, after_seq: int, room: asyncio.Semaphore
) -> AsyncIterator[hub_pb2.PushRequest]:
    node = session.node
    while True:
        await room.acquire()
        found = None
        while found is None:
            news = session.live.sending.next()
            async with session.quiet:
                if session.is_over:  # the call reads on for a while: what is sealed now would be told to have left
                    return
                found = await session.step(batches.seal_next_batch, node, after_seq)
            if found is None:
                await live.wait_for_news(news)
        after_seq, envelope = found
        kept = await session.step(hub_chain.kept_up_to, node.db)
        yield hub_pb2.PushRequest(batch=envelope, own_seq=kept)
