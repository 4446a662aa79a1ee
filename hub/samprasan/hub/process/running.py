"""What a hub's process shares: its threads, what wakes its streams, and what it does by itself every so often."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ParamSpec, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from samprasan.edge.logs import get_logger
from samprasan.hub import limits
from samprasan.hub.identity import Hub
from samprasan.hub.integrators import approval as integrators_approval
from samprasan.hub.integrators import reader
from samprasan.hub.integrators.approval import Approved
from samprasan.hub.integrators.recent_changes import Shelf
from samprasan.hub.log import checkpoints, intake
from samprasan.hub.log import scrub as log_scrub
from samprasan.hub.members import hello, mailbox
from samprasan.hub.members.joining import Authority
from samprasan.hub.process import status
from samprasan.hub.process.sequencer import Sequencer
from samprasan.hub.recovery import recovery
from samprasan.keys import certificates
from samprasan.keys.errors import SamprasanError
from samprasan.keys.handles import SECRET_BYTES

P = ParamSpec("P")
T = TypeVar("T")
logger = get_logger("hub")
NEWS_POLL_SECONDS = 0.25  # another hub process on the same database may have stored mail
SCRUB_SECONDS = 5.0
CHECKPOINT_SECONDS = 1.0  # how often it is seen whether the log has grown
EXPIRE_SECONDS = 1.0  # reads and what comes next see a hold as over in any case
RECOVER_SECONDS = 10.0
RETAIN_SECONDS = 600.0
APPROVAL_SECONDS = 2.0  # a stream notices within this, and its next bookmark, that an integrator was revoked
CHANGES_KEPT_DAYS = 30
WARN_SECONDS = 60.0  # how often limits are looked at


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
    shelf: Shelf = field(default_factory=Shelf)
    following: Counter[str] = field(default_factory=Counter)
    pushing: Counter[str] = field(default_factory=Counter)
    reconciling: set[str] = field(default_factory=set)
    refeeding: set[str] = field(default_factory=set)
    _approvals: "dict[str, tuple[asyncio.Future[Approved], float]]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()

        def written() -> None:
            with contextlib.suppress(RuntimeError):  # the last writes come when the loop has ended
                loop.call_soon_threadsafe(self.grown.set)

        self.sequencer = Sequencer(lambda submissions: intake.append(self.hub, submissions), written)
        self.threads = ThreadPoolExecutor(limits.READING_THREADS, "reading")

    @property
    def by_itself(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What the process does without being asked."""
        return [
            *(self.watch, self.warn, self.expire, self.offer, self.scrub, self.recover),
            *(self.show, self.retain),
        ]

    async def read(self, step: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run a step that only reads, in a reading thread."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, partial(step, *arguments, **named))

    async def write(self, step: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run a step that writes, in its turn on the sequencer."""
        return await asyncio.wrap_future(self.sequencer.call(partial(step, *arguments, **named)))

    def ring(self) -> None:
        """Wake every stream that waits for news."""
        self.news.set()
        self.news = asyncio.Event()

    async def warn(self) -> None:
        """Tell the log of limits that are near, of agencies that may be probing, and of those that do not cosign."""
        told: dict[tuple[str, str], int] = {}
        while True:
            with contextlib.suppress(SamprasanError):
                for each in await self.read(status.warnings, self.hub.db, self.hub.world.now()):
                    key = (each["setting"], each["agency"])
                    if told.get(key) != each["used"]:
                        told[key] = each["used"]
                        logger.warning("limit is near", **each)
                for agency, unused in await self.read(status.probers, self.hub.db, self.hub.world.now()):
                    if told.get(("probing", agency)) != unused:
                        told["probing", agency] = unused
                        logger.warning("ids evaluated without use", agency=agency, unused=unused)
                for agency, size in await self.read(status.late_witnesses, self.hub.db, self.hub.world.now()):
                    if told.get(("witness", agency)) != size:
                        told["witness", agency] = size
                        logger.warning("checkpoint not cosigned", agency=agency, cosigned=size)
            await asyncio.sleep(WARN_SECONDS)

    async def expire(self) -> None:
        """Say in the log which holds have run out."""
        while True:
            some = False
            try:
                some = await self.write(intake.expire_due, self.hub)
            except Exception:  # the database may be away; what comes next expires them, too
                logger.error("cannot expire holds", exc_info=True)
            await asyncio.sleep(0 if some else EXPIRE_SECONDS)

    async def scrub(self) -> None:
        """Look at stored entries again, round and round."""
        place = 0
        told: set[int] = set()
        while True:
            with contextlib.suppress(SamprasanError):
                place, found = await self.read(log_scrub.scrub, self.hub, place)
                for each in found:
                    if each.log_index not in told:
                        told.add(each.log_index)
                        logger.error("log entry damaged", log_index=each.log_index, what=each.what)
            await asyncio.sleep(SCRUB_SECONDS)

    async def recover(self) -> None:
        """Go on with a recovery: who gave back the last entry may have gone, or this process may have begun anew."""
        while True:
            try:
                if await self.read(recovery.is_on, self.hub.db):
                    await self.write(recovery.advance, self.hub)
            except Exception:  # the database may be away; the next round tries again
                logger.error("cannot recover", exc_info=True)
            await asyncio.sleep(RECOVER_SECONDS)

    async def offer(self) -> None:
        """Sign checkpoints of the log as it grows."""
        while True:
            try:
                await self.write(checkpoints.offer, self.hub)
            except Exception:  # the database may be away; the next round tries again
                logger.error("cannot sign a checkpoint", exc_info=True)
            await asyncio.sleep(CHECKPOINT_SECONDS)

    async def watch(self) -> None:
        """Ring when mail or documents change, whichever hub process stored them."""
        seen = None
        while True:
            with contextlib.suppress(SamprasanError):
                found = await self.read(mailbox.news, self.hub.db)
                if found != seen:
                    seen = found
                    self.ring()
            await asyncio.sleep(NEWS_POLL_SECONDS)

    async def show(self) -> None:
        """Fetch what is new at the end of the log for those who follow."""
        while True:
            self.grown.clear()
            try:
                if not self.shelf.is_started:
                    self.shelf.start(await self.read(reader.end, self.hub.db))
                while self.shelf.take(await self.read(reader.newest, self.hub.db, self.shelf.size)):
                    self.changed.set()
                    self.changed = asyncio.Event()
            except Exception:  # the database may be away; the next round tries again
                logger.error("cannot read changes", exc_info=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(NEWS_POLL_SECONDS):
                    await self.grown.wait()

    async def retain(self) -> None:
        """Keep changes and subscriptions no longer than they are to be kept."""
        while True:
            try:
                await self.write(reader.retain, self.hub, self.showing.kept_days)
            except Exception:  # the database may be away; the next round tries again
                logger.error("cannot forget old changes", exc_info=True)
            await asyncio.sleep(RETAIN_SECONDS)

    async def integrator(self, context: Any) -> Approved:
        """The integrator of the certificate that the connection showed, which may read now."""
        pem = context.auth_context().get("x509_pem_cert", [b""])[0]
        named = certificates.integrator_of(pem)
        der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        return await self.read(integrators_approval.caller, self.hub, certificates.fingerprint(der), named)

    async def approval(self, name: str) -> Approved:
        """What the integrator may read; looked up every few seconds, however many streams ask."""
        now = asyncio.get_running_loop().time()
        coming, at = self._approvals.get(name, (None, 0.0))
        is_failed = coming is not None and coming.done() and (coming.cancelled() or coming.exception() is not None)
        if coming is None or is_failed or now - at > APPROVAL_SECONDS:
            coming = asyncio.ensure_future(self.read(integrators_approval.standing, self.hub, name))
            self._approvals[name] = (coming, now)
        return await asyncio.shield(coming)

    async def caller(self, context: Any, *, to_recover: bool = False) -> str:
        """The agency of the certificate that the connection showed; only what is ``to_recover`` goes on meanwhile."""
        pem = context.auth_context().get("x509_pem_cert", [b""])[0]
        named = certificates.agency_of(pem)
        der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        known = partial(hello.caller, to_recover=to_recover)
        return await self.read(known, self.hub.db, certificates.fingerprint(der), named)
