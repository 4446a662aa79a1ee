"""What the tasks of a process share: what wakes them, and whether the hub answers."""

import asyncio
import contextlib
from dataclasses import dataclass, field

LOOK_SECONDS = 0.5  # an import in another process is found by looking


class Bell:
    """Wakes every task that rests.  Who takes :meth:`next` before looking misses no ring."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Set at the next ring."""
        return self._next

    def ring(self) -> None:
        """There is work."""
        self._next.set()
        self._next = asyncio.Event()


@dataclass
class Live:
    """What the tasks of a process share: what wakes them, and whether the hub answers.

    ``sending`` wakes who sends and who waits for receipts; at a counter that must not wait for anything else.
    """

    work: Bell = field(default_factory=Bell)
    sending: Bell = field(default_factory=Bell)
    connected: bool = False

    def wake_all(self) -> None:
        """There is work for anybody."""
        self.work.ring()
        self.sending.ring()


async def wait_for_news(news: asyncio.Event) -> None:
    """Wait for news, or long enough that another process may have left work."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):  # wait_for may swallow a cancellation, and the task would never end
            await news.wait()
