"""Publishing to a real nats-server: everything once and in order, whoever is killed."""

import asyncio
import itertools
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_binary, from_structured
from cloudevents.core.formats.json import JSONFormat
from samprasan.client import blocking
from samprasan.hub import home as hub_homes
from samprasan.hub import store
from samprasan.hub.integrators import jetstream as integrators_jetstream
from samprasan.hub.integrators import publisher as integrators_publisher
from samprasan.hub.integrators.cloudevents import CURSOR_HEADER
from samprasan.hub.integrators.jetstream import Target
from samprasan.keys import certificates
from samprasan.keys.credentials import Credentials
from samprasan.keys.documents import STREAMS_MAX
from samprasan.v1 import changes_pb2 as v1

from tests import commands, integrating, jetstream, local, starter
from tests.integrating import SUBJECTS, Shown, follow_until_now, until
from tests.jetstream import Server, Stored

STREAM = "SAMPRASAN_DASHBOARD"
STOP_SECONDS = 10.0
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def dashboard(shown_to_all: Shown, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The credentials of an integrator whose changes are published."""
    return integrating.admit(
        shown_to_all.served, "dashboard", tmp_path_factory.mktemp("dashboard"), "balances", streams=STREAMS_MAX
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A nats-server with JetStream."""
    with jetstream.server(tmp_path, local.free_address()) as found:
        yield found


def arguments(server: Server, *options: str) -> tuple[str, ...]:
    return ("publish", server.url, "--integrator", "dashboard", *options)


class Publisher:
    """A process that publishes."""

    def __init__(self, shown: Shown, server: Server, *options: str) -> None:
        self._command = [*arguments(server, *options), "--home", str(shown.served.home("hub"))]
        self._log = shown.served.folder / f"publish-{next(_numbers)}.log"
        self.process = self.start()

    def start(self) -> starter.Process:
        self.process = starter.Process("samprasan.hub", self._command, self._log, os.environ)
        return self.process

    def stop(self, number: int = signal.SIGKILL) -> int:
        self.process.send_signal(number)
        ended = self.process.wait(STOP_SECONDS)
        self.process.stdout.close()
        return ended

    def wait_for_end(self, within: float) -> tuple[int, str]:
        """How it ended by itself, and all it said on stderr."""
        return self.process.wait(within), self._log.read_text("utf-8")


@contextmanager
def publishing(shown: Shown, server: Server, *options: str) -> Iterator[Publisher]:
    publisher = Publisher(shown, server, *options)
    try:
        yield publisher
    finally:
        publisher.stop()


def ids(messages: list[Stored]) -> list[str]:
    """Of changes: those of a snapshot are named after its cursor."""
    return [event_id for each in messages if "/" not in (event_id := each.document["id"])]


def caught_up(server: Server, dashboard: Path) -> bool:
    """Whether the newest event is in the stream."""
    newest = follow_until_now(dashboard)[-1]["id"]
    try:
        return newest in ids(jetstream.stored(server.url, STREAM)[-20:])
    except (nats.errors.Error, OSError):
        return False


def test_a_stream_begins_with_all_there_is_and_goes_on_with_the_same_events(
    shown: Shown, dashboard: Path, server: Server
) -> None:
    before = len(follow_until_now(dashboard))
    standing = [each for each in blocking.snapshot(dashboard) if each.handle]
    with publishing(shown, server) as publisher:
        ready = publisher.process.stdout.readline().removeprefix("ready ")
        assert json.loads(ready) == {"stream": STREAM, "subjects": "samprasan.dashboard.>"}
        shown.give()
        until(lambda: caught_up(server, dashboard))
        until(lambda: behind(shown) == 0)
        assert publisher.stop(signal.SIGTERM) == 0
    messages = jetstream.stored(server.url, STREAM)
    assert messages[0].subject == "samprasan.dashboard.reset"
    assert ids(messages) == [each["id"] for each in follow_until_now(dashboard)[before:]]
    begun = [each.document["data"] for each in messages if "/" in each.document["id"]]
    known = {each["handle"]: each["earned"] for each in begun if "handle" in each}
    assert known == {each.handle: each.earned for each in standing}
    for each in messages:
        data = each.document["data"]
        if data["type"] == "credit.changed":
            assert each.subject == f"samprasan.dashboard.credit.{data['agency']}.{data['dimension']}"
    one = jetstream.stored(server.url, STREAM, "samprasan.dashboard.credit.mpc.>")
    assert one == [each for each in messages if ".credit.mpc." in each.subject]


def behind(shown: Shown) -> int | None:
    """How far the operator sees that publishing is behind."""
    (own,) = (each for each in shown.served.answer("hub", "integrator", "list") if each["name"] == "dashboard")
    found = {each["subscription"]: each["behind"] for each in own["subscriptions"]}
    return found.get("nats")


def test_any_reader_of_cloudevents_reads_both_forms(shown: Shown, dashboard: Path, server: Server) -> None:
    streams = {"json": STREAM, "protobuf": "OTHER"}
    with ExitStack() as stack:
        for form, stream in streams.items():
            own = ("--format", form, "--stream", stream, "--subjects", f"{form}.dashboard", "--subscription", form)
            stack.enter_context(publishing(shown, server, *own))
        until(lambda: all(seen(server, stream) for stream in streams.values()))
        shown.give()
        newest = follow_until_now(dashboard)[-1]["id"]
        until(lambda: all(newest in str(seen(server, stream)) for stream in streams.values()))
    both = {
        form: {each.get_id(): each for each in map(read, seen(server, stream)) if "/" not in each.get_id()}
        for form, stream in streams.items()
    }
    shared = both["json"].keys() & both["protobuf"].keys()
    assert shared == both["json"].keys() == both["protobuf"].keys()
    assert len(shared) >= 3
    federation = Credentials.decode(dashboard.read_bytes()).complete.federation_id.hex()
    for event_id in shared:
        written, packed = both["json"][event_id], both["protobuf"][event_id]
        event = v1.Event.FromString(packed.get_data())
        assert written.get_source() == packed.get_source() == f"urn:samprasan:{federation}:dashboard"
        assert written.get_type() == packed.get_type() == f"samprasan.{written.get_data()['type']}"
        assert written.get_subject() == packed.get_subject() == event.handle.hex()
        assert written.get_time() == packed.get_time()
        assert written.get_data()["earned"] == event.earned
        assert event.id.hex() == event_id


def seen(server: Server, stream: str) -> list[Stored]:
    try:
        return jetstream.stored(server.url, stream)
    except nats.errors.Error:
        return []


def has_snapshot(server: Server, stream: str) -> bool:
    return any(CURSOR_HEADER in each.headers for each in seen(server, stream))


def read(message: Stored) -> Any:
    """A CloudEvent, by the library of the project that made them."""
    if "content-type" in message.headers:
        return from_structured(HTTPMessage(message.headers, message.data), JSONFormat())
    headers = message.headers | {"content-type": message.headers["ce-datacontenttype"]}
    return from_binary(HTTPMessage(headers, message.data), JSONFormat())


def test_nothing_is_lost_doubled_or_out_of_order_whoever_is_killed(
    shown: Shown, dashboard: Path, server: Server
) -> None:
    chance = random.Random(3)
    begun = len(follow_until_now(dashboard))
    with publishing(shown, server) as one, publishing(shown, server) as other:
        until(lambda: has_snapshot(server, STREAM))
        for number in range(6):
            shown.load.give(chance, deeds=10, subjects=SUBJECTS)
            time.sleep(chance.uniform(0.1, 0.6))
            if number % 3 == 2:
                server.kill()
                time.sleep(0.3)
                server.start()
            else:
                publisher = chance.choice((one, other))
                publisher.stop()
                publisher.start()
        shown.load.wait()
        until(lambda: caught_up(server, dashboard))
    messages = jetstream.stored(server.url, STREAM)
    assert ids(messages) == [each["id"] for each in follow_until_now(dashboard)[begun:]]
    assert len(ids(messages)) > 150
    subjects = [each.subject for each in messages]
    resets = subjects.count("samprasan.dashboard.reset")  # both may find that there is nothing yet
    assert subjects[:resets] == ["samprasan.dashboard.reset"] * resets


def test_a_line_that_held_for_long_is_tried_again_too(
    shown: Shown, dashboard: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrators_publisher, "RETRY_SECONDS_MAX", 0.0)  # so long that it is no new failure
    monkeypatch.setattr(integrators_jetstream, "ANSWER_SECONDS_MAX", 2.0)
    opened = hub_homes.open_home(shown.served.home("hub"))
    hub = opened.hub
    connected: list[Any] = []

    async def run() -> None:
        target = Target.parse(server.url, STREAM, "samprasan.dashboard", None, None)
        order = integrators_publisher.Order("dashboard", "nats", v1.Filter(), "json", start_over=True)
        publisher = integrators_publisher.Publisher(hub, opened.showing.secret, target, order, connected.append)
        task = asyncio.ensure_future(publisher.run())
        for number in (1, 2):
            while len(connected) < number:
                await asyncio.sleep(0.05)
            server.kill()
            server.start()
        while len(connected) < 3:
            await asyncio.sleep(0.05)
        assert not task.done()
        for _ in range(2):  # the library may swallow one
            task.cancel()
            await asyncio.wait({task}, timeout=1)
        assert task.cancelled()

    asyncio.run(asyncio.wait_for(run(), 30))
    hub.db.close()


def test_it_begins_anew_where_its_last_message_is_gone_or_too_old(
    shown: Shown, dashboard: Path, server: Server
) -> None:
    with publishing(shown, server):
        until(lambda: bool(seen(server, STREAM)))
    jetstream.ask(server.url, lambda context: context.purge_stream(STREAM))
    with publishing(shown, server):
        until(lambda: has_snapshot(server, STREAM))  # stopped in its middle it would begin anew in any case
    assert jetstream.stored(server.url, STREAM)[0].subject == "samprasan.dashboard.reset"
    shown.served.run("hub", "integrator", "change-handles", "dashboard")
    refused = run(shown, server, "--no-start-over")
    assert "handles_changed" in refused
    with publishing(shown, server):
        until(lambda: str(seen(server, STREAM)).count("dashboard.reset") == 2)


def run(shown: Shown, server: Server, *options: str) -> str:
    """What a publisher says that does not publish."""
    giving_up = threading.Timer(20, os.kill, (os.getpid(), signal.SIGTERM))
    giving_up.start()  # the command ends, then, with 0
    done = commands.hub(shown.served.home("hub"), *arguments(server, *options))
    giving_up.cancel()
    assert done.returncode == 1, done
    return done.stderr


def test_what_cannot_be_published_is_refused_in_plain_words(
    shown: Shown, dashboard: Path, server: Server, tmp_path: Path
) -> None:
    assert (
        "nats://HOST:PORT"
        in commands.hub(shown.served.home("hub"), "publish", "http://127.0.0.1", "--integrator", "dashboard").stderr
    )
    assert "stream" in run(shown, server, "--stream", "a.b")
    assert "subjects" in run(shown, server, "--subjects", "a.*")
    assert "onep" in run(shown, server, "--only", "agency=onep")
    for url in ("nats://h:99999", "nats://a:4222,nats://b:4222", "nats://"):
        told = commands.hub(shown.served.home("hub"), "publish", url, "--integrator", "dashboard")
        assert "nats://HOST:PORT" in told.stderr
    for name, text in {"none.creds": "x", "bad.creds": "-----BEGIN USER NKEY SEED-----\nSUAAAA\n------END"}.items():
        (tmp_path / name).write_text(text)
        assert name in run(shown, server, "--nats-credentials", str(tmp_path / name))
        assert name in run(shown, server, "--nats-authority", str(tmp_path / name))
    assert '"nobody"' in run(shown, server, "--integrator", "nobody")
    assert "there.creds" in run(shown, server, "--nats-credentials", "/not/there.creds")
    jetstream.ask(server.url, lambda context: context.add_stream(name="WIDE", subjects=["samprasan.>"]))
    assert "samprasan.dashboard.>" in run(shown, server, "--stream", "WIDE")
    jetstream.ask(server.url, lambda context: context.delete_stream("WIDE"))
    with publishing(shown, server, "--stream", "OWN"):
        until(lambda: has_snapshot(server, "OWN"))
    others = ("--stream", "OWN", "--subjects", "samprasan.dashboard", "--integrator", "welfare-app")
    assert "OWN" in run(shown, server, *others)


def test_a_server_without_jetstream_or_with_another_password_is_told_of(
    shown: Shown, dashboard: Path, tmp_path: Path
) -> None:
    with jetstream.server(tmp_path, local.free_address(), "--name", "plain") as plain:
        assert "JetStream" in run(shown, plain)
    with jetstream.server(tmp_path, local.free_address(), "-js", "--user", "hub", "--pass", "secret-word") as closed:
        assert "let this publisher in" in run(shown, closed)
        closed.kill()
        wrong = replace(closed, address=f"hub:another-word@{closed.address}")
        closed.start()
        told = run(shown, wrong)
        assert "let this publisher in" in told
        assert "another-word" not in told


def test_nothing_is_said_to_a_server_without_the_certificate_that_was_asked_for(
    shown: Shown, dashboard: Path, server: Server, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    key, other = certificates.new_key(), certificates.new_key()
    files = {"own": certificates.authority(key, now), "another": certificates.authority(other, now)}
    for name, der in files.items():
        (tmp_path / name).write_bytes(certificates.pem_of(der))
    server_key = certificates.new_key()
    (tmp_path / "key").write_bytes(certificates.key_pem(server_key))
    served = certificates.server_certificate(server_key, key, files["own"], ["127.0.0.1"], now)
    (tmp_path / "cert").write_bytes(certificates.pem_of(served))
    config = tmp_path / "tls.conf"
    config.write_text(f'jetstream: enabled\ntls {{ cert_file: "{tmp_path}/cert", key_file: "{tmp_path}/key" }}\n')
    with jetstream.server(tmp_path / "secure", local.free_address(), "-c", str(config)) as secure:
        address = replace(secure, scheme="tls")
        assert "does not let" in run(shown, address, "--nats-authority", str(tmp_path / "another"))
        assert "does not let" in run(shown, address)  # nobody that this machine trusts
        with publishing(shown, address, "--nats-authority", str(tmp_path / "own")) as publisher:
            assert publisher.process.stdout.readline().startswith("ready")
    plainly = replace(server, scheme="tls")
    assert "without TLS" in run(shown, plainly)
    assert "without TLS" in run(shown, server, "--nats-authority", str(tmp_path / "own"))


def test_a_publisher_that_may_not_publish_uses_up_no_snapshot(
    shown: Shown, dashboard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrators_jetstream, "ANSWER_SECONDS_MAX", 2.0)
    config = tmp_path / "mute.conf"
    config.write_text(
        "jetstream: enabled\nauthorization { users: [{ user: hub, password: word, "
        'permissions: { publish: ["$JS.API.>"], subscribe: ["_INBOX.>"] } }] }\n'
    )
    with jetstream.server(tmp_path, local.free_address(), "-c", str(config)) as mute:
        before = snapshots_taken(shown)
        told = run(shown, replace(mute, address=f"hub:word@{mute.address}"))
        assert "does not let this publisher in" in told
        assert snapshots_taken(shown) == before


def snapshots_taken(shown: Shown) -> int:
    _, db = hub_homes.open_database(shown.served.home("hub"))
    with db.read() as tx:
        found = store.integrators.find(tx, "dashboard").snapshots
    db.close()
    return found


def test_a_publisher_in_the_middle_of_much_ends_when_it_is_told_to(
    shown: Shown, dashboard: Path, server: Server
) -> None:
    with publishing(shown, server) as publisher:
        until(lambda: bool(seen(server, STREAM)))
        shown.load.give(random.Random(9), deeds=200, subjects=SUBJECTS)
        until(lambda: len(seen(server, STREAM)) > 60)
        assert publisher.stop(signal.SIGTERM) == 0
    shown.load.wait()


def test_a_revoked_integrator_is_published_no_more(shown: Shown, server: Server, tmp_path: Path) -> None:
    integrating.admit(shown.served, "kiosk", tmp_path)
    with publishing(shown, server, "--integrator", "kiosk", "--stream", "KIOSK") as publisher:
        until(lambda: bool(seen(server, "KIOSK")))
        shown.served.run("hub", "integrator", "revoke", "kiosk")
        code, told = publisher.wait_for_end(within=60)
        assert code == 1
        assert "kiosk" in told
