"""The client against a hub's own servicer: what it tells, what it keeps, what it does not believe."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from samprasan.client import aio, blocking, follow, resolve, snapshot
from samprasan.edge import wire
from samprasan.edge.logs import get_logger
from samprasan.hub import limits as hub_limits
from samprasan.hub.integrators import approval, reader
from samprasan.hub.integrators.approval import Approved
from samprasan.hub.process import background, changes_service
from samprasan.hub.process.changes_service import ChangesServicer
from samprasan.hub.process.running import Running, Showing
from samprasan.keys.credentials import Credentials
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unavailable, Unproven
from samprasan.ledger.events import Change
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc

from tests import federation, reading
from tests.databases import Databases
from tests.federation import Federation
from tests.reading import Integration
from tests.working import Working

PATIENCE_SECONDS = 30.0


class Tampering(ChangesServicer):
    """A hub that says what it is told to say, and counts the acknowledgements that it refuses."""

    tamper: Callable[[v1.FollowResponse], v1.FollowResponse] = staticmethod(lambda word: word)
    refused = 0

    async def Follow(self, request: v1.FollowRequest, context: Any) -> AsyncIterator[v1.FollowResponse]:  # noqa: N802
        async for word in super().Follow(request, context):
            yield self.tamper(v1.FollowResponse.FromString(word) if isinstance(word, bytes) else word)

    async def Acknowledge(self, request: v1.AcknowledgeRequest, context: Any) -> v1.AcknowledgeResponse:  # noqa: N802
        try:
            return await super().Acknowledge(request, context)
        except Unavailable:
            self.refused += 1
            raise


class Hub:
    """The servicer of a federation's hub at a Unix socket, in a thread of its own."""

    def __init__(self, fed: Federation, app: Integration, socket: Path) -> None:
        self.fed, self.app, self.address = fed, app, f"unix:{socket}"
        self.servicer: Any = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.start()

    def start(self) -> None:
        self._do(self._start())

    def stop(self) -> None:
        self._do(self._stop())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _start(self) -> None:
        fed = self.fed
        self.running = Running(fed.hub, cast("Any", None), Showing(self.app.secret))

        self._showing = asyncio.ensure_future(background.show_for_ever(self.running))
        interceptors = [wire.ErrorInterceptor(get_logger("hub"))]
        self._server = grpc.aio.server(interceptors=interceptors, options=wire.SERVER_OPTIONS)

        async def integrator(_running: Running, _context: Any) -> Approved:
            return approval.current_approval(fed.hub, self.app.name)

        self.servicer = Tampering(self.running, integrator)
        changes_pb2_grpc.add_ChangesServicer_to_server(self.servicer, self._server)
        self._server.add_insecure_port(self.address)
        await self._server.start()

    async def _stop(self) -> None:
        self._showing.cancel()
        self.running.draining = True
        self.running.changed.set()
        await self._server.stop(1)
        self.running.sequencer.close()
        self.running.threads.shutdown()


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[Federation]:
    """A federation in files, which several threads can read."""
    databases = Databases("sqlite", tmp_path, "")
    made = federation.make(databases.db)
    yield made
    made.close()
    databases.close()


@pytest.fixture
def mpc(fed: Federation) -> Working:
    made = Working(fed)
    made.do(made.link(), made.award(10))
    return made


@pytest.fixture
def app(fed: Federation, mpc: Working) -> Integration:
    reading.approve(fed, "welfare-app", "balances")
    return Integration(fed)


@pytest.fixture
def hub(fed: Federation, app: Integration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    made = Hub(fed, app, tmp_path / "hub.sock")
    monkeypatch.setattr(
        aio, "channel_of", lambda _own: grpc.aio.insecure_channel(made.address, options=wire.CHANNEL_OPTIONS)
    )
    monkeypatch.setattr(aio, "PAUSE_SECONDS_MAX", 0.2)
    monkeypatch.setattr(changes_service, "BOOKMARK_SECONDS", 0.3)
    watchdog = threading.Timer(PATIENCE_SECONDS, give_up)
    watchdog.start()
    yield made
    watchdog.cancel()
    made.close()


def clients_loop() -> asyncio.AbstractEventLoop:
    """The loop that a program without asyncio has its questions asked in."""

    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    return blocking.run(running())


def give_up() -> None:
    """Whoever waits for a change that does not come waits no more."""
    loop = clients_loop()
    loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])


@pytest.fixture
def own(app: Integration) -> Credentials:
    return Credentials(app.name, "", app.issued)


def some(changes: Iterator[Change], count: int) -> list[Change]:
    return [next(changes) for _ in range(count)]


def until_bookmark(changes: Iterator[Change]) -> list[Change]:
    found = [next(changes)]
    while found[-1].type != "bookmark":
        found.append(next(changes))
    return found


