"""gRPC and TLS: credentials, limits of a connection, and our four errors as gRPC status and back.

gRPC's Python API has no switch for TLS 1.3 alone.  Its environment variable for cipher suites speaks of TLS 1.2 only,
so offering a suite there that no P-256 certificate can serve leaves TLS 1.3 as the one version that connects.
"""

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-RSA-AES128-GCM-SHA256"  # read when gRPC first makes a TLS context

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from samprasan.edge.throttle import WAIT_SECONDS_MAX, WAITING_BYTES_MAX, WAITING_CALL_BYTES, Pace, Patience
from samprasan.keys.certificates import HUB_NAME
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unavailable, Unproven
from samprasan.ledger.limit_usage import Nearing

MESSAGE_BYTES_MAX = (1 << 20) + 65_536  # one envelope of 1 MiB and what carries it
METADATA_BYTES_MAX = 8_192
STREAMS_PER_CONNECTION_MAX = 64  # a node uses three
KEEPALIVE_MS = 60_000
CONNECTION_AGE_MS_MAX = 30 * 60_000  # then the streams resume on a new connection, perhaps at another hub process
PENDING_SECONDS_MAX = 120  # 10,000 streams take 40 s to begin
PENDING_REQUESTS_MAX = 20_000  # a reconnect storm waits its turn instead of being cancelled
CLOCK_KEY = "samprasan-now"  # metadata of a call: the caller's clock, milliseconds since the Unix epoch
DEADLINE_SECONDS = 20.0  # for every unary call
_COSTLY = frozenset({"calls_over_limit", "streams_over_limit"})  # honest, but whoever goes on is to wait too
_DOMAIN = "samprasan"
_TRAILER_BYTES_MAX = 4_096

SERVER_OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
    ("grpc.max_connection_age_ms", CONNECTION_AGE_MS_MAX),
    ("grpc.max_connection_age_grace_ms", 30_000),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
    ("grpc.server.max_pending_requests", PENDING_REQUESTS_MAX),
    ("grpc.server.max_pending_requests_hard_limit", 2 * PENDING_REQUESTS_MAX),
    ("grpc.server_max_unrequested_time_in_server", PENDING_SECONDS_MAX),
    ("grpc.so_reuseport", 0),
]
CHANNEL_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.ssl_target_name_override", HUB_NAME),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]

_CODES: dict[type[SamprasanError], grpc.StatusCode] = {
    Malformed: grpc.StatusCode.INVALID_ARGUMENT,
    Unproven: grpc.StatusCode.UNAUTHENTICATED,
    Refused: grpc.StatusCode.FAILED_PRECONDITION,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
}
_CODE_FORM = re.compile("[a-z][a-z0-9_]{0,60}")
_CLASSES: dict[grpc.StatusCode, type[SamprasanError]] = {
    **{code: kind for kind, code in _CODES.items()},
    grpc.StatusCode.PERMISSION_DENIED: Unproven,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Malformed,
    grpc.StatusCode.UNIMPLEMENTED: Refused,
}


def server_credentials(key_pem: bytes, certificate_pem: bytes, authority_pem: bytes | None) -> grpc.ServerCredentials:
    """TLS 1.3 for a listener; with an authority, callers must show a certificate that it signed."""
    return grpc.ssl_server_credentials(
        [(key_pem, certificate_pem)],
        root_certificates=authority_pem,
        require_client_auth=authority_pem is not None,
    )


def channel_credentials(
    authority_pem: bytes, key_pem: bytes | None = None, certificate_pem: bytes | None = None
) -> grpc.ChannelCredentials:
    """TLS 1.3 to a hub whose certificate ``authority_pem`` signed, showing one's own certificate if given."""
    return grpc.ssl_channel_credentials(authority_pem, key_pem, certificate_pem)


