"""A session: hello first, then every task at once, until the hub cannot be asked or the operator has to look."""

import asyncio

from samprasan.edge.logs import get_logger
from samprasan.keys.errors import SamprasanError, Unavailable
from samprasan.node.session import ceremony, hello, linking, mail, push, witness
from samprasan.node.session.session import Session

RECONCILE_FIRST_SECONDS = 300.0  # what a session begins with settles first
logger = get_logger("node")


async def run(session: Session) -> None:
    """Run until one of the tasks ends the session; raise why, the worst first."""
    after_seq = await hello.say_hello(session)
    session.live.connected = True
    tasks = [
        asyncio.create_task(each)
        for each in (
            hello.repeat(session),
            push.run(session, after_seq),
            ceremony.run(session),
            linking.run(session),
            mail.run(session),
            witness.run(session),
            _reconcile(session),
        )
    ]
    try:
        # Not a TaskGroup: it loses a cancellation that comes together with a failure, and its groups need except*,
        # which wraps what is raised inside it before Python 3.11.4.
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in tasks:
            each.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        session.live.connected = False
        session.live.wake_all()
    raise worst([each for each in ended if isinstance(each, Exception)])


async def _reconcile(session: Session) -> None:
    await asyncio.sleep(RECONCILE_FIRST_SECONDS)
    from samprasan.node.session import reconciliation  # what it counts with takes a while to load

    await reconciliation.run(session)


def worst(failures: list[Exception]) -> Exception:
    """Why a session ended: what needs an operator comes before what passes.

    A fault of ours beside one of the four errors is logged with its place, and does not hide that error.
    """
    ours = [each for each in failures if not isinstance(each, SamprasanError)]
    known = [each for each in failures if isinstance(each, SamprasanError)]
    if not known:
        return ours[0] if ours else Unavailable("hub_unreachable", status="session ended")
    for each in ours:
        logger.error("task failed", exc_info=each)
    return min(known, key=lambda each: isinstance(each, Unavailable))