def test_a_reader_begins_with_all_there_is_and_goes_on_with_what_changes(
    hub: Hub, own: Credentials, mpc: Working
) -> None:
    changes = follow(own)
    assert [each.type for each in some(changes, 3)] == ["reset", "linked", "policy.activated"]
    mpc.do(mpc.award(5), mpc.award(6))
    told = some(changes, 2)
    assert [(each.type, each.cause, each.credits, each.earned) for each in told] == [
        ("credit.changed", "award", 5, 15),
        ("credit.changed", "award", 6, 21),
    ]
    assert [each.type for each in snapshot(own)] == ["reset", "linked", "policy.activated", "bookmark"]


def test_with_asyncio_it_is_the_same(hub: Hub, own: Credentials, mpc: Working) -> None:
    async def read() -> list[Change]:
        found: list[Change] = []
        async for change in aio.follow(own, bookmarks=True):
            found.append(change)
            if change.type == "bookmark":
                break
        return found

    plainly = until_bookmark(follow(own, bookmarks=True))
    also = blocking.run(read())
    assert [each.as_document() for each in also[:-1]] == [each.as_document() for each in plainly[:-1]]


def test_the_place_is_kept_once_the_next_is_asked_for_and_not_before(
    hub: Hub, own: Credentials, mpc: Working, tmp_path: Path
) -> None:
    file = tmp_path / "app.cursor"
    changes = follow(own, cursor_file=file)
    some(changes, 3)  # the last of the snapshot is still being dealt with
    assert not file.exists()
    mpc.do(mpc.award(5))
    (five,) = some(changes, 1)
    before = file.read_text()
    mpc.do(mpc.award(6))
    (six,) = some(changes, 1)
    assert file.read_text() != before
    changes.close()  # type: ignore[attr-defined]
    again = follow(own, cursor_file=file)
    assert some(again, 1) == [six]
    assert five.id != six.id
    assert (file.stat().st_mode & 0o777) == 0o600


def test_a_batch_that_was_dealt_with_in_part_comes_again_whole(
    hub: Hub, own: Credentials, mpc: Working, tmp_path: Path
) -> None:
    file = tmp_path / "app.cursor"
    changes = follow(own, cursor_file=file)
    some(changes, 3)
    mpc.do(mpc.award(1), mpc.award(2), mpc.award(3))
    first, second = some(changes, 2)
    changes.close()  # type: ignore[attr-defined]
    assert some(follow(own, cursor_file=file), 2) == [first, second]


def test_a_hub_that_is_about_to_stop_says_so(hub: Hub, own: Credentials) -> None:
    changes = follow(own, bookmarks=True)
    until_bookmark(changes)
    stopping = threading.Thread(target=hub.stop)
    stopping.start()
    assert "draining" in [each.type for each in some(changes, 1)]
    stopping.join()
    hub.start()


def test_it_goes_on_when_the_hub_was_away(hub: Hub, own: Credentials, mpc: Working) -> None:
    changes = follow(own)
    some(changes, 3)
    for credits_ in (5, 6, 7):
        hub.stop()
        mpc.do(mpc.award(credits_))
        hub.start()
        (told,) = some(changes, 1)
        assert told.credits == credits_


def test_a_place_that_is_too_old_begins_anew_or_ends_as_one_likes(
    hub: Hub, own: Credentials, fed: Federation, mpc: Working
) -> None:
    told = until_bookmark(follow(own, bookmarks=True))
    cursor = told[-1].cursor
    assert cursor is not None
    mpc.do(mpc.award(1))
    fed.clock.now_ms += 40 * 86_400_000
    mpc.do(mpc.award(5))
    reader.retain(fed.hub, 30)
    changes = follow(own, after=cursor)
    assert [(each.type, each.earned) for each in some(changes, 2)] == [("reset", None), ("linked", 16)]
    with pytest.raises(Refused) as told_so:
        next(follow(own, after=cursor, start_over=False))
    assert (told_so.value.code, told_so.value.values["reason"]) == ("cursor_too_old", "not_kept")


def left_out(word: v1.FollowResponse) -> v1.FollowResponse:
    if len(word.page.events) > 1:
        del word.page.events[0]
    return word


def changed(word: v1.FollowResponse) -> v1.FollowResponse:
    for event in word.page.events:
        event.earned += 1
    return word


def moved(word: v1.FollowResponse) -> v1.FollowResponse:
    if word.HasField("bookmark"):
        word.bookmark.cursor = bytes(16)
    return word


def unsigned(word: v1.FollowResponse) -> v1.FollowResponse:
    if word.HasField("bookmark"):
        word.bookmark.shown.signatures[0].signature = bytes(64)
    return word


