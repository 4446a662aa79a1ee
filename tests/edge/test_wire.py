"""Calls that wait their turn at a server: how many of one caller, and that they let go of what they took."""

import asyncio
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
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


class Failed(grpc.RpcError):
    """A call that ended as the other side wanted."""

    def __init__(self, reason: str, values: dict[str, str]) -> None:
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="samprasan", metadata=values))
        number, self.said = grpc.StatusCode.FAILED_PRECONDITION.value[0], "no"
        self.status = status_pb2.Status(code=number, message=self.said, details=[detail])

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.FAILED_PRECONDITION

    def details(self) -> str:
        return self.said

    def trailing_metadata(self) -> Any:
        return [("grpc-status-details-bin", self.status.SerializeToString())]


@pytest.mark.parametrize(
    "reason", ["{x:>800000000}", "{x.__class__}", "{", "\x1b[2K", "A code", "ไม่", "a" * 100, "", "new\nline"]
)
def test_what_is_no_code_is_an_answer_that_is_not_understood(reason: str) -> None:
    found = wire.from_rpc_error(Failed(reason, {"x": "y"}))
    assert (found.code, found.values) == ("hub_answer", {"status": "FAILED_PRECONDITION"})


def test_a_code_of_a_newer_program_is_shown_as_it_is_and_values_are_called_as_they_like() -> None:
    values = {"code": "{x:>9}", "self": "y", "error": "\x1b[2K"}
    found = wire.from_rpc_error(Failed("a_newer_code", values))
    assert (found.text(), found.hint(), found.values) == ("a_newer_code", "", values)
