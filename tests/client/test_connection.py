"""What making a request of a stream raises reaches whoever reads the answers; a cancellation stays one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import grpc
import pytest
from samprasan.client.connection import Connection
from samprasan.keys.errors import Unavailable
from samprasan.v1 import hub_pb2, hub_pb2_grpc

PROBLEM = Unavailable("database", problem="a lock")


class Patient(hub_pb2_grpc.HubServicer):
    """A hub that reads what it is sent and answers when there is no more."""

    async def Push(self, request_iterator: Any, context: Any) -> AsyncIterator[hub_pb2.PushResponse]:  # noqa: N802
        async for _ in request_iterator:
            yield hub_pb2.PushResponse()

    async def Reconcile(  # noqa: N802
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[hub_pb2.ReconcileResponse]:
        async for _ in request_iterator:
            yield hub_pb2.ReconcileResponse()

    async def Refeed(self, request_iterator: Any, context: Any) -> hub_pb2.RefeedResponse:  # noqa: N802
        async for _ in request_iterator:
            pass
        return hub_pb2.RefeedResponse()


@pytest.fixture
async def hub(tmp_path: Any) -> AsyncIterator[Connection]:
    server = grpc.aio.server()
    hub_pb2_grpc.add_HubServicer_to_server(cast("Any", Patient)(), server)
    address = f"unix:{tmp_path}/hub"
    server.add_insecure_port(address)
    await server.start()
    async with Connection(grpc.aio.insecure_channel(address)) as made:
        yield made
    await server.stop(None)


async def failing(first: Any) -> AsyncIterator[Any]:
    yield first
    raise PROBLEM


def failing_at_once() -> Any:
    raise PROBLEM
    yield  # makes it a generator


@pytest.mark.parametrize("call", ["push", "reconcile"])
async def test_what_a_request_raises_is_raised_to_the_reader(hub: Connection, call: str) -> None:
    request = hub_pb2.PushRequest() if call == "push" else hub_pb2.ReconcileRequest()
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable, check=lambda found: found is PROBLEM):
            async for _ in getattr(hub, call)(failing(request)):
                pass


async def test_what_giving_back_raises_is_raised(hub: Connection) -> None:
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable, check=lambda found: found is PROBLEM):
            await hub.refeed(failing_at_once())


async def test_a_reader_that_is_cancelled_is_cancelled_even_if_a_request_failed(hub: Connection) -> None:
    async def requests() -> AsyncIterator[hub_pb2.PushRequest]:
        yield hub_pb2.PushRequest()
        reading.cancel()
        raise PROBLEM

    async def read() -> None:
        async for _ in hub.push(requests()):
            pass

    reading = asyncio.create_task(read())
    async with asyncio.timeout(20):
        await asyncio.wait([reading])
    assert reading.cancelled()
