"""The same as :mod:`samprasan.client.aio` for programs without asyncio: plain loops, in the caller's own thread."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TypeVar

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
    return asyncio.run(aio.resolve(credentials, token))


def _plainly(items: AsyncIterator[T]) -> Iterator[T]:
    """The items, each waited for when it is asked for."""
    with asyncio.Runner() as runner:

        async def following() -> list[T]:
            async for item in items:
                return [item]
            return []

        while found := runner.run(following()):
            yield found[0]
