"""Hello over a connection: on connecting, once a minute, and after whatever the answer asks for.

A hub that lost entries is fed again, and this node keeps up with the hub's own chain before it does anything else.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from samprasan.edge.logs import get_logger
from samprasan.keys.errors import Refused, Unavailable, Unproven
from samprasan.node import limits
from samprasan.node.counter import redemption
from samprasan.node.documents import accepted
from samprasan.node.identity import Node
from samprasan.node.linking import allowance, linking_use, rotation
from samprasan.node.recovery import refeed
from samprasan.node.session import documents
from samprasan.node.session.session import Session
from samprasan.node.sync import halt, hub_chain, leaving
from samprasan.node.sync import hello as hello_step
from samprasan.node.sync.hello import Hello
from samprasan.v1 import hub_pb2

HELLO_SECONDS = 60.0
ROTATION_HELLO_SECONDS = 10.0  # the hub says how many have moved to the next linking key
logger = get_logger("node")


async def repeat(session: Session) -> None:
    """Say hello again, every minute and more often while the linking key rotates."""
    waited = 0.0
    while True:
        await asyncio.sleep(ROTATION_HELLO_SECONDS)
        waited += ROTATION_HELLO_SECONDS
        if waited >= HELLO_SECONDS or await session.step(rotation.is_running, session.node.db):
            await say_hello(session)
            waited = 0.0


async def say_hello(session: Session) -> int:
    """Say hello and do what the answer asks for; the batch behind which to send."""
    node = session.node
    said, answer = await greet(session)
    after_seq = await session.step(hello_step.accept_answer, node, said, answer)
    if await session.step(accepted.has_roster, node.db):
        await keep_up(session, answer.own_head.seq)
    if abs(answer.now - node.world.now()) > limits.CLOCK_OFF_MS_MAX:
        logger.error("clock is off", seconds=round((answer.now - node.world.now()) / 1000))
    await session.step(redemption.expire, node.db, node.world.now())
    await session.step(leaving.forget_rested, node)
    for each in await session.step(allowance.warnings, node.db, node.identity.agency, node.world.now()):
        logger.warning("limit is near", **each)
    await _warn_of_probing(session)
    return after_seq


async def _warn_of_probing(session: Session) -> None:
    """Say once of each agency, and again when there are more, what the hub's chain tells, and what the hub says."""
    for use in await session.step(_linking_use, session.node):
        said = use["hub"] or {"probing": False, "unused": 0}
        evidence = (use["unopened"] if use["probing"] else 0, said["unused"] if said["probing"] else 0)
        if any(evidence) and session.told.get(use["agency"]) != evidence:
            session.told[use["agency"]] = evidence
            logger.warning(
                "ids evaluated without use", agency=use["agency"], unopened=evidence[0], unused_says_hub=evidence[1]
            )


def _linking_use(node: Node) -> list[dict[str, Any]]:
    with node.db.read() as tx:
        return linking_use.linking_use(tx, node.world.now())


async def greet(session: Session) -> tuple[Hello, hub_pb2.HelloResponse]:
    """Hello, once this node knows of every cut and the hub is given back what it lacks; raises as :func:`feed_hub`."""
    node = session.node
    said = await session.step(hello_step.compose_hello, node)
    answer = await session.hub.hello(said.request)
    if answer.cut_version > said.request.cut_version:
        await session.step(halt.check_not_forked, node.db)
        await documents.fetch_documents(session)
        said = await session.step(hello_step.compose_hello, node)
        answer = await session.hub.hello(said.request)
    if await feed_hub(session, answer):
        answer = await session.hub.hello(said.request)
    return said, answer


async def feed_hub(session: Session, answer: hub_pb2.HelloResponse) -> bool:
    """Give the hub back what it lacks; whether it lacked something.

    Raises Unavailable ``hub_recovering`` as long as it takes nothing new.
    """
    node = session.node
    if answer.refeed:
        seqs = (answer.head.seq, answer.own_head.seq)
        taken = await session.hub.refeed(refeed.everything(node, *seqs, answer.damaged))
        logger.warning("hub fed again", entries=taken)
    elif answer.damaged and (entries := await session.step(_entries_held, node, answer.damaged)):
        with contextlib.suppress(Refused):  # another agency was faster
            logger.warning("log mended", entries=await session.hub.refeed(entries))
        return True
    if answer.recovering:
        raise Unavailable("hub_recovering")
    return False


async def keep_up(session: Session, own_seq: int) -> None:
    """Recall the hub's own chain as far as it goes.  Raises Unproven ``hub_chain_fork``."""
    node = session.node
    while (kept := await session.step(hub_chain.kept_up_to, node.db)) < own_seq:
        some: list[hub_pb2.LogEntry] = []
        async for entry in session.hub.recall(hub_pb2.RecallRequest(own=True, after_seq=kept)):
            some.append(entry)
            if len(some) == limits.BATCHES_READ_AT_ONCE:
                await documents.keep_entries(session, some)
                some = []
        await documents.keep_entries(session, some)
        if await session.step(hub_chain.kept_up_to, node.db) == kept:
            raise Unproven("hub_chain_fork", seq=kept + 1)  # it says that there is more, and shows none


def _entries_held(node: Node, damaged: Sequence[int]) -> list[hub_pb2.RefeedRequest]:
    return list(refeed.mending(node.db, damaged[: limits.MENDED_AT_ONCE]))
