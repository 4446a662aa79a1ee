"""``samprasan.v1.Changes``: gRPC methods of a few lines each around the reading steps; the caller is an integrator."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from samprasan.edge.throttle import Allowance
from samprasan.hub import limits
from samprasan.hub.integrators import handle_token, snapshot
from samprasan.hub.integrators import reader as integrators_reader
from samprasan.hub.integrators.approval import Approved
from samprasan.hub.integrators.reader import Reader
from samprasan.hub.process import callers
from samprasan.hub.process.running import Running
from samprasan.keys.errors import Unavailable
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc

BOOKMARK_SECONDS = 4.0  # integrators are promised one at least every 5
Lookup = Callable[[Running, Any], Awaitable[Approved]]  # the integrator that calls


class ChangesServicer(changes_pb2_grpc.ChangesServicer):
    """The methods of ``samprasan.v1.Changes``."""

    def __init__(self, running: Running, integrator: Lookup = callers.integrator_of) -> None:
        self._running = running
        self._integrator = integrator
        self._snapshots = asyncio.Semaphore(limits.SNAPSHOTS_AT_ONCE)
        self._snapshotting: set[str] = set()
        self._begun: dict[str, Allowance] = {}
        self._acknowledged: dict[str, Allowance] = {}

    def Snapshot(self, request: v1.SnapshotRequest, context: Any) -> Any:
        """See :mod:`samprasan.hub.integrators.snapshot`.  It writes its answer: time runs while nobody reads."""
        return self._write_snapshot(request, context)

    async def _write_snapshot(self, request: v1.SnapshotRequest, context: Any) -> None:
        name = (await self._integrator(self._running, context)).document.name
        if name in self._snapshotting:
            raise Unavailable("snapshot_running", name=name)
        self._snapshotting.add(name)
        try:
            async with asyncio.timeout(limits.SNAPSHOT_SECONDS_MAX), self._snapshots:
                await self._write_parts(name, request, context)
        except TimeoutError as problem:
            raise Unavailable("snapshot_late", seconds=limits.SNAPSHOT_SECONDS_MAX) from problem
        finally:
            self._snapshotting.discard(name)

    async def _write_parts(self, name: str, request: v1.SnapshotRequest, context: Any) -> None:
        running = self._running
        approved = await running.write(snapshot.begin_snapshot, running.hub, name, request)
        db = running.hub.db
        sights, cursor = await running.read(snapshot.read_snapshot, db, running.showing.secret, approved, request)
        left = len(sights)
        try:
            for some in snapshot.portions(sights):
                if await callers.current_approval(running, name) != approved:
                    raise Unavailable("approval_changed", name=name)
                part = await running.read(snapshot.response_of, db, some)
                left -= len(some)
                part.cursor = b"" if left else cursor
                async with asyncio.timeout(limits.SNAPSHOT_PART_SECONDS_MAX):
                    await context.write(part)
        except TimeoutError as problem:
            raise Unavailable("snapshot_slow", seconds=limits.SNAPSHOT_PART_SECONDS_MAX) from problem
        finally:
            sights.clear()  # the error of a call whose caller does not read stays around until he goes

    async def Follow(self, request: v1.FollowRequest, context: Any) -> AsyncIterator[Any]:
        """See :mod:`samprasan.hub.integrators.reader`; what is sent is encoded there."""
        running = self._running
        approved = await self._integrator(running, context)
        with self._stream_of(approved):
            found = await running.read(
                integrators_reader.begin_reading, running.hub.db, running.showing.secret, approved, request
            )
            if isinstance(found, v1.TooOld):
                yield v1.FollowResponse(too_old=found)
                return
            async for word in self._followed(found):
                yield word

    async def Acknowledge(self, request: v1.AcknowledgeRequest, context: Any) -> v1.AcknowledgeResponse:
        """See :func:`samprasan.hub.integrators.reader.acknowledge`."""
        running = self._running
        document = (await self._integrator(running, context)).document
        name, most = document.name, document.quotas.streams
        allowance = self._acknowledged.setdefault(name, Allowance(2 * most, most / limits.ACKNOWLEDGE_SECONDS))
        if not allowance.admit(time.monotonic()):
            raise Unavailable("acknowledge_slowly", name=name)
        await running.write(integrators_reader.acknowledge, running.hub, running.showing.secret, name, request)
        return v1.AcknowledgeResponse()

    async def Resolve(self, request: v1.ResolveRequest, context: Any) -> v1.ResolveResponse:
        """See :func:`samprasan.hub.integrators.handle_token.resolve`."""
        running = self._running
        approved = await self._integrator(running, context)
        handle = await running.read(handle_token.resolve, running.hub, running.showing.secret, approved, request.token)
        return v1.ResolveResponse(handle=handle)

    async def _followed(self, reader: Reader) -> AsyncIterator[bytes]:
        """Pages as they come, a bookmark when all is told and every few seconds, a last word when the stream ends.

        A reader that is told of another approval (another scope, other handles) has to begin anew.
        """
        running, name = self._running, reader.approved.document.name
        told_at, was_behind = time.monotonic(), True
        while not running.draining and await callers.current_approval(running, name) == reader.approved:
            bell, read_at = running.changed, time.monotonic()
            news = running.recent_changes.since(reader)
            if news is None:
                news = await running.read(integrators_reader.read_changes, running.hub.db, reader.place.log_index)
            for word in reader.pages(news):
                yield word
                if reader.is_lost:
                    return
                if time.monotonic() - read_at > limits.STALE_SECONDS:
                    break
            is_behind = reader.place.log_index < running.recent_changes.size
            if time.monotonic() - told_at >= BOOKMARK_SECONDS or (was_behind and not is_behind):
                yield reader.bookmark(running.hub.world, running.recent_changes.checkpoint)
                told_at, was_behind = time.monotonic(), False
            if not is_behind:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, told_at + BOOKMARK_SECONDS - time.monotonic())):
                        await bell.wait()
        yield v1.FollowResponse(draining=v1.Draining()).SerializeToString()

    @contextmanager
    def _stream_of(self, approved: Approved) -> Iterator[None]:
        """Count the integrator's streams, and how fast it begins them."""
        running, name, most = self._running, approved.document.name, approved.document.quotas.streams
        allowance = self._begun.setdefault(name, Allowance(2 * most, most / limits.STREAMS_BEGIN_AGAIN_SECONDS))
        if not allowance.admit(time.monotonic()):
            raise Unavailable("reconnect_slowly", name=name)
        if running.following[name] >= most:
            raise Unavailable("follow_over_limit", name=name, most=most)  # perhaps one whose end is not noticed yet
        running.following[name] += 1
        try:
            yield
        finally:
            running.following[name] -= 1
