"""Following changes with asyncio: connect, snapshot when there is no place to go on from, follow, connect again.

::

    async for change in aio.follow("welfare-app.credentials", cursor_file="welfare-app.cursor"):
        ...

What is delivered is delivered at least once, in order, and never partly: see ``docs/integrating/guarantees.md``.
"""

import asyncio
import random
import re
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from os import PathLike
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from samprasan.client.protocol import Following
from samprasan.edge import wire
from samprasan.edge.logs import get_logger
from samprasan.keys.credentials import Credentials
from samprasan.keys.errors import Malformed, Refused, Unavailable
from samprasan.keys.keyring import read_private, write_private
from samprasan.ledger import scopes
from samprasan.ledger.events import BOOKMARK, DRAINING, Change
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc
from samprasan.v1.envelope_pb2 import Envelope

logger = get_logger("client")
SILENCE_SECONDS_MAX = 20.0  # the hub promises a bookmark every 5
PAUSE_SECONDS_MAX = 30.0
SNAPSHOT_SECONDS_MAX = 900.0
ACKNOWLEDGE_SECONDS = 30.0  # a hub that is told more often has more to write than to tell
_CURSOR = re.compile(r"[0-9a-f]{32}")

QUIET = frozenset({BOOKMARK, DRAINING})
File = str | PathLike[str]


async def follow(
    credentials: File | Credentials,
    *,
    after: str = "",
    subscription: str = "",
    only: Sequence[str] = (),
    cursor_file: File | None = None,
    start_over: bool = True,
    bookmarks: bool = False,
) -> AsyncGenerator[Change, None]:
    """Changes for ever, in the order of the log; connects again by itself, and goes on where it was.

    ``credentials`` is the file of ``samprasan-client accept``.  Without ``after`` (a cursor) and without one in
    ``cursor_file``, a snapshot comes first: a ``reset``, everything that may be seen, then what changes.  If the place
    is too old, another snapshot comes; with ``start_over=False`` Refused ``cursor_too_old`` is raised instead.

    ``only`` filters: ``dimension=health``, ``agency=mpc``, ``kind=person``, ``cause=award``.  ``cursor_file`` keeps the
    place, durably, behind whole batches, once the next change is asked for: after a crash, what came since comes again.
    With a ``subscription`` the hub keeps it, too, so that its operator sees who lags.  ``bookmarks`` yields these, too.

    Raises Malformed, Unproven or Refused, which trying again does not cure; never Unavailable.
    """
    found = portions(credentials, after, subscription, only, cursor_file, start_over=start_over)
    async with aclosing(found) as some:
        async for portion in some:
            for change in portion:
                if change.type not in QUIET or bookmarks:
                    yield change


async def portions(
    credentials: File | Credentials,
    after: str,
    subscription: str,
    only: Sequence[str],
    cursor_file: File | None,
    *,
    start_over: bool,
) -> AsyncGenerator[Iterator[Change], None]:
    """What :func:`follow` yields, in portions that came together; each is to be read before the next is asked for."""
    own = opened(credentials)
    file = Path(cursor_file) if cursor_file is not None else None
    begun = after or (_kept(file) if file else "")
    following = Following(own.complete, subscription, scopes.filter_of(only), begun, _keeper(file))
    failures = 0
    async with channel_of(own) as channel:
        stub: Any = changes_pb2_grpc.ChangesStub(channel)
        acknowledging = _Acknowledging(stub, subscription)
        while True:
            try:
                async with aclosing(_once(stub, following, acknowledging, start_over=start_over)) as some:
                    async for portion in some:
                        failures = 0
                        yield portion
            except Unavailable as problem:
                failures += 1
                logger.warning("stream broken", reason=problem.code, failures=failures)
            most = min(PAUSE_SECONDS_MAX, 0.5 * 2 ** min(failures, 10))
            await asyncio.sleep(random.uniform(0, most))  # noqa: S311 - so that not all come back at once


async def snapshot(
    credentials: File | Credentials, *, subscription: str = "", only: Sequence[str] = ()
) -> AsyncGenerator[Change, None]:
    """Everything that may be seen now: a ``reset``, what there is, and a ``bookmark`` with the cursor to follow from.

    Raises any of the four errors.
    """
    own = opened(credentials)
    following = Following(own.complete, subscription, scopes.filter_of(only), "", lambda _cursor: None)
    async with (
        channel_of(own) as channel,
        aclosing(_snapshot(changes_pb2_grpc.ChangesStub(channel), following)) as parts,
    ):
        async for part in parts:
            for change in part:
                yield change
    yield Change(type=BOOKMARK, cursor=following.cursor.hex())