def to_status(error: SamprasanError) -> status_pb2.Status:
    """The error with its code and values, so that the other side can word it in its own language."""
    values = {key: str(value)[:200] for key, value in error.values.items()}
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=error.code, domain=_DOMAIN, metadata=values))
    number = next(code.value[0] for kind, code in _CODES.items() if isinstance(error, kind))
    return status_pb2.Status(code=number, message=error.text("en")[: _TRAILER_BYTES_MAX // 4], details=[detail])


def from_rpc_error(error: Any) -> SamprasanError:
    """The error the other side raised, or what gRPC's own failure means to us.

    A code is a word, whoever sent it; what has another form is an answer that we do not understand.
    """
    code = error.code()
    kind = _CLASSES.get(code, Unavailable)
    for detail in _details(error):
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == _DOMAIN and _CODE_FORM.fullmatch(info.reason):
            return kind(info.reason, **dict(info.metadata))
    if kind is Unavailable:
        return Unavailable("hub_unreachable", status=code.name)
    return kind("hub_answer", status=code.name)


def _details(error: Any) -> list[any_pb2.Any]:
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        return []
    return list(status.details) if status else []


class _Unreadable:
    """Stands for a request whose bytes are no message: gRPC itself would call that an internal error."""


def _reading(deserialize: Callable[[bytes], Message]) -> Callable[[bytes], "Message | _Unreadable"]:
    def read(data: bytes) -> Message | _Unreadable:
        try:
            return deserialize(data)
        except DecodeError:
            return _Unreadable()

    return read


def _writing(serialize: Callable[[Message], bytes]) -> Callable[[Message | bytes], bytes]:
    """What is encoded already is sent as it is."""
    return lambda response: response if isinstance(response, bytes) else serialize(response)


def _check_readable(request: object) -> None:
    if isinstance(request, _Unreadable):
        raise Malformed("request_unreadable")


async def _readable(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        _check_readable(request)
        yield request


def _caller(context: Any) -> str:
    """Who calls: its certificate, or else its address without the port."""
    certificate: bytes = context.auth_context().get("x509_pem_cert", [b""])[0]
    return certificate.decode("ascii", "replace") or context.peer().rpartition(":")[0]


def warn_if_large(logger: Any, method: str, request: Any) -> None:
    """Log a message that takes 70 % of what one may, naming the setting."""
    used = Nearing("message_bytes_max", "", request.ByteSize(), MESSAGE_BYTES_MAX)
    if used.is_near:
        logger.warning("limit is near", method=method, setting=used.setting, used=used.used, most=used.most)


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns our errors into gRPC status, and writes one canonical line a call: method, code, milliseconds.

    Who keeps making faults waits before its next call is looked at, and so does who calls a method of ``paces`` faster
    than it may: see :mod:`.throttle`.
    """

    def __init__(self, logger: Any, paces: Mapping[str, Pace] | None = None) -> None:
        self._logger = logger
        self._paces = paces or {}
        self._patience = Patience()
        self._waiting: Counter[str] = Counter()

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        """Wrap the handler that would have served the call."""
        handler = await continuation(details)
        if handler is None:
            return None
        method = details.method.rpartition("/")[2]
        handler = handler._replace(
            request_deserializer=_reading(handler.request_deserializer),
            response_serializer=_writing(handler.response_serializer),
        )
        for kind in ("unary_unary", "stream_unary"):
            if getattr(handler, kind):
                return handler._replace(**{kind: self._answering(method, getattr(handler, kind))})
        for kind in ("unary_stream", "stream_stream"):
            if getattr(handler, kind):
                return handler._replace(**{kind: self._streaming(method, getattr(handler, kind))})
        return handler

    def _answering(self, method: str, serve: Callable[..., Any]) -> Callable[..., Any]:
        async def answer(request: Any, context: Any) -> Any:
            started = time.monotonic()
            try:
                await self._wait_for_turn(method, request, context)
                is_one = isinstance(request, Message | _Unreadable)
                if is_one:
                    _check_readable(request)
                    warn_if_large(self._logger, method, request)
                response = await serve(request if is_one else _readable(request), context)
            except Exception as problem:
                await self._abort(method, started, context, problem)
            else:
                self._log(method, started, "OK")
                return response

        return answer

    def _streaming(self, method: str, serve: Callable[..., Any]) -> Callable[..., Any]:
        async def stream(request: Any, context: Any) -> None:
            started = time.monotonic()
            try:
                await self._wait_for_turn(method, request, context)
                is_one = isinstance(request, Message | _Unreadable)
                if is_one:
                    _check_readable(request)
                served = serve(request if is_one else _readable(request), context)
                if isinstance(served, AsyncGenerator):
                    async with aclosing(served) as responses:  # what it holds is let go when the caller goes
                        async for response in responses:
                            await context.write(response)
                else:
                    await served  # it writes its responses
            except Exception as problem:
                await self._abort(method, started, context, problem)
            else:
                self._log(method, started, "OK")

        return stream

    async def _abort(self, method: str, started: float, context: Any, problem: Exception) -> None:
        if isinstance(problem, grpc.aio.AbortError):
            raise problem
        if not isinstance(problem, SamprasanError):
            self._logger.error("failed", method=method, exc_info=True)
            problem = Unavailable("internal")
        self._log(method, started, problem.code, type(problem).__name__)
        if isinstance(problem, Malformed | Unproven) or problem.code in _COSTLY:
            self._patience.fault(_caller(context), time.monotonic())
        status = rpc_status.to_status(to_status(problem))
        context.set_trailing_metadata(status.trailing_metadata)
        await context.abort(status.code, status.details)

    async def _wait_for_turn(self, method: str, request: Any, context: Any) -> None:
        """Let who made many faults wait, and who calls too fast; Unavailable ``calls_over_limit`` where too many wait.

        Of a stream nothing is read meanwhile, so what it sends stays where it is.
        """
        caller, now = _caller(context), time.monotonic()
        wait, pace = self._patience.wait_seconds(caller, now), self._paces.get(method)
        if pace is not None:
            wait = max(wait, pace.wait_seconds(caller, now))
        if not wait:
            return
        size = WAITING_CALL_BYTES + (request.ByteSize() if isinstance(request, Message) else 0)
        if wait > WAIT_SECONDS_MAX or self._waiting[caller] + size > WAITING_BYTES_MAX:
            raise Unavailable("calls_over_limit")
        self._waiting[caller] += size
        try:
            await asyncio.sleep(wait)
        finally:
            self._waiting[caller] -= size
            if not self._waiting[caller]:
                del self._waiting[caller]

    def _log(self, method: str, started: float, code: str, error: str = "") -> None:
        milliseconds = round((time.monotonic() - started) * 1000, 1)
        kind = {"error": error} if error else {}
        self._logger.info("call", method=method, code=code, ms=milliseconds, **kind)


class Requests:
    """What comes in on a stream, waited for as long as one likes without losing any of it."""

    def __init__(self, requests: AsyncIterator[Any]) -> None:
        self._requests = aiter(requests)
        self._coming: asyncio.Task[Any] | None = None
        self.ended = False

    async def next(self, seconds: float) -> Any:
        """The next request; None if none came in time, or none will."""
        if self.ended:
            return None
        if self._coming is None:
            self._coming = asyncio.create_task(_next(self._requests))
        done, _ = await asyncio.wait({self._coming}, timeout=seconds)
        if not done:
            return None
        request, self._coming = self._coming.result(), None
        self.ended = request is None
        return request

    def close(self) -> None:
        """Wait no more."""
        if self._coming is not None:
            self._coming.cancel()


async def _next(requests: AsyncIterator[Any]) -> Any:
    return await anext(requests, None)


def bind_unix(server: grpc.aio.Server, path: Path) -> None:
    """Listen on a Unix socket that only its owner can connect to; Refused ``address_taken``."""
    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        if not server.add_secure_port(f"unix:{path}", grpc.local_server_credentials(grpc.LocalConnectionType.UDS)):
            raise Refused("address_taken", address=path)
    except (OSError, RuntimeError) as problem:
        raise Refused("address_taken", address=path) from problem
    finally:
        os.umask(before)


def bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials) -> int:
    """The port that ``server`` got at ``HOST:PORT``; Refused ``address_taken`` if it got none."""
    try:
        port: int = server.add_secure_port(address, credentials)
    except RuntimeError as problem:
        raise Refused("address_taken", address=address) from problem
    if not port:
        raise Refused("address_taken", address=address)
    return port
