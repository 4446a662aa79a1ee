"""What a hub's process shares: its threads, and what wakes its streams."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec, TypeVar

from samprasan.hub import limits
from samprasan.hub.identity import Hub
from samprasan.hub.integrators.approval import Approved
from samprasan.hub.integrators.recent_changes import RecentChanges
from samprasan.hub.log import intake
from samprasan.hub.members.joining import Authority
from samprasan.hub.process.sequencer import Sequencer
from samprasan.keys.errors import Refused
from samprasan.keys.handles import SECRET_BYTES

P = ParamSpec("P")
T = TypeVar("T")
CHANGES_KEPT_DAYS = 30


@dataclass(frozen=True, slots=True)
class Showing:
    """What the hub needs to show changes: the secret that makes handles and cursors, and how long they are kept."""

    secret: bytes = bytes(SECRET_BYTES)
    kept_days: int = CHANGES_KEPT_DAYS


@dataclass
class Running:
    """What the servicers share."""

    hub: Hub
    authority: Authority
    showing: Showing = field(default_factory=Showing)
    sequencer: Sequencer = field(init=False)
    threads: ThreadPoolExecutor = field(init=False)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    draining: bool = False
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    recent_changes: RecentChanges = field(default_factory=RecentChanges)
    following: Counter[str] = field(default_factory=Counter)
    streams: Counter[tuple[str, str]] = field(default_factory=Counter)  # by method and agency
    reconciling: set[str] = field(default_factory=set)
    refeeding: set[str] = field(default_factory=set)
    approvals: "dict[str, tuple[asyncio.Future[Approved], float]]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()

        def written() -> None:
            with contextlib.suppress(RuntimeError):  # the last writes come when the loop has ended
                loop.call_soon_threadsafe(self.grown.set)

        self.sequencer = Sequencer(lambda submissions: intake.append(self.hub, submissions), written)
        self.threads = ThreadPoolExecutor(limits.READING_THREADS, "reading")

    async def read(self, step: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run a step that only reads, in a reading thread."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, partial(step, *arguments, **named))

    async def write(self, step: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run a step that writes, in its turn on the sequencer."""
        return await asyncio.wrap_future(self.sequencer.call(partial(step, *arguments, **named)))

    @contextlib.contextmanager
    def one_more_stream(self, method: str, agency: str) -> Iterator[None]:
        """Count a stream of an agency while it lasts; Refused ``streams_over_limit`` if it has too many."""
        if self.streams[method, agency] >= limits.STREAMS_PER_AGENCY_MAX:
            raise Refused("streams_over_limit", agency=agency, most=limits.STREAMS_PER_AGENCY_MAX)
        self.streams[method, agency] += 1
        try:
            yield
        finally:
            self.streams[method, agency] -= 1

    def ring(self) -> None:
        """Wake every stream that waits for news."""
        self.news.set()
        self.news = asyncio.Event()
