"""Calls that wait their turn at a server: how many of one caller, and that they let go of what they took."""

import asyncio
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from samprasan.edge import throttle, wire
from samprasan.edge.logs import get_logger
from samprasan.edge.throttle import Pace
from samprasan.v1 import hub_pb2

WAITING = 3


class Context:
    """Of one caller; keeps with which status its call ended."""

    def __init__(self) -> None:
        self.code: grpc.StatusCode | None = None

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [b"codi"]}

    def set_trailing_metadata(self, _metadata: object) -> None:
        pass

    async def abort(self, code: grpc.StatusCode, _details: str) -> None:
        self.code = code
        raise grpc.aio.AbortError


async def called(interceptor: wire.ErrorInterceptor, request: Any) -> str:
    """The name of the status."""

    async def serve(_request: object, _context: object) -> hub_pb2.HelloResponse:
        return hub_pb2.HelloResponse()

    async def continuation(_details: object) -> Any:
        return grpc.unary_unary_rpc_method_handler(serve)

    details: Any = SimpleNamespace(method="/samprasan.v1.Hub/Hello")
    handler, context = await interceptor.intercept_service(continuation, details), Context()
    try:
        await handler.unary_unary(request, context)
    except grpc.aio.AbortError:
        assert context.code is not None
        return context.code.name
    return "OK"


async def in_turn(interceptor: wire.ErrorInterceptor, request: Any, count: int) -> list[str]:
    """What becomes of so many calls at once while nobody's turn comes."""
    tasks = [asyncio.create_task(called(interceptor, request)) for _ in range(count)]
    await asyncio.wait(tasks, timeout=0.2)
    found = [each.result() if each.done() else "waits" for each in tasks]
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


@pytest.mark.parametrize("size", [0, 50_000])
async def test_no_more_calls_of_one_caller_wait_than_fit_into_memory(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    request = hub_pb2.PostMailRequest(sealed=bytes(size))
    most = WAITING * (throttle.WAITING_CALL_BYTES + request.ByteSize())
    monkeypatch.setattr(wire, "WAITING_BYTES_MAX", most)
    interceptor = wire.ErrorInterceptor(get_logger("hub"), {"Hello": Pace(at_once=1, per_second=1.0)})
    assert await in_turn(interceptor, request, 6) == ["OK", *["waits"] * WAITING, *["UNAVAILABLE"] * 2]
    assert await in_turn(interceptor, request, 1) == ["waits"], "those that went away hold nothing any more"
