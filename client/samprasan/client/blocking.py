"""The same as :mod:`samprasan.client.aio` for programs without asyncio: plain loops."""

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from samprasan.client import aio
from samprasan.client.aio import File
from samprasan.keys.credentials import Credentials
from samprasan.ledger.events import Change

T = TypeVar("T")
END_SECONDS_MAX = 5.0  # for what was interrupted


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
    return _background().run(asked)


def _plainly(items: AsyncGenerator[T, None]) -> Iterator[T]:
    """The items, each asked for when the one before has been dealt with."""

    async def following() -> list[T]:
        async for item in items:
            return [item]
        return []

    background = _background()
    try:
        while found := background.run(following()):
            yield found[0]
    finally:
        background.close(items)


class _Background:
    """A loop that runs as long as the program: gRPC's own thread speaks to loops that it knew, ended ones as well."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="samprasan-client", daemon=True)
        self._thread.start()
        atexit.register(self._stop)

    def run(self, asked: Coroutine[Any, Any, T]) -> T:
        """Wait for it; who is interrupted leaves nothing running."""
        ended = threading.Event()

        async def to_its_end() -> T:
            try:
                return await asked
            finally:
                ended.set()

        coming = asyncio.run_coroutine_threadsafe(to_its_end(), self.loop)
        try:
            return coming.result()
        finally:
            if not ended.is_set():
                coming.cancel()
                ended.wait(END_SECONDS_MAX)

    def close(self, items: AsyncGenerator[Any, None]) -> None:
        """Wait until they are let go, unless the program ends, or whoever tidied up here is the loop itself."""
        if threading.current_thread() is self._thread:
            self.loop.create_task(items.aclose())
        elif self.loop.is_running():
            self.run(items.aclose())

    def _stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()


_making = threading.Lock()
_backgrounds: dict[int, _Background] = {}


def _background() -> _Background:
    """The one of this process; of a forked one, another."""
    with _making:
        if os.getpid() not in _backgrounds:
            _backgrounds[os.getpid()] = _Background()
        return _backgrounds[os.getpid()]