@pytest.mark.parametrize("tamper", [left_out, changed, moved, unsigned])
def test_what_the_hub_did_not_sign_for_is_not_believed(
    hub: Hub, own: Credentials, app: Integration, mpc: Working, tamper: Callable[[Any], Any]
) -> None:
    after = app.follow().events[0].cursor.hex()
    mpc.do(mpc.award(1), mpc.award(2))
    hub.servicer.tamper = tamper
    with pytest.raises(Unproven):
        until_bookmark(follow(own, after=after, bookmarks=True))


def test_another_hubs_word_is_not_believed(hub: Hub, own: Credentials) -> None:
    another = replace(own, issued=replace(own.complete, hub_key=bytes(32)))
    with pytest.raises(Unproven):
        until_bookmark(follow(another, bookmarks=True))


def code_of(step: Callable[[], Any]) -> str:
    with pytest.raises(SamprasanError) as problem:
        step()
    return problem.value.code


def test_a_cursor_file_that_is_none_is_named(hub: Hub, own: Credentials, tmp_path: Path) -> None:
    (tmp_path / "bad.cursor").write_text("ไม่ใช่")
    with pytest.raises(Malformed) as problem:
        next(follow(own, cursor_file=tmp_path / "bad.cursor"))
    assert (problem.value.code, problem.value.values["file"]) == ("cursor_file", "bad.cursor")
    nowhere = follow(own, cursor_file=tmp_path / "no folder" / "app.cursor", bookmarks=True)
    assert code_of(lambda: [next(nowhere) for _ in range(5)]) == "file_unwritable"
    assert code_of(lambda: next(follow(own, after="zz"))) == "cursor"
    assert code_of(lambda: next(follow(tmp_path / "none.credentials"))) == "file_missing"
    assert code_of(lambda: next(follow(Credentials("welfare-app", "")))) == "credentials_incomplete"


@pytest.mark.parametrize("token", ["", "AAAA", "abcd", "ไม่ใช่", "====", "A" * 10_000])
def test_a_token_that_is_none_is_told_so(hub: Hub, own: Credentials, token: str) -> None:
    assert code_of(lambda: resolve(own, token)) == "token"


def test_a_follower_that_is_closed_leaves_nothing_behind(hub: Hub, own: Credentials) -> None:
    changes = [follow(own) for _ in range(5)]
    for each in changes:
        next(each)
        each.close()  # type: ignore[attr-defined]
    until = time.monotonic() + PATIENCE_SECONDS / 2
    loop = clients_loop()
    while hub.running.following["welfare-app"] or asyncio.all_tasks(loop):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_subscription_is_acknowledged_and_too_many_of_them_are_no_error(
    hub: Hub, own: Credentials, fed: Federation, mpc: Working, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio, "ACKNOWLEDGE_SECONDS", 0.0)
    monkeypatch.setattr(hub_limits, "ACKNOWLEDGE_SECONDS", 1e9)
    changes = follow(own, subscription="main", bookmarks=True)
    until_bookmark(changes)
    count, until = 1, time.monotonic() + PATIENCE_SECONDS / 2
    while not hub.servicer.refused:
        assert time.monotonic() < until
        mpc.do(mpc.award(count))
        assert [each.credits for each in until_bookmark(changes)[:-1]] == [count]
        count += 1
    mpc.do(mpc.award(count))
    assert [each.credits for each in until_bookmark(changes)[:-1]] == [count]
    (listed,) = approval.list_integrators(fed.hub.db, fed.hub.world.now())
    assert [each["subscription"] for each in listed["subscriptions"]] == ["main"]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What a shell starts in the background ignores SIGINT, and so do the programs that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_who_interrupts_is_interrupted_and_nothing_goes_on(hub: Hub, own: Credentials) -> None:
    changes = follow(own)
    some(changes, 3)
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        next(changes)
    until = time.monotonic() + PATIENCE_SECONDS / 2
    loop = clients_loop()
    while asyncio.all_tasks(loop):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_threads_that_begin_at_once_share_one_loop() -> None:
    """In a process of its own, where nobody has asked anything yet."""
    program = """
import asyncio, concurrent.futures
from samprasan.client import blocking
async def loop(): return id(asyncio.get_running_loop())
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(len(set(pool.map(lambda _: blocking.run(loop()), range(8)))))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout == "1\n"


def test_a_stream_that_the_loop_itself_tidies_up_stops_nothing(hub: Hub, own: Credentials) -> None:
    changes = follow(own)
    next(changes)

    async def tidy() -> None:
        changes.close()  # type: ignore[attr-defined]

    blocking.run(tidy())
    assert next(follow(own)).type == "reset"


def test_a_forked_process_has_a_loop_of_its_own() -> None:
    program = (
        "import asyncio, os\nfrom samprasan.client import blocking\n"
        "blocking.run(asyncio.sleep(0))\npid = os.fork()\n"
        "if pid == 0:\n    blocking.run(asyncio.sleep(0))\n    os._exit(7)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=20, check=False)
    assert done.returncode == 7
