"""Key ceremonies over a connection: letters go out, and what came of a ceremony is submitted."""

import asyncio

from samprasan.edge.logs import get_logger
from samprasan.keys.errors import Malformed, Refused
from samprasan.node.linking import ceremony, rotation
from samprasan.node.linking.letters import Letter
from samprasan.node.session import live, mail
from samprasan.node.session.session import PATIENCE_SECONDS, Session
from samprasan.v1.envelope_pb2 import Envelope

AGAIN_SECONDS = 3600.0  # what the hub has dropped meanwhile, or lost, it gets once more
logger = get_logger("node")


async def run(session: Session) -> None:
    """Go on with whatever ceremony is planned, and end rotations that everybody has moved in."""
    node = session.node
    submitted: dict[bytes, float] = {}  # when it is sent again
    while True:
        news = session.live.work.next()
        async with session.patiently("ceremony"):
            await session.step(ceremony.advance, node)
            for letter_id, letter in await session.step(ceremony.unposted_letters, node):
                if await _is_dealt_with(session, letter):
                    await session.step(ceremony.mark_posted, node.db, letter_id)
            confirmed = await session.step(ceremony.confirmation, node)
            now = asyncio.get_running_loop().time()
            submitted = {payload: again for payload, again in submitted.items() if again > now}
            for each in [*([confirmed] if confirmed else []), *await session.step(rotation.close_rotation, node)]:
                if each.payload not in submitted:
                    submitted[each.payload] = now + await _submit(session, each)
        await live.wait_for_news(news)


async def _is_dealt_with(session: Session, letter: Letter) -> bool:
    """Whether the letter is posted, or never can be: the others behind it are not to wait for it."""
    try:
        return await mail.post_letter(session, letter)
    except (Malformed, Refused) as problem:
        logger.error("letter given up", reader=letter.to, code=problem.code)
        return True


async def _submit(session: Session, document: Envelope) -> float:
    """Submit it, and for how many seconds that is enough."""
    try:
        await session.hub.submit_document(document)
    except Refused as problem:  # it came too late, or somebody stays behind: the next one may be taken
        logger.warning("document not taken", code=problem.code)
        return PATIENCE_SECONDS
    return AGAIN_SECONDS
