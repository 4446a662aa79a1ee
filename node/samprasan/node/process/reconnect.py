"""Sessions with the hub, one after the other, however often it goes away.

A session says hello, then sends, links, reads mail and says hello again, until something cannot be asked; then another
is tried with full jitter and a short cap, so that a hub that returns is found within seconds.
"""

import asyncio

from samprasan.client.connection import Connect
from samprasan.edge.logs import get_logger
from samprasan.edge.throttle import Pauses
from samprasan.keys.errors import SamprasanError, Unavailable
from samprasan.node.identity import Node
from samprasan.node.session import tasks
from samprasan.node.session.live import Live
from samprasan.node.session.session import PATIENCE_SECONDS, Session
from tenacity import retry, retry_if_exception_type, wait_random_exponential

RETRY_SECONDS_MAX = 5.0
FAULT_SECONDS_MIN = 1.0  # of a pause after a fault of ours
CANCEL_AGAIN_SECONDS = 0.5
logger = get_logger("node")


async def run_until(
    node: Node, connect: Connect, stopped: asyncio.Event, live: Live | None = None, *, patient: bool = True
) -> None:
    """Keep a session going until ``stopped``, however often the hub goes away.

    A ``patient`` caller also waits for an operator to mend what is refused; else such an error is raised.
    """
    stopper = asyncio.create_task(stopped.wait())
    runner = asyncio.create_task(_keep_going(node, connect, live or Live(), patient=patient))
    try:
        await asyncio.wait({stopper, runner}, return_when=asyncio.FIRST_COMPLETED)
        if runner.done():
            runner.result()
    finally:
        stopper.cancel()
        while not runner.done():  # a session that fails at this very moment tells that instead, and is tried again
            runner.cancel()
            await asyncio.wait({runner}, timeout=CANCEL_AGAIN_SECONDS)
        await asyncio.gather(runner, return_exceptions=True)


async def _keep_going(node: Node, connect: Connect, live: Live, *, patient: bool) -> None:
    pauses = Pauses(FAULT_SECONDS_MIN, PATIENCE_SECONDS)
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await _hold_session(node, connect, live, patient=patient)
        except Unavailable:
            raise
        except SamprasanError as problem:
            logger.error("session refused", code=problem.code, error=type(problem).__name__)
            if not patient:
                raise
            await asyncio.sleep(PATIENCE_SECONDS)
        except Exception:  # a fault of ours: the service goes on, and says where
            if not patient:
                raise
            logger.error("session failed", exc_info=True)
            worked = asyncio.get_running_loop().time() - started
            await asyncio.sleep(pauses.after(worked))  # soon, since without a session no counter is served


@retry(
    retry=retry_if_exception_type(Unavailable),
    wait=wait_random_exponential(multiplier=0.2, max=RETRY_SECONDS_MAX),  # full jitter
)
async def _hold_session(node: Node, connect: Connect, live: Live, *, patient: bool) -> None:
    """One session; one that worked for a while returns, so that the next attempt comes without the long waits."""
    started = asyncio.get_running_loop().time()
    try:
        async with connect() as hub:
            await tasks.run(Session(node, hub, live, patient))
    except Unavailable as problem:
        logger.warning("session ended", code=problem.code)
        if asyncio.get_running_loop().time() - started < RETRY_SECONDS_MAX:
            raise
