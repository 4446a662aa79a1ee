"""Linking over a connection: questions to peers go out, and the hub opens accounts for their answers."""

from samprasan.keys.errors import Refused
from samprasan.node.linking import accounts, questions, rotation
from samprasan.node.session import live, mail
from samprasan.node.session.session import Session


async def run(session: Session) -> None:
    """Ask about the subjects that want an account, and have their accounts opened."""
    node = session.node
    while True:
        news = session.live.work.next()
        async with session.patiently("linking"):
            await session.step(questions.ask_peers, node)
            for request_id, letter in await session.step(questions.unposted_letters, node):
                if await mail.post_letter(session, letter):
                    await session.step(questions.mark_posted, node.db, request_id)
            await _open_accounts(session)
        await live.wait_for_news(news)


async def _open_accounts(session: Session) -> None:
    node = session.node
    while request := await session.step(accounts.accounts_request, node):
        try:
            opened = await session.hub.open_accounts(request)
        except Refused as problem:
            if problem.code != "not_covered":
                raise
            await session.step(accounts.forget_keys, node, request)
            return
        await session.step(accounts.accept_accounts, node, request, opened)
        session.live.wake_all()
    while keys := await session.step(rotation.rekey_request, node):
        moved = await session.hub.rekey(keys)
        await session.step(rotation.accept_rekeyed, node, keys, moved)
