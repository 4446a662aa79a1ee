"""Key ceremonies over a connection: letters go out, and what came of a ceremony is submitted."""

import asyncio

from samprasan.node.linking import ceremony, rotation
from samprasan.node.session import live, mail
from samprasan.node.session.session import Session

AGAIN_SECONDS = 3600.0  # what the hub has dropped meanwhile, or lost, it gets once more


async def run(session: Session) -> None:
    """Go on with whatever ceremony is planned, and end rotations that everybody has moved in."""
    node = session.node
    submitted: dict[bytes, float] = {}
    while True:
        news = session.live.work.next()
        async with session.patiently("ceremony"):
            await session.step(ceremony.advance, node)
            for letter_id, letter in await session.step(ceremony.unposted_letters, node):
                if await mail.post_letter(session, letter):
                    await session.step(ceremony.mark_posted, node.db, letter_id)
            confirmed = await session.step(ceremony.confirmation, node)
            for each in [*([confirmed] if confirmed else []), *await session.step(rotation.close_rotation, node)]:
                now = asyncio.get_running_loop().time()
                if now - submitted.get(each.payload, -AGAIN_SECONDS) >= AGAIN_SECONDS:
                    await session.hub.submit_document(each)
                    submitted[each.payload] = now
        await live.wait_for_news(news)