async def resolve(credentials: File | Credentials, token: str) -> str:
    """The handle, in hexadecimal, of the person whose app brought ``token`` (from ``samprasan-node handle``).

    Raises Malformed or Unproven ``token``, Refused ``not_shown``, Unavailable.
    """
    import base64

    own = opened(credentials)
    try:
        envelope = Envelope.FromString(base64.urlsafe_b64decode(token))
    except (ValueError, DecodeError) as problem:
        raise Malformed("token") from problem
    async with channel_of(own) as channel:
        stub: Any = changes_pb2_grpc.ChangesStub(channel)
        try:
            request = v1.ResolveRequest(token=envelope)
            response: v1.ResolveResponse = await stub.Resolve(request, timeout=wire.DEADLINE_SECONDS)
        except grpc.RpcError as problem:
            raise wire.from_rpc_error(problem) from None
    return response.handle.hex()


class _Acknowledging:
    """Tells the hub how far a named subscription has come, now and then."""

    def __init__(self, stub: Any, subscription: str) -> None:
        self._stub = stub
        self._subscription = subscription
        self._told_at = -ACKNOWLEDGE_SECONDS

    async def tell(self, cursor: bytes) -> None:
        now = time.monotonic()
        if not self._subscription or now - self._told_at < ACKNOWLEDGE_SECONDS:
            return
        self._told_at = now
        try:
            request = v1.AcknowledgeRequest(subscription=self._subscription, cursor=cursor)
            await self._stub.Acknowledge(request, timeout=wire.DEADLINE_SECONDS)
        except grpc.RpcError as problem:
            error = wire.from_rpc_error(problem)
            if not isinstance(error, Unavailable):
                raise error from None
            logger.warning("not acknowledged", reason=error.code)


async def _once(
    stub: Any, following: Following, acknowledging: _Acknowledging, *, start_over: bool
) -> AsyncGenerator[Iterator[Change], None]:
    """One connection's worth of changes."""
    if following.needs_snapshot:
        async for part in _snapshot(stub, following):
            yield part
    call = stub.Follow(following.follow_request())
    try:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS_MAX):  # wait_for may swallow a cancellation
                word = await call.read()
            if word is grpc.aio.EOF:
                return
            if word.HasField("too_old"):
                following.lose_place(word.too_old, start_over=start_over)
                return
            yield following.read_word(word)
            if word.HasField("bookmark"):
                await acknowledging.tell(following.cursor)
    except grpc.RpcError as problem:
        raise wire.from_rpc_error(problem) from None
    except TimeoutError as problem:
        raise Unavailable("hub_unreachable", status="silent") from problem
    finally:
        call.cancel()


async def _snapshot(stub: Any, following: Following) -> AsyncGenerator[Iterator[Change], None]:
    """All of it is read before any is told: the hub waits for nobody who takes his time."""
    call = stub.Snapshot(following.snapshot_request(), timeout=SNAPSHOT_SECONDS_MAX)
    try:
        parts = [part.SerializeToString() async for part in call]
    except grpc.RpcError as problem:
        raise wire.from_rpc_error(problem) from None
    finally:
        call.cancel()
    for number, part in enumerate(parts):
        yield following.take_snapshot(v1.SnapshotResponse.FromString(part), is_first=number == 0)
    if following.needs_snapshot:
        raise Unavailable("hub_unreachable", status="incomplete")


def channel_of(own: Credentials) -> grpc.aio.Channel:
    """A channel to the hub of one's credentials over mutual TLS 1.3."""
    issued = own.complete
    credentials = wire.channel_credentials(issued.authority.encode(), own.key.encode(), issued.certificate.encode())
    return grpc.aio.secure_channel(issued.hub, credentials, options=wire.CHANNEL_OPTIONS)


def opened(credentials: File | Credentials) -> Credentials:
    """Refused ``file_missing`` or ``key_file_exposed``, Malformed ``credentials_file``."""
    if isinstance(credentials, Credentials):
        return credentials
    try:
        return Credentials.decode(read_private(Path(credentials)))
    except OSError as problem:
        raise Refused("file_missing", file=Path(credentials).name) from problem


def _kept(file: Path) -> str:
    if not file.exists():
        return ""
    text = file.read_text("ascii", errors="replace").strip()
    if not _CURSOR.fullmatch(text):
        raise Malformed("cursor_file", file=file.name)
    return text


def _keeper(file: Path | None) -> Any:
    def keep(cursor: str) -> None:
        if file is None:
            return
        try:
            write_private(file, f"{cursor}\n".encode())
        except OSError as problem:
            raise Refused("file_unwritable", file=file.name, problem=problem.strerror or "") from problem

    return keep
