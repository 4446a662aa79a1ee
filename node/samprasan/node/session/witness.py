"""Witnessing over a connection: every few seconds the newest checkpoint is checked, kept and cosigned."""

import asyncio

from samprasan.edge.logs import get_logger
from samprasan.node.proof import witness
from samprasan.node.session import hello
from samprasan.node.session.session import Session

WITNESS_SECONDS = 3.0  # a checkpoint is final a round or two after it is signed
logger = get_logger("node")


async def run(session: Session) -> None:
    """Witness for ever; a hub with two histories ends the session."""
    node = session.node
    while True:
        more = False
        async with session.patiently("witnessing"):
            asked = await session.step(witness.question, node.db)
            await session.step(witness.count_question, node.db, asked)
            answer = await session.hub.witness(asked.request)
            if answer.checkpoint != asked.own:
                await hello.keep_up(session, answer.own_seq)  # who accepts a checkpoint can make again what it covers
            word = await session.step(witness.accept_answer, node, asked, answer)
            if word is not None:
                await session.hub.cosign(word)
            more = asked.is_full and await session.step(witness.question, node.db) != asked
            for agency in await session.step(witness.hidden_from_us, node.db, node.world.now()):
                logger.warning("log hidden", knows=agency)
        await asyncio.sleep(0 if more else WITNESS_SECONDS)
