"""The servicer of streams, over a socket: who does not read what it asked for keeps nobody waiting for long."""

import asyncio
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import grpc
import pytest
from samprasan.edge import wire
from samprasan.edge.logs import get_logger
from samprasan.edge.throttle import Allowance
from samprasan.hub import limits
from samprasan.hub.integrators import approval, snapshot
from samprasan.hub.integrators.approval import Approved
from samprasan.hub.process import callers, changes_service
from samprasan.hub.process.changes_service import ChangesServicer
from samprasan.hub.process.running import Running, Showing
from samprasan.keys.errors import Unavailable, Unproven
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc
from samprasan.v1 import log_pb2 as log

from tests import reading
from tests.federation import Federation
from tests.working import Working

EVENT = snapshot.Sight(v1.Event(agency="a" * 2_000).SerializeToString(), b"")
EVENTS = 8_000  # 16 MB: more than any buffer on the way takes


async def by_name(_running: Any, context: Any) -> Any:
    name = dict(context.invocation_metadata())["name"]
    return SimpleNamespace(document=SimpleNamespace(name=name))


async def welfare_app(running: Running, _context: Any) -> Approved:
    return approval.current_approval(running.hub, "welfare-app")


async def served(running: Any, listens_at: str, integrator: Any = by_name) -> grpc.aio.Server:
    """Changes alone, over a Unix socket."""
    server = grpc.aio.server(interceptors=[wire.ErrorInterceptor(get_logger("hub"))], options=wire.SERVER_OPTIONS)
    changes_pb2_grpc.add_ChangesServicer_to_server(ChangesServicer(running, integrator), server)
    server.add_insecure_port(listens_at)
    await server.start()
    return server


def of_many_subjects(made: list[list[snapshot.Sight]]) -> Any:
    """A hub of nothing but snapshots, which all have many events; ``made`` are those that were."""

    async def write(*_: Any) -> None:
        return None

    async def read(step: Any, *given: Any) -> Any:
        if step is snapshot.response_of:
            return v1.SnapshotResponse(events=[v1.Event.FromString(each.event) for each in given[1]])
        if step is not snapshot.read_snapshot:
            return None
        made.append([EVENT] * EVENTS)
        return made[-1], b"c" * 16

    hub = SimpleNamespace(db=None, world=None)
    return SimpleNamespace(write=write, read=read, hub=hub, showing=SimpleNamespace(secret=b""), approvals={})


async def ends_with(call: Any) -> grpc.StatusCode:
    """The status of a stream of which the rest is read."""
    with suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            pass
    code: grpc.StatusCode = await call.code()
    return code


def test_a_snapshot_that_is_not_read_ends_and_lets_others_have_theirs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(limits, "SNAPSHOT_PART_SECONDS_MAX", 1.0)
    made: list[list[snapshot.Sight]] = []

    async def run() -> tuple[int, list[grpc.StatusCode]]:
        listens_at = f"unix:{tmp_path}/hub.sock"
        server = await served(of_many_subjects(made), listens_at)
        async with grpc.aio.insecure_channel(listens_at) as idle, grpc.aio.insecure_channel(listens_at) as busy:
            stubs: list[Any] = [changes_pb2_grpc.ChangesStub(each) for each in (idle, busy)]

            def begun(stub: Any, name: str) -> Any:
                return stub.Snapshot(v1.SnapshotRequest(), metadata=[("name", name)], timeout=20)

            stuck = [begun(stubs[0], name) for name in ("a", "b")]
            for call in stuck:
                await call.read()
            assert await ends_with(begun(stubs[1], "a")) == grpc.StatusCode.UNAVAILABLE  # it has one already
            count = 0
            async for part in begun(stubs[1], "c"):
                count += len(part.events)
            assert [len(each) for each in made] == [0, 0, 0]  # though their callers are there still
            codes = [await ends_with(call) for call in stuck]
        await server.stop(None)
        return count, codes

    count, codes = asyncio.run(run())
    assert count == EVENTS
    assert set(codes) == {grpc.StatusCode.UNAVAILABLE}


def test_a_snapshot_that_takes_too_long_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits, "SNAPSHOT_SECONDS_MAX", 0.3)

    async def run() -> grpc.StatusCode:
        hub = of_many_subjects([])
        hub.read = lambda *_: asyncio.sleep(60)
        listens_at = f"unix:{tmp_path}/hub.sock"
        server = await served(hub, listens_at)
        async with grpc.aio.insecure_channel(listens_at) as channel:
            stub: Any = changes_pb2_grpc.ChangesStub(channel)
            code = await ends_with(stub.Snapshot(v1.SnapshotRequest(), metadata=[("name", "a")], timeout=20))
        await server.stop(None)
        return code

    assert asyncio.run(run()) == grpc.StatusCode.UNAVAILABLE


