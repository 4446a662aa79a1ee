"""The node as a process: serve until it is stopped, or run a session until something is done.

Sessions and their tasks are asyncio's; the steps they call run in threads.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from samprasan.client.connection import Connect, Hub
from samprasan.edge.logs import get_logger
from samprasan.node.documents import accepted
from samprasan.node.identity import Node
from samprasan.node.process import reconnect
from samprasan.node.recovery import replay
from samprasan.node.recovery.replay import Recovered
from samprasan.node.session import hello, tasks
from samprasan.node.session.live import LOOK_SECONDS, Live
from samprasan.node.session.session import Session
from samprasan.node.sync import halt
from samprasan.v1 import hub_pb2

if TYPE_CHECKING:
    from samprasan.node.proof.reconciliation import Outcome
    from samprasan.node.proof.repair import Repair

T = TypeVar("T")
logger = get_logger("node")


async def serve(node: Node, connect: Connect, live: Live, announce: Callable[[], None]) -> None:
    """Run until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    announce()
    await reconnect.run_until(node, connect, stopped, live)


async def drain(node: Node, connect: Connect, wait_seconds: float, is_done: Callable[[], bool]) -> bool:
    """Run until ``is_done`` says so, the node halts, or the time is over; whether it was done.

    Raises what the hub refuses; a hub that cannot be reached is only waited for.
    """
    stopped = asyncio.Event()

    async def look() -> None:
        while not await asyncio.to_thread(is_done) and not await asyncio.to_thread(halt.halt_reason, node.db):
            await asyncio.sleep(LOOK_SECONDS / 5)
        stopped.set()

    looker = asyncio.create_task(look())
    try:
        async with asyncio.timeout(wait_seconds):
            await reconnect.run_until(node, connect, stopped, patient=False)
    except TimeoutError:
        pass
    finally:
        looker.cancel()
    return await asyncio.to_thread(is_done)


async def settle(node: Node, connect: Connect, wait_seconds: float, is_done: Callable[[], bool]) -> bool:
    """Run one session until ``is_done`` says so or the time is over; whether it was done.

    Raises Unavailable at once if the hub cannot be reached, since somebody waits at a counter.
    """
    async with connect() as hub:
        session = asyncio.create_task(tasks.run(Session(node, hub, Live(), patient=False)))
        try:
            async with asyncio.timeout(wait_seconds):
                while not session.done() and not await asyncio.to_thread(is_done):
                    await asyncio.wait({session}, timeout=LOOK_SECONDS / 20)
        except TimeoutError:
            pass
        finally:
            ended = session.done()
            session.cancel()
            found = (await asyncio.gather(session, return_exceptions=True))[0]
    if await asyncio.to_thread(is_done):
        return True
    if ended and isinstance(found, Exception):
        raise found
    return False


async def compare(node: Node, hub: Hub, *, repair: bool) -> "tuple[Outcome, list[Repair]]":
    """Compare records and totals and note what was found; asked to, put right what is wrong here and compare again."""
    from samprasan.node.proof import reconciliation
    from samprasan.node.proof import repair as proof_repair
    from samprasan.node.session.reconciliation import reconcile  # what they count with takes a while to load

    if repair:
        await hello.say_hello(Session(node, hub, Live()))  # the hub is given back what it lacks of the log
    outcome = await reconcile(node.db, node.identity.agency, hub)
    done: list[Repair] = []
    if repair and outcome.differences:
        done = await asyncio.to_thread(proof_repair.repair, node.db, outcome.differences, outcome.head.seq)
        for each in done:
            logger.warning("repaired", what=each.what, account=each.account_id.hex())
        outcome = await reconcile(node.db, node.identity.agency, hub)
    await asyncio.to_thread(reconciliation.record_outcome, node.db, node.world.now(), outcome)
    return outcome, done


async def recover(node: Node, hub: Hub) -> Recovered:
    """Take back the node's own chain as far as the log has it.  Raises Unavailable ``hub_recovering``."""
    session = Session(node, hub, Live())
    _, answer = await hello.greet(session)
    listing = await hub.list_documents()
    await asyncio.to_thread(accepted.accept_listing, node, listing)
    await hello.keep_up(session, answer.own_head.seq)  # it says under which linking key the subjects are known now
    batches = given_up = 0
    after_seq = await asyncio.to_thread(replay.common_seq, node.db)
    async for entry in hub.recall(hub_pb2.RecallRequest(after_seq=after_seq)):
        step = await asyncio.to_thread(replay.take_back, node, [entry])
        batches, given_up = batches + step[0], given_up + step[1]
    orphans, unnamed = await asyncio.to_thread(replay.finish_recovery, node)
    return Recovered(batches, given_up, orphans, unnamed)


async def ask(connect: Connect, question: Callable[[Hub], Awaitable[T]]) -> T:
    """One question over a connection of its own."""
    async with connect() as hub:
        return await question(hub)
