"""The same as :mod:`samprasan.client.aio` for programs without asyncio: plain loops."""

import asyncio
import atexit
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from samprasan.client import aio
from samprasan.client.aio import File
from samprasan.keys.credentials import Credentials
from samprasan.ledger.events import Change

T = TypeVar("T")


def follow(
    credentials: File | Credentials,
    *,
    after: str = "",
    subscription: str = "",
    only: Sequence[str] = (),
    cursor_file: File | None = None,
    start_over: bool = True,
    bookmarks: bool = False,
) -> Iterator[Change]:
    """See :func:`samprasan.client.aio.follow`."""
    for portion in _plainly(aio.portions(credentials, after, subscription, only, cursor_file, start_over=start_over)):
        for change in portion:
            if change.type not in aio.QUIET or bookmarks:
                yield change


def snapshot(credentials: File | Credentials, *, subscription: str = "", only: Sequence[str] = ()) -> Iterator[Change]:
    """See :func:`samprasan.client.aio.snapshot`."""
    return _plainly(aio.snapshot(credentials, subscription=subscription, only=only))


def resolve(credentials: File | Credentials, token: str) -> str:
    """See :func:`samprasan.client.aio.resolve`."""
    return run(aio.resolve(credentials, token))


def run(asked: Coroutine[Any, Any, T]) -> T:
    """What a coroutine of :mod:`samprasan.client.aio` gives, waited for in a program without asyncio."""
    coming = asyncio.run_coroutine_threadsafe(asked, _loop())
    try:
        return coming.result()
    finally:
        coming.cancel()


def _plainly(items: AsyncGenerator[T, None]) -> Iterator[T]:
    """The items, each asked for when the one before has been dealt with."""

    async def following() -> list[T]:
        async for item in items:
            return [item]
        return []

    try:
        while found := run(following()):
            yield found[0]
    finally:
        if _loop().is_running():  # a program that ends waits for nothing
            run(items.aclose())


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One that runs as long as the program: gRPC's own thread speaks to loops that it knew, ended ones as well."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="samprasan-client", daemon=True)
    thread.start()

    def stop() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    atexit.register(stop)
    return loop
