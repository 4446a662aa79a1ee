"""A NATS JetStream stream that one publisher fills: where it ends, and what is put behind that.

Every message says which place in the stream it is to have (``Nats-Expected-Last-Sequence``); the server takes it there
or not at all.  So a message that was lost on the way lets none behind it in, one that is on its way still when its
sender has given up comes in at its place or never, and of two publishers one is told that it is not where it thought.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors
from samprasan.hub.cloudevents import CURSOR_HEADER, Message
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unavailable

ANSWER_SECONDS_MAX = 10.0
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
    def of(cls, url: str, stream: str, prefix: str, credentials: Path | None, authority: Path | None) -> "Target":
        """Raises Malformed ``nats_url``, ``stream_name`` or ``subject_prefix``."""
        parts = urlsplit(url)
        if parts.scheme not in {"nats", "tls"} or not parts.hostname:
            raise Malformed("nats_url", url=f"{parts.scheme}://{parts.hostname or ''}")
        if not _WORD.fullmatch(stream):
            raise Malformed("stream_name", stream=stream)
        if not all(map(_WORD.fullmatch, prefix.split("."))):
            raise Malformed("subject_prefix", prefix=prefix)
        return cls(url, stream, prefix, credentials, authority)

    @property
    def address(self) -> str:
        """``HOST:PORT``, without what may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or 4222}"


class Stream:
    """An open stream."""

    def __init__(self, context: JetStreamContext, name: str) -> None:
        self._context = context
        self._name = name
        self._sequence = 0

    async def end(self) -> bytes:
        """The cursor of its last message, and what is put comes behind that; empty if it has none, or there is none."""
        self._sequence = (await self._context.stream_info(self._name)).state.last_seq
        try:
            last = await self._context.get_msg(self._name, self._sequence) if self._sequence else None
            return bytes.fromhex(((last and last.headers) or {}).get(CURSOR_HEADER, ""))
        except js_errors.NotFoundError:
            return b""  # it has expired, or somebody has purged the stream
        except ValueError as problem:
            raise Refused("stream_foreign", stream=self._name) from problem

    async def put(self, messages: Sequence[Message]) -> None:
        """All of them, stored by the server; Unavailable if one was not, and then none behind it."""
        for first in range(0, len(messages), AHEAD_MAX):
            coming = [await self._send(message) for message in messages[first : first + AHEAD_MAX]]
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await asyncio.gather(*coming)

    async def _send(self, message: Message) -> "asyncio.Future[api.PubAck]":
        headers = {**message.headers, api.Header.EXPECTED_LAST_SEQUENCE.value: str(self._sequence)}
        self._sequence += 1
        return await self._context.publish_async(message.subject, message.payload, ANSWER_SECONDS_MAX, headers=headers)


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Stream]:
    """The stream, made if there is none.

    Raises Refused ``nats_refused``, ``jetstream_missing``, ``stream_subjects``, ``stream_refused`` or ``file_missing``,
    Unavailable ``nats_unreachable`` or ``nats_declined``; from what is done with it, too.
    """
    with _our_errors(target):
        credentials, tls = _credentials(target), _tls(target)
        connection = Client()
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await connection.connect(
                    target.url,
                    allow_reconnect=False,  # where the stream ends has to be asked again
                    error_cb=_ignore,
                    user_credentials=credentials,
                    tls=tls,
                    name="samprasan-hub",
                )
            context = connection.jetstream(timeout=ANSWER_SECONDS_MAX)
            await _ensure(context, target)
            yield Stream(context, target.stream)
        finally:
            await connection.close()


async def _ensure(context: JetStreamContext, target: Target) -> None:
    wanted = [f"{target.prefix}.>"]
    try:
        config = (await context.stream_info(target.stream)).config
    except js_errors.NotFoundError:
        config = await _made(context, target, api.StreamConfig(target.stream, subjects=wanted, max_age=_KEPT_SECONDS))
    except (nats.errors.NoRespondersError, js_errors.ServiceUnavailableError) as problem:
        raise Refused("jetstream_missing", address=target.address) from problem
    if config.subjects != wanted:
        found = ", ".join(config.subjects or [])
        raise Refused("stream_subjects", stream=target.stream, subjects=found, wanted=wanted[0])


async def _made(context: JetStreamContext, target: Target, config: api.StreamConfig) -> api.StreamConfig:
    try:
        return (await context.add_stream(config)).config
    except js_errors.BadRequestError as problem:
        told = problem.description or ""
        raise Refused("stream_refused", address=target.address, stream=target.stream, problem=told) from problem


@contextmanager
def _our_errors(target: Target) -> Iterator[None]:
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
        if "authorization" in str(problem).lower():
            raise Refused("nats_refused", address=target.address) from problem
        raise Unavailable("nats_unreachable", address=target.address) from problem


def _credentials(target: Target) -> str | None:
    if target.credentials is None:
        return None
    if not target.credentials.is_file():
        raise Refused("file_missing", file=target.credentials.name)
    return str(target.credentials)


def _tls(target: Target) -> ssl.SSLContext | None:
    if target.authority is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(target.authority))
    except OSError as problem:
        raise Refused("file_missing", file=target.authority.name) from problem


async def _ignore(_problem: Any) -> None:
    """What goes wrong is raised where it is waited for."""
