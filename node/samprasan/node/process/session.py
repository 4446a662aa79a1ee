"""One session with the hub: hello first, then every task at once, until something cannot be asked or is refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from samprasan.client.connection import Hub
from samprasan.edge.database import Database
from samprasan.edge.logs import get_logger
from samprasan.keys.errors import Refused, SamprasanError, Unavailable, Unproven
from samprasan.node import limits
from samprasan.node.counter import redemption
from samprasan.node.documents import accepted
from samprasan.node.identity import Node
from samprasan.node.linking import accounts, ceremony, letters, questions, rotation
from samprasan.node.linking.letters import Letter
from samprasan.node.process import mail, status
from samprasan.node.process.live import Live
from samprasan.node.proof import reconciliation, witness
from samprasan.node.recovery import refeed
from samprasan.node.sync import batches, halt, hello, hub_chain, receipts
from samprasan.v1 import hub_pb2

P = ParamSpec("P")
T = TypeVar("T")
HELLO_SECONDS = 60.0
ROTATION_HELLO_SECONDS = 10.0  # the hub says how many have moved to the next linking key
LOOK_SECONDS = 0.5  # an import in another process is found by looking
RECONCILE_SECONDS = 300.0
WITNESS_SECONDS = 3.0  # a checkpoint is final a round or two after it is signed
_HALTING = frozenset({"chain_fork", "node_went_back", "hub_went_back", "receipt_foreign"})
_ITS_OWN = frozenset({"log_damaged", "reconcile_busy"})  # the hub answers: everything else goes on
logger = get_logger("node")


@dataclass
class Session:
    """What runs over one connection."""

    node: Node
    hub: Hub
    live: Live
    told: dict[str, int] = field(default_factory=dict)
    quiet: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Hello first, then everything at once, until one of the tasks fails; that failure is raised."""
        after_seq = await self.say_hello()
        self.live.connected = True
        try:
            async with asyncio.TaskGroup() as tasks:
                for task in (
                    self._greet(),
                    self._send(after_seq),
                    self._hold_ceremony(),
                    self._link(),
                    self._read_mail(),
                    self._witness(),
                    self._reconcile(),
                ):
                    tasks.create_task(task)
        except* SamprasanError as problems:
            raise _first(problems) from None
        finally:
            self.live.connected = False
            self.live.wake_all()

    async def _step(self, step: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.to_thread(step, *arguments, **named)

    async def say_hello(self) -> int:
        """Say hello and do what the answer asks for; the batch behind which to send."""
        node = self.node
        said, answer = await self.greet()
        after_seq = await self._step(hello.greeted, node, said, answer)
        if await self._step(accepted.has_roster, node.db):
            await self._keep_up(answer.own_head.seq)
        if abs(answer.now - node.world.now()) > limits.CLOCK_OFF_MS_MAX:
            logger.error("clock is off", seconds=round((answer.now - node.world.now()) / 1000))
        await self._step(redemption.expire, node.db, node.world.now())
        for each in await self._step(status.warnings, node.db, node.identity.agency, node.world.now()):
            logger.warning("limit is near", **each)
        for use in answer.linking_use:
            if use.probing and self.told.get(use.agency) != use.unused:
                self.told[use.agency] = use.unused
                logger.warning("ids evaluated without use", agency=use.agency, unused=use.unused)
        return after_seq

    async def greet(self) -> tuple[hello.Greeting, hub_pb2.HelloResponse]:
        """Hello, once this node knows of every cut and the hub is given back what it lacks; raises as :meth:`feed`."""
        said = await self._step(hello.greeting, self.node.db, self.node.world.now())
        answer = await self.hub.hello(said.request)
        if answer.cut_version > said.request.cut_version:
            await self._step(halt.check_not_forked, self.node.db)
            await self._fetch_documents()
            said = await self._step(hello.greeting, self.node.db, self.node.world.now())
            answer = await self.hub.hello(said.request)
        if await self.feed(answer):
            answer = await self.hub.hello(said.request)
        return said, answer

    async def feed(self, answer: hub_pb2.HelloResponse) -> bool:
        """Give the hub back what it lacks; whether it lacked something.

        Raises Unavailable ``hub_recovering`` as long as it takes nothing new.
        """
        node = self.node
        if answer.refeed:
            seqs = (answer.head.seq, answer.own_head.seq)
            taken = await self.hub.refeed(refeed.everything(node, *seqs, answer.damaged))
            logger.warning("hub fed again", entries=taken)
        elif answer.damaged and (entries := await self._step(_held, node.db, answer.damaged)):
            with contextlib.suppress(Refused):  # another agency was faster
                logger.warning("log mended", entries=await self.hub.refeed(entries))
            return True
        if answer.recovering:
            raise Unavailable("hub_recovering")
        return False

    async def _keep_up(self, own_seq: int) -> None:
        """Recall the hub's own chain as far as it goes."""
        node = self.node
        while (kept := await self._step(hub_chain.kept_up_to, node.db)) < own_seq:
            some: list[hub_pb2.LogEntry] = []
            async for entry in self.hub.recall(hub_pb2.RecallRequest(own=True, after_seq=kept)):
                some.append(entry)
                if len(some) == limits.BATCHES_READ_AT_ONCE:
                    await self._step(hub_chain.keep, node, some)
                    some = []
            await self._step(hub_chain.keep, node, some)
            if await self._step(hub_chain.kept_up_to, node.db) == kept:
                raise Unproven("hub_chain_fork", seq=kept + 1)  # it says that there is more, and shows none

    async def _greet(self) -> None:
        waited = 0.0
        while True:
            await asyncio.sleep(ROTATION_HELLO_SECONDS)
            waited += ROTATION_HELLO_SECONDS
            if waited >= HELLO_SECONDS or await self._step(rotation.is_running, self.node.db):
                await self.say_hello()
                waited = 0.0

    async def _send(self, after_seq: int) -> None:
        room = asyncio.Semaphore(limits.BATCHES_IN_FLIGHT_MAX)
        node = self.node
        try:
            async for response in self.hub.push(self._batches(after_seq, room)):
                if response.HasField("refusal"):
                    refusal = await self._step(receipts.refused, node, response.refusal)
                    logger.error("batch refused", seq=refusal.seq, reason=refusal.reason)
                    raise Unproven("batch_refused", seq=refusal.seq)
                await self._step(hub_chain.keep, node, response.own)
                await self._keep_up(response.own_seq)
                await self._step(receipts.settle, node, response.receipt)
                room.release()
                self.live.sending.ring()
        except Unproven as problem:
            await self._halt_if_needed(problem)
            raise
        raise Unavailable("hub_unreachable", status="stream ended")

    async def _batches(self, after_seq: int, room: asyncio.Semaphore) -> AsyncIterator[hub_pb2.PushRequest]:
        node = self.node
        while True:
            await room.acquire()
            while True:
                news = self.live.sending.next()
                async with self.quiet:
                    found = await self._step(batches.next_batch, node, after_seq)
                if found is not None:
                    break
                await _rest(news)
            after_seq, envelope = found
            kept = await self._step(hub_chain.kept_up_to, node.db)
            yield hub_pb2.PushRequest(batch=envelope, own_seq=kept)

    async def _hold_ceremony(self) -> None:
        node = self.node
        submitted = b""
        ends: set[bytes] = set()
        while True:
            news = self.live.work.next()
            async with self._patiently("ceremony"):
                await self._step(ceremony.advance, node)
                for letter_id, letter in await self._step(ceremony.unposted, node):
                    if await self._post(letter):
                        await self._step(ceremony.posted, node.db, letter_id)
                confirmed = await self._step(ceremony.confirmation, node)
                if confirmed is not None and confirmed.payload != submitted:
                    await self.hub.submit_document(confirmed)
                    submitted = confirmed.payload
                for last in await self._step(rotation.ended, node):
                    if last.payload not in ends:
                        await self.hub.submit_document(last)
                        ends.add(last.payload)
            await _rest(news)

    @contextlib.asynccontextmanager
    async def _patiently(self, task: str) -> AsyncIterator[None]:
        """What one task may not do, or finds broken, must not stop the others: the operator is told, and it waits."""
        try:
            yield
        except SamprasanError as problem:
            is_gone = isinstance(problem, Unavailable) and problem.code not in _ITS_OWN
            if is_gone or problem.code in witness.LIES:
                raise
            if problem.code == "no_roster":
                return
            logger.error("task waits", task=task, code=problem.code)
            await asyncio.sleep(HELLO_SECONDS)

    async def _link(self) -> None:
        node = self.node
        while True:
            news = self.live.work.next()
            async with self._patiently("linking"):
                await self._step(questions.ask, node)
                for request_id, letter in await self._step(questions.unposted, node):
                    if await self._post(letter):
                        await self._step(questions.posted, node.db, request_id)
                await self._open_accounts()
            await _rest(news)

    async def _post(self, letter: Letter) -> bool:
        """Whether the letter is in its reader's box; a full box is tried again later."""
        sealed = await self._step(letters.seal, self.node, letter)
        try:
            await self.hub.post_mail(letter.to, sealed)
        except Unavailable as problem:
            if problem.code != "mailbox_full":
                raise
            logger.warning("mailbox full", reader=letter.to)
            return False
        return True

    async def _open_accounts(self) -> None:
        node = self.node
        while request := await self._step(accounts.accounts_wanted, node):
            opened = await self.hub.open_accounts(request)
            await self._step(accounts.accounts_opened, node, request, opened)
            self.live.wake_all()
        while keys := await self._step(rotation.keys_to_tell, node):
            moved = await self.hub.rekey(keys)
            await self._step(rotation.told, node, keys, moved)

    async def _read_mail(self) -> None:
        async for news in self.hub.receive_mail(after=0):
            if news.HasField("documents_changed"):
                await self._fetch_documents()
            else:
                await self._deal_with(news.mail)
            self.live.wake_all()
        raise Unavailable("hub_unreachable", status="stream ended")

    async def _fetch_documents(self) -> None:
        node = self.node
        listing = await self.hub.list_documents()
        await self._step(accepted.take, node, listing)
        for lost in await self._step(accepted.unknown_to, node, listing):
            try:
                await self.hub.submit_document(lost)
            except SamprasanError as problem:  # it recovers, or too much time has passed
                logger.warning("document not taken back", code=problem.code)

    async def _deal_with(self, piece: Any) -> None:
        node = self.node
        letter = None
        try:
            if not await self._step(accepted.has_roster, node.db):
                await self._fetch_documents()  # mail may come before the word that roster 1 is in force
            letter = await self._step(mail.read, node, piece)
        except Unavailable:
            raise
        except SamprasanError as problem:
            if problem.code in witness.LIES:
                raise
            logger.warning("mail dropped", sender=piece.sender, code=problem.code)
        except Exception:  # one bad letter must not come back for ever and stop everything else
            logger.error("mail dropped", sender=piece.sender, code="failed", exc_info=True)
        if letter is not None and not await self._post(letter):
            return  # not acknowledged: it comes again with the next session
        await self.hub.acknowledge_mail(piece.number)

    async def _witness(self) -> None:
        node = self.node
        while True:
            more = False
            async with self._patiently("witnessing"):
                asked = await self._step(witness.question, node.db)
                answer = await self.hub.witness(asked.request)
                if answer.checkpoint != asked.own:
                    await self._keep_up(answer.own_seq)  # whoever accepts a checkpoint can make again what it covers
                word = await self._step(witness.witnessed, node, asked, answer)
                if word is not None:
                    await self.hub.cosign(word)
                more = asked.is_full and await self._step(witness.question, node.db) != asked
                for agency in await self._step(witness.hidden_from_us, node.db, node.world.now()):
                    logger.warning("log hidden", knows=agency)
            await asyncio.sleep(0 if more else WITNESS_SECONDS)

    async def _reconcile(self) -> None:
        node = self.node
        while True:
            await asyncio.sleep(RECONCILE_SECONDS)
            from samprasan.node.proof import reconcile_session  # what it counts with takes a while to load

            async with self._patiently("reconciling"):
                outcome = await reconcile_session.reconcile(node.db, node.identity.agency, self.hub, self.quiet)
                await self._step(reconciliation.note, node.db, node.world.now(), outcome)
                if outcome.differences:
                    logger.error("accounts differ", accounts=len(outcome.differences), causes=outcome.causes)

    async def _halt_if_needed(self, problem: SamprasanError) -> None:
        if problem.code in _HALTING:
            await self._step(halt.halt, self.node.db, problem)


def _held(db: Database, damaged: Sequence[int]) -> list[hub_pb2.RefeedRequest]:
    return list(refeed.mending(db, damaged[: limits.MENDED_AT_ONCE]))


async def _rest(news: asyncio.Event) -> None:
    """Until there is news, or long enough that another process may have left work."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):  # wait_for may swallow a cancellation, and the task would never end
            await news.wait()


def _first(problems: "ExceptionGroup[Any]") -> SamprasanError:
    """The worst of what ended a session: what needs an operator comes before what passes."""
    leaves: list[SamprasanError] = []

    def collect(group: BaseException) -> None:
        if isinstance(group, BaseExceptionGroup):
            for each in group.exceptions:
                collect(each)
        elif isinstance(group, SamprasanError):
            leaves.append(group)

    collect(problems)
    return min(leaves, key=lambda each: isinstance(each, Unavailable))