def test_a_snapshot_ends_when_its_approval_does(
    fed: Federation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "APPROVAL_SECONDS", 0.0)
    monkeypatch.setattr(limits, "SNAPSHOT_EVENTS_AT_ONCE", 1)
    mpc = Working(fed)
    mpc.do(mpc.link(), mpc.award(1))
    reading.approve(fed, "welfare-app")
    sent: list[v1.SnapshotResponse] = []

    class Context:
        """One that revokes the approval after the first part."""

        async def write(self, part: v1.SnapshotResponse) -> None:
            sent.append(part)
            approval.revoke(fed.hub, "welfare-app")

    async def run() -> None:
        running = Running(fed.hub, cast("Any", None), Showing(reading.SECRET, 30))
        with pytest.raises(Unproven, match="revoked"):
            await ChangesServicer(running, welfare_app).Snapshot(v1.SnapshotRequest(), Context())
        running.sequencer.close()
        running.threads.shutdown()

    asyncio.run(run())
    assert len(sent) == 1


def test_a_stream_that_stood_still_is_told_nothing_of_who_has_withdrawn_meanwhile(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STALE_SECONDS", 0.2)
    monkeypatch.setattr(changes_service, "BOOKMARK_SECONDS", 0.3)
    monkeypatch.setattr(callers, "APPROVAL_SECONDS", 0.1)
    monkeypatch.setattr(limits, "PAGE_BYTES_MAX", 10)
    mpc = Working(fed)
    mpc.do(mpc.link(), *(mpc.award(1) for _ in range(3)))
    for _ in range(3):
        mpc.do(mpc.award(1))
    reading.approve(fed, "welfare-app")

    async def run() -> list[v1.FollowResponse]:
        running = Running(fed.hub, cast("Any", None), Showing(reading.SECRET, 30))
        words = aiter(ChangesServicer(running, welfare_app).Follow(v1.FollowRequest(), None))
        told: list[v1.FollowResponse] = []
        while not told or not told[-1].page.events[0].handle:
            told.append(v1.FollowResponse.FromString(await anext(words)))
        told.clear()
        mpc.do(mpc.link(purposes=[log.PURPOSE_SHARE]))
        await asyncio.sleep(0.3)
        while not told or v1.EVENT_TYPE_UNLINKED not in {event.type for event in told[-1].page.events}:
            told.append(v1.FollowResponse.FromString(await anext(words)))
        approval.revoke(fed.hub, "welfare-app")
        with pytest.raises(Unproven, match="revoked"):
            [word async for word in words]
        running.sequencer.close()
        running.threads.shutdown()
        return told

    told = [event for word in asyncio.run(run()) for event in word.page.events]
    assert [event.type for event in told if event.handle] == [v1.EVENT_TYPE_UNLINKED]


def test_an_approval_is_looked_up_once_however_many_streams_ask(fed: Federation) -> None:
    reading.approve(fed, "welfare-app")
    asked = []

    async def run() -> list[Any]:
        running = Running(fed.hub, cast("Any", None))
        read = running.read

        async def counted(*given: Any) -> Any:
            asked.append(given)
            return await read(*given)

        with mock.patch.object(running, "read", counted):
            found = await asyncio.gather(*(callers.current_approval(running, "welfare-app") for _ in range(100)))
        running.sequencer.close()
        running.threads.shutdown()
        return found

    assert len(set(map(id, asyncio.run(run())))) == 1
    assert len(asked) == 1


def test_an_allowance_is_used_up_and_fills_again() -> None:
    allowance = Allowance(most=3, per_second=0.5)
    assert [allowance.admit(100.0) for _ in range(4)] == [True, True, True, False]
    assert [allowance.admit(101.0), allowance.admit(102.0), allowance.admit(102.0)] == [False, True, False]
    assert [allowance.admit(1_000.0) for _ in range(4)] == [True, True, True, False]


def test_a_lookup_that_failed_is_not_kept(fed: Federation) -> None:
    reading.approve(fed, "welfare-app")

    async def run() -> str:
        running = Running(fed.hub, cast("Any", None))
        broken = mock.AsyncMock(side_effect=Unavailable("database", problem="OperationalError"))
        with mock.patch.object(running, "read", broken), pytest.raises(Unavailable):
            await callers.current_approval(running, "welfare-app")
        found = await callers.current_approval(running, "welfare-app")
        running.sequencer.close()
        running.threads.shutdown()
        return found.document.name

    assert asyncio.run(run()) == "welfare-app"
