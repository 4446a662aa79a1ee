"""What a hub does by itself: jobs in rounds, each apart from the others.

A round that fails is logged with its place, and the next one comes: the database may be away for a moment, and a fault
in one job ends neither it nor the process.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from samprasan.edge.logs import get_logger
from samprasan.hub.accounts import opening
from samprasan.hub.integrators import reader
from samprasan.hub.log import checkpoints, intake
from samprasan.hub.log import scrub as log_scrub
from samprasan.hub.members import mailbox
from samprasan.hub.process import status
from samprasan.hub.process.running import Running
from samprasan.hub.recovery import recovery
from samprasan.keys.errors import SamprasanError

NEWS_POLL_SECONDS = 0.25  # another hub process on the same database may have stored mail
SCRUB_SECONDS = 5.0
CHECKPOINT_SECONDS = 1.0  # how often it is seen whether the log has grown
EXPIRE_SECONDS = 1.0  # reads and what comes next see a hold as over in any case
RECOVER_SECONDS = 10.0
LAPSE_SECONDS = 60.0
RETAIN_SECONDS = 600.0
WARN_SECONDS = 60.0  # how often limits are looked at
logger = get_logger("hub")
Round = Callable[[], Coroutine[Any, Any, bool]]


async def repeat(name: str, seconds: float, work: Round, wake: asyncio.Event | None = None) -> None:
    """Do ``work`` for ever, ``seconds`` apart or when ``wake`` is set; at once again when there is more."""
    failing = ""
    while True:
        more = False
        try:
            more = await work()
            if failing:
                logger.info("job goes on", job=name)
            failing = ""
        except Exception as problem:  # each told once, since a database that is away fails many rounds a second
            failure = problem.code if isinstance(problem, SamprasanError) else type(problem).__name__
            if failure != failing:
                known = {"code": problem.code} if isinstance(problem, SamprasanError) else {"exc_info": True}
                logger.error("job failed", job=name, **known)
            failing = failure
        if more:
            await asyncio.sleep(0)
        elif wake is None:
            await asyncio.sleep(seconds)
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await wake.wait()


def jobs(running: Running) -> list[Coroutine[Any, Any, None]]:
    """Every job of the process, to be run as a task each."""
    return [
        repeat("watch", NEWS_POLL_SECONDS, Watch(running).round),
        repeat("warn", WARN_SECONDS, Warnings(running).round),
        repeat("expire", EXPIRE_SECONDS, partial(expire, running)),
        repeat("offer", CHECKPOINT_SECONDS, partial(offer, running)),
        repeat("scrub", SCRUB_SECONDS, Scrub(running).round),
        repeat("recover", RECOVER_SECONDS, partial(recover, running)),
        show_for_ever(running),
        repeat("lapse", LAPSE_SECONDS, partial(lapse, running)),
        repeat("retain", RETAIN_SECONDS, partial(retain, running)),
    ]


def show_for_ever(running: Running) -> Coroutine[Any, Any, None]:
    """The job that followers of changes wait for."""
    return repeat("show", NEWS_POLL_SECONDS, partial(show, running), running.grown)


async def expire(running: Running) -> bool:
    """Say in the log which holds have run out."""
    return await running.write(intake.expire_due, running.hub)


async def lapse(running: Running) -> bool:
    """Forget admissions whose time is over, and close accounts whose rest is."""
    turned = await running.write(intake.turn_due, running.hub)
    return await running.write(opening.forget_lapsed, running.hub) or turned


async def recover(running: Running) -> bool:
    """Go on with a recovery: who gave back the last entry may have gone, or this process may have begun anew."""
    if await running.read(recovery.is_recovering, running.hub.db):
        await running.write(recovery.advance_recovery, running.hub)
    return False


async def offer(running: Running) -> bool:
    """Sign a checkpoint if the log has grown."""
    await running.write(checkpoints.offer_checkpoint, running.hub)
    return False


async def retain(running: Running) -> bool:
    """Forget changes and subscriptions that have been kept long enough."""
    await running.write(reader.retain, running.hub, running.showing.kept_days)
    return False


async def show(running: Running) -> bool:
    """Fetch what is new at the end of the log for those who follow."""
    running.grown.clear()
    if not running.recent_changes.is_started:
        running.recent_changes.start(await running.read(reader.log_size, running.hub.db))
    while running.recent_changes.add(await running.read(reader.newest, running.hub.db, running.recent_changes.size)):
        running.changed.set()
        running.changed = asyncio.Event()
    return False


@dataclass
class Watch:
    """Ring when mail or documents change, whichever hub process stored them."""

    running: Running
    seen: tuple[int, int] | None = None

    async def round(self) -> bool:
        """Look once."""
        found = await self.running.read(mailbox.news_numbers, self.running.hub.db)
        if found != self.seen:
            self.seen = found
            self.running.ring()
        return False


@dataclass
class Scrub:
    """Look at stored entries again, round and round; ``told`` are the damaged ones that were logged."""

    running: Running
    place: int = 0
    told: set[int] = field(default_factory=set)

    async def round(self) -> bool:
        """Look at the next entries."""
        self.place, found = await self.running.read(log_scrub.scrub, self.running.hub, self.place)
        for each in found:
            if each.log_index not in self.told:
                self.told.add(each.log_index)
                logger.error("log entry damaged", log_index=each.log_index, what=each.what)
        return False


@dataclass
class Warnings:
    """Log limits that are near, agencies that may be probing, and those that do not cosign, once each.

    ``told`` has what was last logged, by the kind of warning and the agency.
    """

    running: Running
    told: dict[tuple[str, str], int] = field(default_factory=dict)

    async def round(self) -> bool:
        """Look once."""
        db, now = self.running.hub.db, self.running.hub.world.now()
        off = await self.running.read(status.clock_off, db, now)
        if self._is_news("clock", "", off or 0) and off is not None:
            logger.error("clock is off: nothing is written", seconds=off)
        for each in await self.running.read(status.warnings, db, now):
            if self._is_news(each["setting"], each["agency"], each["used"]):
                logger.warning("limit is near", **each)
        for agency, unused in await self.running.read(status.probers, db, now):
            if self._is_news("probing", agency, unused):
                logger.warning("ids evaluated without use", agency=agency, unused=unused)
        for agency, size in await self.running.read(status.late_witnesses, db, now):
            if self._is_news("witness", agency, size):
                logger.warning("checkpoint not cosigned", agency=agency, cosigned=size)
        return False

    def _is_news(self, what: str, agency: str, value: int) -> bool:
        is_news = self.told.get((what, agency)) != value
        self.told[what, agency] = value
        return is_news
