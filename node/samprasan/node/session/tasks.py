"""A session: hello first, then every task at once, until the hub cannot be asked or the operator has to look."""

import asyncio
from collections.abc import Mapping

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
    work = {
        "hello": hello.repeat(session),
        "push": push.run(session, after_seq),
        "ceremony": ceremony.run(session),
        "linking": linking.run(session),
        "mail": mail.run(session),
        "witnessing": witness.run(session),
        "reconciling": _reconcile(session),
    }
    tasks = [asyncio.create_task(each, name=name) for name, each in work.items()]
    try:
        # Not a TaskGroup: it loses a cancellation that comes together with a failure, and its groups need except*,
        # which wraps what is raised inside it before Python 3.11.4.
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        session.is_over = True
        for each in tasks:
            each.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:  # whoever waits at a counter is told, even if this is cancelled once more
            session.live.connected = False
            session.live.wake_all()
    raise worst({each.get_name(): each.exception() for each in tasks if not each.cancelled()})


async def _reconcile(session: Session) -> None:
    await asyncio.sleep(RECONCILE_FIRST_SECONDS)
    from samprasan.node.session import reconciliation  # what it counts with takes a while to load

    await reconciliation.run(session)


def worst(ended: Mapping[str, BaseException | None]) -> BaseException:
    """Why a session ended, given what its tasks raised: what needs an operator comes before what passes.

    A fault of ours beside one of the four errors is logged with its place, and does not hide that error.
    """
    known = [each for each in ended.values() if isinstance(each, SamprasanError)]
    ours = {task: each for task, each in ended.items() if each is not None and not isinstance(each, SamprasanError)}
    if not known:
        return next(iter(ours.values()), Unavailable("hub_unreachable", status="session ended"))
    for task, each in ours.items():
        logger.error("task failed", task=task, exc_info=each)
    return min(known, key=lambda each: isinstance(each, Unavailable))
