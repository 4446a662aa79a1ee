"""What a hub's process shares: its threads, what wakes its streams, and what it does by itself every so often."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from samprasan.edge.database import Store
from samprasan.edge.logs import logger
from samprasan.edge.world import World
from samprasan.hub import greeting, intake, limits, mailbox, overview, recovery, scrubbing, witnessing
from samprasan.hub.joining import Authority
from samprasan.hub.sequencer import Sequencer
from samprasan.keys import certificates
from samprasan.keys.errors import SamprasanError

T = TypeVar("T")
log = logger("hub")
NEWS_POLL_SECONDS = 0.25  # another hub process on the same database may have stored mail
SCRUB_SECONDS = 5.0
CHECKPOINT_SECONDS = 1.0  # how often it is seen whether the log has grown
EXPIRE_SECONDS = 1.0  # reads and what comes next see a hold as over in any case
RECOVER_SECONDS = 10.0
WARN_SECONDS = 60.0  # how often limits are looked at


@dataclass
class Running:
    """What the servicers share."""

    store: Store
    world: World
    authority: Authority
    sequencer: Sequencer = field(init=False)
    threads: ThreadPoolExecutor = field(init=False)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    draining: bool = False
    pushing: Counter[str] = field(default_factory=Counter)
    reconciling: set[str] = field(default_factory=set)
    refeeding: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.sequencer = Sequencer(lambda submissions: intake.append(self.store, self.world, submissions))
        self.threads = ThreadPoolExecutor(limits.READING_THREADS, "reading")

    async def read(self, step: Callable[..., T], *arguments: Any) -> T:
        """Run a step that only reads, in a reading thread."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, step, *arguments)

    async def write(self, step: Callable[..., T], *arguments: Any) -> T:
        """Run a step that writes, in its turn on the sequencer."""
        return await asyncio.wrap_future(self.sequencer.call(lambda: step(*arguments)))

    def ring(self) -> None:
        """Wake every stream that waits for news."""
        self.news.set()
        self.news = asyncio.Event()

    async def warn(self) -> None:
        """Tell the log of limits that are near, of agencies that may be probing, and of those that do not cosign."""
        told: dict[tuple[str, str], int] = {}
        while True:
            with contextlib.suppress(SamprasanError):
                for each in await self.read(overview.warnings, self.store, self.world.now()):
                    key = (each["setting"], each["agency"])
                    if told.get(key) != each["used"]:
                        told[key] = each["used"]
                        log.warning("limit is near", **each)
                for agency, unused in await self.read(overview.probers, self.store, self.world.now()):
                    if told.get(("probing", agency)) != unused:
                        told["probing", agency] = unused
                        log.warning("ids evaluated without use", agency=agency, unused=unused)
                for agency, size in await self.read(overview.late_witnesses, self.store, self.world.now()):
                    if told.get(("witness", agency)) != size:
                        told["witness", agency] = size
                        log.warning("checkpoint not cosigned", agency=agency, cosigned=size)
            await asyncio.sleep(WARN_SECONDS)

    async def expire(self) -> None:
        """Say in the log which holds have run out."""
        while True:
            some = False
            try:
                some = await self.write(intake.expire_due, self.store, self.world)
            except Exception:  # the database may be away; what comes next expires them, too
                log.error("cannot expire holds", exc_info=True)
            await asyncio.sleep(0 if some else EXPIRE_SECONDS)

    async def scrub(self) -> None:
        """Look at stored entries again, round and round."""
        place = 0
        told: set[int] = set()
        while True:
            with contextlib.suppress(SamprasanError):
                place, found = await self.read(scrubbing.scrub, self.store, self.world, place)
                for each in found:
                    if each.log_index not in told:
                        told.add(each.log_index)
                        log.error("log entry damaged", log_index=each.log_index, what=each.what)
            await asyncio.sleep(SCRUB_SECONDS)

    async def recover(self) -> None:
        """Go on with a recovery: who gave back the last entry may have gone, or this process may have begun anew."""
        while True:
            try:
                if await self.read(recovery.is_on, self.store):
                    await self.write(recovery.advance, self.store, self.world)
            except Exception:  # the database may be away; the next round tries again
                log.error("cannot recover", exc_info=True)
            await asyncio.sleep(RECOVER_SECONDS)

    async def offer(self) -> None:
        """Sign checkpoints of the log as it grows."""
        while True:
            try:
                await self.write(witnessing.offer, self.store, self.world)
            except Exception:  # the database may be away; the next round tries again
                log.error("cannot sign a checkpoint", exc_info=True)
            await asyncio.sleep(CHECKPOINT_SECONDS)

    async def watch(self) -> None:
        """Ring when mail or documents change, whichever hub process stored them."""
        seen = None
        while True:
            with contextlib.suppress(SamprasanError):
                found = await self.read(mailbox.news, self.store)
                if found != seen:
                    seen = found
                    self.ring()
            await asyncio.sleep(NEWS_POLL_SECONDS)

    async def caller(self, context: Any, *, to_recover: bool = False) -> str:
        """The agency of the certificate that the connection showed; only what is ``to_recover`` goes on meanwhile."""
        pem = context.auth_context().get("x509_pem_cert", [b""])[0]
        named = certificates.agency_of(pem)
        der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        known = partial(greeting.caller, to_recover=to_recover)
        return await self.read(known, self.store, certificates.fingerprint(der), named)
