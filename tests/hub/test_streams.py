"""The servicer of streams, over a socket: who does not read what it asked for keeps nobody waiting for long."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from samprasan.edge import wire
from samprasan.edge.logs import logger
from samprasan.edge.patience import Allowance
from samprasan.hub import limits
from samprasan.hub.streams import ChangesServicer
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc

EVENT = v1.Event(handle=b"h" * 32, earned=1).SerializeToString()
EVENTS = 400_000  # 14 MiB: more than any buffer on the way takes


async def served(listens_at: str) -> grpc.aio.Server:
    """A hub of nothing but snapshots, which all have many events."""

    async def integrator(_context: Any) -> Any:
        return SimpleNamespace(document=SimpleNamespace(name="welfare-app"))

    async def write(*_: Any) -> None:
        return None

    async def read(*_: Any) -> tuple[list[bytes], bytes]:
        return [EVENT] * EVENTS, b"c" * 16

    running: Any = SimpleNamespace(
        integrator=integrator, write=write, read=read, store=None, world=None, showing=SimpleNamespace(secret=b"")
    )
    server = grpc.aio.server(interceptors=[wire.ErrorInterceptor(logger("hub"))], options=wire.SERVER_OPTIONS)
    changes_pb2_grpc.add_ChangesServicer_to_server(ChangesServicer(running), server)
    server.add_insecure_port(listens_at)
    await server.start()
    return server


async def ends_with(call: Any) -> grpc.StatusCode:
    """The status of a stream of which the rest is read."""
    with suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            pass
    code: grpc.StatusCode = await call.code()
    return code


def test_a_snapshot_that_is_not_read_ends_and_lets_others_have_theirs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(limits, "SNAPSHOT_SECONDS_MAX", 2.0)

    async def run() -> tuple[int, list[grpc.StatusCode]]:
        listens_at = f"unix:{tmp_path}/hub.sock"
        server = await served(listens_at)
        async with grpc.aio.insecure_channel(listens_at) as idle, grpc.aio.insecure_channel(listens_at) as busy:
            stubs: list[Any] = [changes_pb2_grpc.ChangesStub(each) for each in (idle, busy)]
            stuck = [stubs[0].Snapshot(v1.SnapshotRequest()) for _ in range(limits.SNAPSHOTS_AT_ONCE)]
            for call in stuck:
                await call.read()
            count = 0
            async for part in stubs[1].Snapshot(v1.SnapshotRequest(), timeout=20):
                count += len(part.events)
            codes = [await ends_with(call) for call in stuck]
        await server.stop(None)
        return count, codes

    count, codes = asyncio.run(run())
    assert count == EVENTS
    assert set(codes) == {grpc.StatusCode.UNAVAILABLE}


def test_an_allowance_is_used_up_and_fills_again() -> None:
    allowance = Allowance(most=3, per_second=0.5)
    assert [allowance.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert [allowance.take(101.0), allowance.take(102.0), allowance.take(102.0)] == [False, True, False]
    assert [allowance.take(1_000.0) for _ in range(4)] == [True, True, True, False]
