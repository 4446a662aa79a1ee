"""``samprasan-hub publish``: one more reader, which puts what an integrator may see into a NATS JetStream stream.

It goes on from the cursor of the stream's own last message: what is in the stream is what was told.  It begins with a
snapshot where there is no such message any more, or its cursor is too old.  What the stream has is acknowledged at the
hub, so that the operator sees how far it is behind.
"""

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Concatenate, ParamSpec, TypeVar

from samprasan.edge.logs import get_logger
from samprasan.edge.throttle import Pauses
from samprasan.hub import limits
from samprasan.hub.identity import Hub
from samprasan.hub.integrators import approval, jetstream, snapshot
from samprasan.hub.integrators import reader as integrators_reader
from samprasan.hub.integrators.approval import Approved
from samprasan.hub.integrators.cloudevents import Format, Writer, source_of
from samprasan.hub.integrators.jetstream import Stream, Target
from samprasan.hub.integrators.reader import Reader
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unavailable
from samprasan.ledger import events
from samprasan.v1 import changes_pb2 as v1
from tenacity import retry, retry_if_exception_type, wait_random_exponential

P = ParamSpec("P")
T = TypeVar("T")
logger = get_logger("publish")
POLL_SECONDS = 0.25  # how often the log is looked at
ACKNOWLEDGE_SECONDS = 10.0  # how often its place is kept at the hub
RETRY_SECONDS_MAX = 30.0
FAULT_SECONDS_MIN, FAULT_SECONDS_MAX = 5.0, 3600.0
CANCEL_SECONDS = 0.5
_TAG_BYTES = 8


@dataclass(frozen=True, slots=True)
class Order:
    """Who is told what of it, and how: ``subscription`` is whose place the operator sees."""

    integrator: str
    subscription: str
    wanted: v1.Filter
    format: Format
    start_over: bool


@dataclass(frozen=True, slots=True)
class Publisher:
    """A hub's log, and where what an integrator sees of it goes."""

    hub: Hub
    secret: bytes
    target: Target
    order: Order
    announce: Callable[[dict[str, Any]], None]

    async def run(self) -> None:
        """For ever; a broken line is tried again.  Raises Malformed, Unproven or Refused.

        A fault of ours is logged with its place, and tried again later and later: each try may take a snapshot.
        """
        pauses = Pauses(FAULT_SECONDS_MIN, FAULT_SECONDS_MAX)
        while True:
            started = time.monotonic()
            try:
                await self._hold_line()
            except SamprasanError:
                raise
            except Exception:
                logger.error("publishing failed", exc_info=True)
                await asyncio.sleep(pauses.after(time.monotonic() - started))

    @retry(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_random_exponential(multiplier=0.5, max=RETRY_SECONDS_MAX),  # full jitter
    )
    async def _hold_line(self) -> None:
        """As long as a line holds; one that held for a while returns, so that the next comes without the long waits."""
        started = time.monotonic()
        try:
            await self._follow(b"")  # what cannot be asked for makes no stream
            async with jetstream.open_stream(self.target) as stream:
                self.announce({"stream": self.target.stream, "subjects": f"{self.target.prefix}.>"})
                while True:
                    await self._tell(stream)
        except Unavailable as problem:
            logger.warning("publishing interrupted", code=problem.code, **problem.values)
            if time.monotonic() - started < RETRY_SECONDS_MAX:
                raise

    async def _tell(self, stream: Stream) -> None:
        """Go on where the stream ends, until what the integrator may see is changed."""
        reader = await self._reader(await stream.last_cursor())
        if reader is None:
            await self._tell_snapshot(stream)
            return
        writer = self._writer(reader.approved)
        acknowledged_at = 0.0
        while True:
            read_at = time.monotonic()
            news = await asyncio.to_thread(integrators_reader.read_changes, self.hub.db, reader.place.log_index)
            for word in reader.pages(news):
                if reader.is_lost:
                    return
                told = v1.FollowResponse.FromString(word).page.events
                await stream.publish([writer.change(event) for event in told])
                if time.monotonic() - read_at > limits.STALE_SECONDS:
                    break
            if await self._in_thread(approval.current_approval, self.order.integrator) != reader.approved:
                return
            if time.monotonic() - acknowledged_at >= ACKNOWLEDGE_SECONDS:
                await asyncio.to_thread(self._acknowledge, reader)
                acknowledged_at = time.monotonic()
            if not news.entries:
                stream.check()
                await asyncio.sleep(POLL_SECONDS)

    async def _reader(self, after: bytes) -> Reader | None:
        """A reader behind what the stream has; None if it has to begin with a snapshot."""
        if not after:
            return None  # nothing is there, or a snapshot that was not finished
        try:
            found = await self._follow(after)
        except Malformed as problem:
            if problem.code != "cursor":
                raise
            raise Refused("stream_foreign", stream=self.target.stream) from problem
        if isinstance(found, Reader):
            return found
        if not self.order.start_over:
            raise events.refusal(found)
        return None

    async def _follow(self, after: bytes) -> Reader | v1.TooOld:
        approved = await self._in_thread(approval.current_approval, self.order.integrator)
        asked = v1.FollowRequest(subscription=self.order.subscription, after=after, filter=self.order.wanted)
        return await asyncio.to_thread(integrators_reader.begin_reading, self.hub.db, self.secret, approved, asked)

    async def _tell_snapshot(self, stream: Stream) -> None:
        """A reset comes first, so that a server that takes nothing uses up no snapshot."""
        asked = v1.SnapshotRequest(subscription=self.order.subscription, filter=self.order.wanted)
        approved = await self._in_thread(approval.current_approval, self.order.integrator)
        writer, tag = self._writer(approved), self.hub.world.random_bytes(_TAG_BYTES).hex()
        await stream.publish([writer.reset(tag)])
        if await self._in_thread(snapshot.begin_snapshot, self.order.integrator, asked) != approved:
            return  # it is reset once more, under other names
        found, cursor = await asyncio.to_thread(snapshot.read_snapshot, self.hub.db, self.secret, approved, asked)
        messages = writer.snapshot_messages(snapshot.still_shown(self.hub.db, found), tag, cursor)
        while some := list(islice(messages, jetstream.AHEAD_MAX)):
            await stream.publish(some)
            if await self._in_thread(approval.current_approval, self.order.integrator) != approved:
                return

    def _writer(self, approved: Approved) -> Writer:
        source = source_of(approved.document.federation_id, self.order.integrator)
        return Writer(self.target.prefix, source, self.order.format)

    def _acknowledge(self, reader: Reader) -> None:
        (cursor,) = reader.cursors.sealed([reader.place])
        told = v1.AcknowledgeRequest(subscription=self.order.subscription, cursor=cursor)
        integrators_reader.acknowledge(self.hub, self.secret, self.order.integrator, told)

    async def _in_thread(self, step: Callable[Concatenate[Hub, P], T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.to_thread(step, self.hub, *arguments, **named)


async def publish(publisher: Publisher) -> None:
    """Publish until SIGTERM or SIGINT: what is on its way then comes in or not, and the next start sees which."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    publishing, stopping = asyncio.ensure_future(publisher.run()), asyncio.ensure_future(stopped.wait())
    await asyncio.wait({publishing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    while not publishing.done():
        publishing.cancel()  # the library may swallow one
        await asyncio.wait({publishing}, timeout=CANCEL_SECONDS)
    if not publishing.cancelled():
        publishing.result()
