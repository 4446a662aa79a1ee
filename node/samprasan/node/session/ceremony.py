"""Key ceremonies over a connection: letters go out, and what came of a ceremony is submitted."""

from samprasan.node.linking import ceremony, rotation
from samprasan.node.session import live, mail
from samprasan.node.session.session import Session


async def run(session: Session) -> None:
    """Go on with whatever ceremony is planned, and end rotations that everybody has moved in."""
    node = session.node
    submitted = b""
    ends: set[bytes] = set()
    while True:
        news = session.live.work.next()
        async with session.patiently("ceremony"):
            await session.step(ceremony.advance, node)
            for letter_id, letter in await session.step(ceremony.unposted_letters, node):
                if await mail.post_letter(session, letter):
                    await session.step(ceremony.mark_posted, node.db, letter_id)
            confirmed = await session.step(ceremony.confirmation, node)
            if confirmed is not None and confirmed.payload != submitted:
                await session.hub.submit_document(confirmed)
                submitted = confirmed.payload
            for last in await session.step(rotation.close_rotation, node):
                if last.payload not in ends:
                    await session.hub.submit_document(last)
                    ends.add(last.payload)
        await live.wait_for_news(news)
