"""A NATS JetStream stream that one publisher fills: where it ends, and what is put behind that.

Every message says which place in the stream it is to have (``Nats-Expected-Last-Sequence``); the server takes it there
or not at all.  So a message that was lost on the way lets none behind it in, one that is on its way still when its
sender has given up comes in at its place or never, and of two publishers one is told that it is not where it thought.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nats.errors
import nkeys
from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors
from samprasan.hub.integrators.cloudevents import CURSOR_HEADER, Message
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unavailable

ANSWER_SECONDS_MAX = 10.0
CLOSE_SECONDS_MAX = 2.0
_SEED = re.compile(r"-+BEGIN USER NKEY SEED-+\s+(SU[A-Z2-7]+)\s")
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
AHEAD_MAX = 500  # messages on their way at once: some 300 KiB
_KEPT_SECONDS = 30 * 86_400  # of a stream that is made here; as long as the hub keeps changes if nothing else is set


@dataclass(frozen=True, slots=True)
class Target:
    """Which stream, where; subjects begin with ``prefix``."""

    url: str
    stream: str
    prefix: str
    credentials: Path | None = None  # of NATS: a JWT and its seed
    authority: Path | None = None  # PEM; else those that the machine trusts

    @classmethod
    def parse(cls, url: str, stream: str, prefix: str, credentials: Path | None, authority: Path | None) -> "Target":
        """Raises Malformed ``nats_url``, ``stream_name`` or ``subject_prefix``."""
        parts = urlsplit(url)
        try:
            is_one = parts.scheme in {"nats", "tls"} and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:  # its port is none, or it names several
            is_one = False
        if not is_one:
            raise Malformed("nats_url", url=f"{parts.scheme}://…")
        if not _WORD.fullmatch(stream):
            raise Malformed("stream_name", stream=stream)
        if not all(map(_WORD.fullmatch, prefix.split("."))):
            raise Malformed("subject_prefix", prefix=prefix)
        return cls(url, stream, prefix, credentials, authority)

    @property
    def is_secure(self) -> bool:
        """Whether nothing may be said without TLS."""
        return self.url.startswith("tls:") or self.authority is not None

    @property
    def address(self) -> str:
        """``HOST:PORT``, without what may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or 4222}"


class Stream:
    """An open stream."""

    def __init__(self, connection: Client, context: JetStreamContext, name: str) -> None:
        self._connection = connection
        self._context = context
        self._name = name
        self._sequence = 0

    def check(self) -> None:
        """That the line is there still: whoever puts nothing hears of it in no other way."""
        if not self._connection.is_connected:
            raise nats.errors.ConnectionClosedError

    async def last_cursor(self) -> bytes:
        """The cursor of its last message, and what is put comes behind that; empty if it has none, or there is none."""
        self._sequence = (await self._context.stream_info(self._name)).state.last_seq
        try:
            last = await self._context.get_msg(self._name, self._sequence) if self._sequence else None
            return bytes.fromhex(((last and last.headers) or {}).get(CURSOR_HEADER, ""))
        except js_errors.NotFoundError:
            return b""  # it has expired, or somebody has purged the stream
        except ValueError as problem:
            raise Refused("stream_foreign", stream=self._name) from problem

    async def publish(self, messages: Sequence[Message]) -> None:
        """All of them, stored by the server; Unavailable if one was not, and then none behind it."""
        for first in range(0, len(messages), AHEAD_MAX):
            coming = [await self._send(message) for message in messages[first : first + AHEAD_MAX]]
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                answers = await asyncio.gather(*coming, return_exceptions=True)
            for each in answers:
                if isinstance(each, BaseException):
                    raise each  # the first; none behind it came in

    async def _send(self, message: Message) -> "asyncio.Future[api.PubAck]":
        headers = {**message.headers, api.Header.EXPECTED_LAST_SEQUENCE.value: str(self._sequence)}
        self._sequence += 1
        return await self._context.publish_async(message.subject, message.payload, headers=headers)


