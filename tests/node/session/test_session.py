"""A session's tasks: what one of them cannot do stops the others only if the hub is gone or lies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from samprasan.keys.errors import Refused, Unavailable, Unproven
from samprasan.node.process import reconnect, serve
from samprasan.node.session import ceremony, hello, linking, live, mail, push, session, tasks, witness
from samprasan.node.sync import batches
from structlog.testing import capture_logs

GONE = Unavailable("hub_unreachable", status="gone")
NOBODY: Any = None


@pytest.mark.parametrize(
    ("problem", "ends"),
    [
        (GONE, True),
        (Unproven("log_forked"), True),
        (Unproven("log_went_back", size=1, seen=2), True),
        (Unavailable("log_damaged", level=0, number=4), False),
        (Unavailable("reconcile_busy"), False),
        (Unproven("sketch", cells=5), False),
        (Refused("no_roster"), False),
        (ValueError("a fault of ours"), False),
    ],
)
async def test_only_a_hub_that_is_gone_or_lies_ends_a_session(
    problem: Exception, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PATIENCE_SECONDS", 0)
    made = session.Session(NOBODY, NOBODY, live.Live())
    raised = pytest.raises(type(problem), check=lambda found: found is problem) if ends else contextlib.nullcontext()
    with raised:
        async with made.patiently("a task"):
            raise problem


async def test_a_command_that_somebody_waits_for_is_told_of_a_fault_of_ours_at_once() -> None:
    made = session.Session(NOBODY, NOBODY, live.Live(), patient=False)
    with pytest.raises(KeyError):
        async with made.patiently("a task"):
            raise KeyError("x")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the tasks of a session end with these exceptions, at once; the others wait."""

    def prepare(**problems: Exception) -> None:
        async def said(_session: object) -> int:
            return 0

        def task(name: str) -> Callable[..., Any]:
            async def run(*_given: object) -> None:
                if name in problems:
                    raise problems[name]
                await asyncio.Event().wait()

            return run

        monkeypatch.setattr(hello, "say_hello", said)
        monkeypatch.setattr(hello, "repeat", task("hello"))
        for module in (push, ceremony, linking, mail, witness):
            name = module.__name__.rpartition(".")[2]
            monkeypatch.setattr(module, "run", task(name))

    return prepare


async def run_once() -> None:
    await tasks.run(session.Session(NOBODY, NOBODY, live.Live()))


async def test_what_ends_a_session_is_raised_by_itself_and_not_in_a_group(failing: Callable[..., None]) -> None:
    failing(push=GONE)
    with pytest.raises(Unavailable, check=lambda found: found is GONE):
        await run_once()


async def test_what_needs_an_operator_comes_before_what_passes(failing: Callable[..., None]) -> None:
    forked = Unproven("chain_fork", seq=1)
    failing(hello=GONE, push=forked, mail=GONE)
    with pytest.raises(Unproven, check=lambda found: found is forked):
        await run_once()


async def test_a_fault_of_ours_hides_no_other_error_and_is_logged(failing: Callable[..., None]) -> None:
    fault = KeyError("x")
    failing(push=GONE, mail=fault)
    with capture_logs() as logged, pytest.raises(Unavailable, check=lambda found: found is GONE):
        await run_once()
    assert [(each["task"], each["exc_info"]) for each in logged] == [("mail", fault)]


async def test_a_fault_of_ours_alone_is_raised_as_it_is(failing: Callable[..., None]) -> None:
    failing(mail=KeyError("x"))
    with pytest.raises(KeyError):
        await run_once()


@pytest.mark.parametrize("problem", [KeyError("x"), Unproven("log_forked"), GONE])
async def test_a_service_goes_on_whatever_ended_a_session(
    problem: Exception, failing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(problem, Unproven):
        monkeypatch.setattr(reconnect, "PATIENCE_SECONDS", 0)  # somebody has to help; a fault is not waited for so long
    monkeypatch.setattr(reconnect, "FAULT_SECONDS_MIN", 0.01)
    failing(mail=problem)
    begun = 0
    stopped = asyncio.Event()

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[Any]:
        nonlocal begun
        begun += 1
        if begun == 3:
            stopped.set()
        yield None

    async with asyncio.timeout(20):
        await reconnect.run_until(NOBODY, connect, stopped)
    assert begun >= 3


async def test_a_command_that_waits_is_told_of_a_fault_of_ours(failing: Callable[..., None]) -> None:
    failing(mail=KeyError("x"))

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[Any]:
        yield None

    with pytest.raises(KeyError):
        await reconnect.run_until(NOBODY, connect, asyncio.Event(), patient=False)


async def test_a_cancellation_is_not_lost_however_fast_tasks_fail(
    failing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(mail=GONE)
    for turns in range(12):  # the cancellation comes while tasks begin, fail, and are awaited

        async def forever() -> None:
            while True:
                with contextlib.suppress(Unavailable):
                    await run_once()

        task = asyncio.create_task(forever())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(5):
            await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()


async def test_a_task_that_ends_by_itself_ends_the_session_like_a_hub_that_is_gone(
    failing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def done(*_given: object) -> None:
        return

    failing()
    monkeypatch.setattr(mail, "run", done)
    with pytest.raises(Unavailable):
        await run_once()


@pytest.mark.parametrize("cancels", [0, 1, 2])
async def test_when_a_session_ends_whoever_waits_is_told_that_the_hub_is_gone(
    cancels: int, failing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it is cancelled once more while a task takes long to end."""
    shared = live.Live()

    async def slow(*_given: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)

    failing(**({} if cancels else {"push": GONE}))
    monkeypatch.setattr(mail, "run", slow)
    rings = (shared.work.next(), shared.sending.next())
    task = asyncio.create_task(tasks.run(session.Session(NOBODY, NOBODY, shared)))
    await asyncio.sleep(0.01)
    for _ in range(cancels):
        task.cancel()
        await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        await asyncio.gather(task, return_exceptions=True)
    assert not shared.connected
    assert all(ring.is_set() for ring in rings)


async def test_a_counter_is_told_of_a_fault_of_ours(failing: Callable[..., None]) -> None:
    failing(mail=KeyError("x"))

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[Any]:
        yield None

    with pytest.raises(KeyError):
        await serve.settle(NOBODY, connect, 10, lambda: False)


async def test_nothing_is_sealed_for_a_session_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its call reads on for a while; a counter that gives up meanwhile could not take back what it has asked for."""
    asked = asyncio.Event()

    def nothing_yet(*_: object) -> None:
        asked.set()

    monkeypatch.setattr(batches, "seal_next_batch", nothing_yet)

    class HubThatReadsOn:
        """As gRPC does while its call is being taken down."""

        async def push(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for each in requests:
                yield each

    hub: Any = HubThatReadsOn()
    made = session.Session(SimpleNamespace(db=None), hub, live.Live())  # type: ignore[arg-type]
    waiting = asyncio.ensure_future(push.run(made, 0))
    await asked.wait()
    monkeypatch.setattr(batches, "seal_next_batch", lambda *_: pytest.fail("sealed"))
    made.is_over = True
    made.live.wake_all()
    with pytest.raises(Unavailable, match="stream ended"):
        await waiting
