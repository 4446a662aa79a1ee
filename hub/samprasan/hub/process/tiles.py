"""The log's tree over plain HTTP, as C2SP ``tlog-tiles`` says, for any tool that reads such logs.

Everything here is a digest: an entry is the SHA-256 of a receipt.  What is served never changes, but for
``/checkpoint``.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Iterator, Sequence

import uvicorn
from samprasan.edge.configuration import address_of
from samprasan.edge.database import Database, Tx
from samprasan.hub import store
from samprasan.hub.log import checkpoints
from samprasan.keys.errors import Refused
from samprasan.keys.merkle import TILE_WIDTH
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CALLERS_MAX = 64  # at once; the next one hears 503 and comes again
IDLE_SECONDS = 5
_STOP_SECONDS = 1
_PATH = re.compile(r"((?:x[0-9]{3}/){0,5})([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_NOT_FOR_LONG = {"Cache-Control": "no-cache"}


def application(db: Database) -> Starlette:
    """The pages."""

    async def checkpoint(_request: Request) -> Response:
        note = await asyncio.to_thread(_note, db)
        if not note:
            return Response("no checkpoint yet\n", 404, media_type="text/plain")
        return Response(note, media_type="text/plain; charset=utf-8", headers=_NOT_FOR_LONG)

    async def tile(request: Request) -> Response:
        which, path = request.path_params["which"], _PATH.fullmatch(request.path_params["path"])
        level = 0 if which == "entries" else _level(which)
        if path is None or level is None:
            return Response("no such tile\n", 404, media_type="text/plain")
        number = int(path[1].replace("x", "").replace("/", "") + path[2])
        width = int(path[3]) if path[3] else TILE_WIDTH
        found = await asyncio.to_thread(_tile, db, level, number, width, bundled=which == "entries")
        if found is None:
            return Response("no such tile\n", 404, media_type="text/plain")
        return Response(found, media_type="application/octet-stream", headers=_FOR_EVER)

    return Starlette(routes=[Route("/checkpoint", checkpoint), Route("/tile/{which}/{path:path}", tile)])


@contextlib.asynccontextmanager
async def served(address: str, db: Database) -> AsyncIterator[str]:
    """Serve at ``HOST:PORT`` until the block ends; the address it got.

    Raises Malformed ``address``, Refused ``address_taken``.
    """
    host, port = address_of(address)
    try:
        listener = socket.create_server((host, port))
    except OSError as problem:
        raise Refused("address_taken", address=address) from problem
    settings = uvicorn.Config(
        application(db),
        log_config=None,
        access_log=False,
        lifespan="off",
        limit_concurrency=CALLERS_MAX,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = _Server(settings)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """Signals are the hub's to handle."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def _level(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]|[1-5][0-9]|6[0-3]", text) else None


def _note(db: Database) -> bytes:
    with db.read() as tx:
        return checkpoints.offered_note(tx)


def _tile(db: Database, level: int, number: int, width: int, *, bundled: bool) -> bytes | None:
    """A tile, or with ``bundled`` a bundle of entries; None if the log has not come so far."""
    if width > TILE_WIDTH or number >= 1 << 48:
        return None
    with db.read() as tx:
        found = _entries(tx, number, width) if bundled else store.tree.tile(tx, level, number)[:width]
    if len(found) < width:
        return None
    return b"".join(len(each).to_bytes(2, "big") + each if bundled else each for each in found)


def _entries(tx: Tx, number: int, width: int) -> Sequence[bytes]:
    first = number * TILE_WIDTH
    return [row.entry for row in store.log.between(tx, first, first + width)]