@asynccontextmanager
async def open_stream(target: Target) -> AsyncIterator[Stream]:
    """The stream, made if there is none.

    Raises Malformed ``nats_credentials`` or ``nats_authority``, Refused ``file_missing``, ``nats_refused``,
    ``nats_plain``, ``jetstream_missing``, ``stream_subjects`` or ``stream_refused``, Unavailable ``nats_unreachable``
    or ``nats_declined``; from what is done with it, too.
    """
    said: list[str] = []

    async def note(problem: Exception) -> None:
        said.append(str(problem).lower())

    credentials, tls = _credentials(target), _tls(target)
    with _our_errors(target, said):
        connection = _OnlySecure() if target.is_secure else Client()
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await connection.connect(
                    target.url,
                    allow_reconnect=False,  # where the stream ends has to be asked again
                    error_cb=note,
                    user_credentials=credentials,
                    tls=tls,
                    name="samprasan-hub",
                )
            context = connection.jetstream(timeout=ANSWER_SECONDS_MAX)
            await _ensure(context, target)
            yield Stream(connection, context, target.stream)
        finally:
            with suppress(AssertionError, TimeoutError, OSError):  # it may never have come as far as a connection
                async with asyncio.timeout(CLOSE_SECONDS_MAX):
                    await connection.close()


async def _ensure(context: JetStreamContext, target: Target) -> None:
    wanted = [f"{target.prefix}.>"]
    try:
        config = (await context.stream_info(target.stream)).config
    except js_errors.NotFoundError:
        config = await _add_stream(
            context, target, api.StreamConfig(target.stream, subjects=wanted, max_age=_KEPT_SECONDS)
        )
    except (nats.errors.NoRespondersError, js_errors.ServiceUnavailableError) as problem:
        raise Refused("jetstream_missing", address=target.address) from problem
    if config.subjects != wanted:
        found = ", ".join(config.subjects or [])
        raise Refused("stream_subjects", stream=target.stream, subjects=found, wanted=wanted[0])


async def _add_stream(context: JetStreamContext, target: Target, config: api.StreamConfig) -> api.StreamConfig:
    try:
        return (await context.add_stream(config)).config
    except js_errors.BadRequestError as problem:
        told = problem.description or ""
        raise Refused("stream_refused", address=target.address, stream=target.stream, problem=told) from problem


class _OnlySecure(Client):
    """Says nothing, and no password, to a server that does not begin TLS: the library would go on without."""

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if not info.get("tls_required"):
            raise Refused("nats_plain", address=f"{info.get('host', '')}:{info.get('port', '')}")
        await super()._process_info(info, initial_connection)


@contextmanager
def _our_errors(target: Target, said: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except SamprasanError:
        raise
    except js_errors.APIError as problem:
        told = problem.description or type(problem).__name__
        raise Unavailable("nats_declined", address=target.address, problem=told) from problem
    except (nats.errors.AuthorizationError, ssl.SSLError) as problem:
        raise Refused("nats_refused", address=target.address) from problem
    except (nats.errors.Error, OSError, TimeoutError) as problem:
        heard = [*said, str(problem).lower()]
        if any("authorization" in each or "permissions violation" in each for each in heard):
            raise Refused("nats_refused", address=target.address) from problem
        raise Unavailable("nats_unreachable", address=target.address) from problem


def _credentials(target: Target) -> str | None:
    if target.credentials is None:
        return None
    try:
        text = target.credentials.read_text("ascii")
        nkeys.from_seed(bytearray(_SEED.findall(text)[0].encode()))
    except OSError as problem:
        raise Refused("file_missing", file=target.credentials.name) from problem
    except (ValueError, IndexError, nkeys.NkeysError) as problem:
        raise Malformed("nats_credentials", file=target.credentials.name) from problem
    return str(target.credentials)


def _tls(target: Target) -> ssl.SSLContext | None:
    if target.authority is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(target.authority))
    except ssl.SSLError as problem:
        raise Malformed("nats_authority", file=target.authority.name) from problem
    except OSError as problem:
        raise Refused("file_missing", file=target.authority.name) from problem
