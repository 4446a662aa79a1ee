"""Integrators over the wire: any client follows, is killed and goes on; nobody reads what is not for him."""

import asyncio
import base64
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from federation import AGENCIES
from federation import Federation as LocalFederation
from samprasan.client import streaming
from samprasan.client.connection import Connection
from samprasan.edge import wire
from samprasan.hub import home as hub_homes
from samprasan.hub.joining import Authority
from samprasan.hub.tables import subjects
from samprasan.keys import certificates
from samprasan.keys.credentials import Credentials
from samprasan.keys.errors import Refused, SamprasanError, Unproven
from samprasan.node import home as node_homes
from samprasan.node.deeds import Consents
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc, hub_pb2

from tests import commands, integrating, local, recording
from tests.federation import deed
from tests.load import Load
from tests.privacy import Scanner
from tests.recording import channel

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv" / "bin"
EXAMPLE = ROOT / "docs" / "integrating" / "nodejs"
SUBJECTS = 20
SOON = 30.0


@dataclass
class Shown:
    """A served federation with two integrators and people who agreed to both."""

    served: LocalFederation
    load: Load
    app: Path
    bank: Path
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def give(self) -> None:
        """Three more deeds, which reach the log."""
        self.load.give(self.chance, deeds=1, subjects=SUBJECTS)
        self.load.wait()

    def told(self) -> list[str]:
        """The ids of all events, from the oldest on, by a snapshot-less read of the library."""
        return [each["id"] for each in follow_until_now(self.app)]


@pytest.fixture(scope="module")
def shown(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("streams")
    with local.running(template, folder / "federation") as served:
        load = Load(served, Consents(share=True, redeem=True, integrators=True))
        app = integrating.admit(served, "welfare-app", folder, "balances", streams=50)
        bank = integrating.admit(served, "bank", folder, "dimension=health", streams=50)
        load.give(random.Random(1), deeds=10, subjects=SUBJECTS)
        load.wait()
        yield Shown(served, load, app, bank)
        load.close()


def follow_until_now(credentials: Path, after: bytes = b"") -> list[dict[str, Any]]:
    """Every event behind a cursor, or from the oldest kept, until the first bookmark with nothing new."""

    async def run() -> list[dict[str, Any]]:
        async with channel(Credentials.decode(credentials.read_bytes())) as opened:
            stub: Any = changes_pb2_grpc.ChangesStub(opened)
            found = []
            call = stub.Follow(v1.FollowRequest(after=after))
            while not (word := await asyncio.wait_for(call.read(), 10)).HasField("bookmark"):
                found += [{"id": each.id.hex(), "cursor": each.cursor.hex()} for each in word.page.events]
            call.cancel()
            return found

    return asyncio.run(run())


class Program:
    """An integrator's program, which is killed and started anew; ``read`` finds ids and cursors in what it prints."""

    def __init__(self, read: Callable[[dict[str, Any]], list[tuple[str, str]]]) -> None:
        self._read = read
        self.told: list[tuple[str, str]] = []

    def start(self, *command: str | Path) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # and what it started
        self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        text = ""
        for line in self._process.stdout:
            text += line
            try:
                self.told += self._read(json.loads(text))
                text = ""
            except ValueError:
                continue  # a document of several lines


def until(holds: Callable[[], bool]) -> None:
    """Wait for it."""
    ends = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


def in_hexadecimal(document: dict[str, Any]) -> list[tuple[str, str]]:
    """An event as our client and the example print it."""
    return [(document["id"], document["cursor"])] if "id" in document else []


def in_base64(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Events as protobuf writes them in JSON."""
    events = document.get("page", {}).get("events", [])
    return [(decoded(each["id"]), decoded(each["cursor"])) for each in events]


def decoded(text: str) -> str:
    return base64.b64decode(text).hex()


def goes_on(shown: Shown, program: Program, start: Callable[[], None], cursor: Callable[[], str]) -> None:
    """Followed live, killed, started again when more has happened: without gap or repeat."""
    before = len(shown.told())
    start()
    try:
        _goes_on(shown, program, start, cursor, before)
    finally:
        program.kill()
    assert [event_id for event_id, _ in program.told] == [each["id"] for each in follow_until_now(shown.app)[before:]]


def _goes_on(shown: Shown, program: Program, start: Callable[[], None], cursor: Callable[[], str], before: int) -> None:
    until(lambda: bool(cursor()))  # it has its place
    for _ in range(2):
        shown.give()
        events = follow_until_now(shown.app)
        until(lambda: cursor() == events[-1]["cursor"])  # noqa: B023
        program.kill()
        shown.give()  # nobody follows
        start()
    expected = [each["id"] for each in follow_until_now(shown.app)[before:]]
    until(lambda: len(program.told) >= len(expected))
    assert len(expected) > 8


def content(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def test_our_client_goes_on_where_it_was_killed(shown: Shown, tmp_path: Path) -> None:
    cursor_file = tmp_path / "app.cursor"
    program = Program(in_hexadecimal)
    command = (sys.executable, "-m", "samprasan.client", "follow", "--credentials", shown.app)
    goes_on(
        shown,
        program,
        lambda: program.start(*command, "--cursor-file", cursor_file),
        lambda: place_of(shown, cursor_file),
    )


def test_a_program_in_nodejs_goes_on_where_it_was_killed(shown: Shown, tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLE, tmp_path / "nodejs", ignore=shutil.ignore_patterns("node_modules"))
    install: list[str | Path] = [BIN / "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder]
    subprocess.run(install, check=True, capture_output=True)
    cursor_file = tmp_path / "app.cursor"
    program = Program(in_hexadecimal)
    command = (BIN / "node", folder / "follow.mjs", shown.app, cursor_file, ROOT / "proto")
    goes_on(shown, program, lambda: program.start(*command), lambda: place_of(shown, cursor_file))


def place_of(shown: Shown, cursor_file: Path) -> str:
    """The cursor of the last event that was dealt with: a bookmark's is behind the entry, and means the same."""
    found = content(cursor_file)
    events = follow_until_now(shown.app)
    return events[-1]["cursor"] if found and not follow_until_now(shown.app, bytes.fromhex(found)) else found


def test_buf_curl_goes_on_where_it_was_killed(shown: Shown, tmp_path: Path) -> None:
    own = Credentials.decode(shown.app.read_bytes())
    issued = own.complete
    files = {"cacert": issued.authority, "cert": issued.certificate, "key": own.key}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    shows = [option for name in files for option in (f"--{name}", str(tmp_path / name))]
    asks = ("curl", "--protocol", "grpc", "--servername", "samprasan-hub", "--schema", str(ROOT / "proto"))
    curl = [str(BIN / "buf"), *asks, *shows]
    program = Program(in_base64)
    first = follow_until_now(shown.app)[-1]["cursor"]

    def cursor() -> str:
        return program.told[-1][1] if program.told else first

    def start() -> None:
        after = base64.b64encode(bytes.fromhex(cursor())).decode()
        url = f"https://{issued.hub}/samprasan.v1.Changes/Follow"
        program.start(*curl, "--data", json.dumps({"after": after}), url)

    goes_on(shown, program, start, cursor)


def test_no_other_certificate_reads_changes_and_an_integrators_reads_nothing_else(shown: Shown, tmp_path: Path) -> None:
    own = Credentials.decode(shown.app.read_bytes())
    hub = hub_homes.open_hub(shown.served.home("hub"))
    node = node_homes.open_home(shown.served.home("mpc"))
    assert node.certificate is not None
    node.node.store.close()
    hub.store.close()
    request = certificates.certificate_request(certificates.load_key(own.key.encode()), "welfare-app")

    def signed(authority: Any, moment: datetime) -> bytes:
        return certificates.client_certificate(
            request, "welfare-app", authority.key, authority.certificate, moment, certificates.INTEGRATOR
        )

    now = datetime.now(UTC)
    another_key = certificates.new_key()
    another = Authority(another_key, certificates.authority(another_key, now))
    certificate = {
        "never issued": signed(hub.authority, now),
        "expired": signed(hub.authority, now - timedelta(days=1100)),
        "of another authority": signed(another, now),
    }
    refused = {
        "never issued": "certificate_unknown",
        "expired": "hub_unreachable",
        "of another authority": "hub_unreachable",
    }
    for name, der in certificate.items():
        issued = replace(own.complete, certificate=certificates.pem_of(der).decode())
        assert code_of(replace(own, issued=issued)) == refused[name], name
    agencys = replace(
        own,
        key=node.ring.get("tls").decode(),
        issued=replace(own.complete, certificate=certificates.pem_of(node.certificate).decode()),
    )
    assert code_of(agencys) == "certificate_integrator"

    async def hello() -> None:
        key = own.key.encode()
        der = x509.load_pem_x509_certificate(own.complete.certificate.encode()).public_bytes(Encoding.DER)
        async with Connection(own.complete.hub, hub.authority.certificate, key, der) as member:
            await member.hello(hub_pb2.HelloRequest())

    with pytest.raises(Unproven) as told:
        asyncio.run(hello())
    assert told.value.code == "certificate_agency"


def code_of(credentials: Credentials, **asked: Any) -> str:
    """With which error a stream ends, or begins none."""

    async def run() -> str:
        async with channel(credentials) as opened:
            stub: Any = changes_pb2_grpc.ChangesStub(opened)
            try:
                async for word in stub.Follow(v1.FollowRequest(**asked), timeout=20):
                    if word.HasField("bookmark"):
                        return ""
            except Exception as problem:
                return wire.from_rpc_error(problem).code
        return ""

    return asyncio.run(run())


BAD_CURSORS = {
    "garbage": b"\x07" * 16,
    "too short": b"\x07" * 15,
    "too long": b"\x07" * 400,
}


@pytest.mark.parametrize("name", BAD_CURSORS)
def test_a_cursor_that_is_none_is_told_so(shown: Shown, name: str) -> None:
    own = Credentials.decode(shown.app.read_bytes())
    assert code_of(own, after=BAD_CURSORS[name]) == "cursor"
    done = commands.client("follow", "--credentials", str(shown.app), "--after", BAD_CURSORS[name].hex())
    assert done.returncode == 1
    assert "cursor" in done.stderr


def test_a_cursor_serves_its_own_subscription_of_its_own_integrator(shown: Shown) -> None:
    apps, banks = (bytes.fromhex(follow_until_now(each)[-1]["cursor"]) for each in (shown.app, shown.bank))
    app, bank = (Credentials.decode(each.read_bytes()) for each in (shown.app, shown.bank))
    assert code_of(app, after=apps) == ""
    assert code_of(app, after=banks) == "cursor"
    assert code_of(bank, after=apps) == "cursor"
    assert code_of(app, after=apps, subscription="other") == "cursor"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["agency=onep"], "filter_unknown"),
        (["dimension=luck"], "scope_word"),
        (["dimension=economy"], "scope_exceeded"),
        (["cause=post"], "scope_exceeded"),
    ],
)
def test_what_is_not_in_scope_cannot_be_asked_for(shown: Shown, words: list[str], code: str) -> None:
    with pytest.raises(SamprasanError) as told:
        next(streaming.follow(shown.bank, only=words))
    assert told.value.code == code


def test_a_revoked_integrator_is_cut_off_within_a_minute(shown: Shown, tmp_path: Path) -> None:
    credentials = integrating.admit(shown.served, "shop", tmp_path)
    stream = streaming.follow(credentials, bookmarks=True)
    while next(stream).type != "bookmark":
        pass
    shown.served.run("hub", "integrator", "revoke", "shop")
    begun = time.monotonic()
    with pytest.raises(Unproven) as told:
        deque(stream, maxlen=0)
    assert told.value.code == "integrator_revoked"
    assert time.monotonic() - begun < 60
    print(f"revoked after {time.monotonic() - begun:.1f} s")
    assert code_of(Credentials.decode(credentials.read_bytes())) == "integrator_revoked"
    again = commands.client("follow", "--credentials", str(credentials))
    assert again.returncode == 1
    assert "shop" in again.stderr


def test_other_handles_begin_with_a_snapshot(shown: Shown, tmp_path: Path) -> None:
    credentials = integrating.admit(shown.served, "clinic", tmp_path)
    handles = {each.handle for each in streaming.snapshot(credentials)} - {None}
    cursor = follow_until_now(credentials)[-1]["cursor"]
    shown.served.run("hub", "integrator", "change-handles", "clinic")
    with pytest.raises(Refused) as told:
        next(streaming.follow(credentials, after=cursor, start_over=False))
    assert (told.value.code, told.value.values["reason"]) == ("cursor_too_old", "handles_changed")
    stream = streaming.follow(credentials, after=cursor, bookmarks=True)
    assert next(stream).type == "reset"
    others = set()
    while (change := next(stream)).type != "bookmark":
        others.add(change.handle)
    assert len(others - {None}) == len(handles) > 10
    assert not handles & others


def test_an_apps_user_is_found_by_a_token_and_by_nobody_else(shown: Shown) -> None:
    digits = deed(0, 3).subject.reveal()
    for agency in AGENCIES:  # whoever knows this person, agrees
        shown.served.run(agency, "consent", "give", "--id", digits, "--purpose", "integrators", check=False)
    shown.load.wait()
    token = shown.served.answer("mpc", "handle", "--id", digits, "--integrator", "welfare-app")["token"]
    (found,) = integrating.documents(commands.client("resolve", token, "--credentials", str(shown.app)))
    assert found["handle"] in {each.handle for each in streaming.snapshot(shown.app)}
    assert digits not in token
    stolen = commands.client("resolve", token, "--credentials", str(shown.bank))
    assert stolen.returncode == 1
    assert commands.client("resolve", token[:-8], "--credentials", str(shown.app)).returncode == 1


def test_the_operator_sees_how_far_a_subscription_has_come(shown: Shown) -> None:
    stream = streaming.follow(shown.app, subscription="ledger", bookmarks=True)
    for change in stream:
        if change.type == "bookmark":
            break
    next(stream)  # what came before is dealt with
    (found,) = (each for each in shown.served.answer("hub", "integrator", "list") if each["name"] == "welfare-app")
    (one,) = (each for each in found["subscriptions"] if each["subscription"] == "ledger")
    assert (one["behind"], one["is_silent"]) == (0, False)
    stream.close()  # type: ignore[attr-defined]


def raw(credentials: Path, method: str) -> list[bytes]:
    """All messages that is sent to an integrator until it has caught up, as it is on the wire."""

    async def run() -> list[bytes]:
        found = []
        async with channel(Credentials.decode(credentials.read_bytes())) as opened:
            ask: Any = opened.unary_stream(f"/samprasan.v1.Changes/{method}")
            call = ask(b"")
            async for data in call:
                found.append(data)
                if method == "Follow" and v1.FollowResponse.FromString(data).HasField("bookmark"):
                    call.cancel()
                    break
        return found

    return asyncio.run(run())


def test_two_integrators_have_no_name_in_common_and_none_of_the_hubs(shown: Shown) -> None:
    def names(credentials: Path) -> set[bytes]:
        events = [
            event for word in raw(credentials, "Follow") for event in v1.FollowResponse.FromString(word).page.events
        ]
        return {name for each in events for name in (each.id, each.cursor, each.handle) if name}

    apps, banks = names(shown.app), names(shown.bank)
    assert len(apps) > 60
    assert len(banks) > 60
    assert not apps & banks
    asked = [(each, method) for each in (shown.app, shown.bank) for method in ("Follow", "Snapshot")]
    bytes_of_both = b"".join(message for each, method in asked for message in raw(each, method))
    people = [deed(0, number) for number in range(SUBJECTS)]
    scanner = Scanner([each.subject.reveal() for each in people], [each.subject_name for each in people])
    assert scanner.hits(people[0].subject_name.encode() + bytes_of_both) == {"name"}  # it does find one
    assert scanner.hits(bytes_of_both) == set()
    _, store = hub_homes.open_store(shown.served.home("hub"))
    with store.read() as tx:
        rows = tx.execute(sa.select(subjects.c.subject_key, subjects.c.account_id)).all()
    store.close()
    assert len(rows) > SUBJECTS // 2
    for name in {name for row in rows for name in row}:
        for form in (name, name.hex().encode(), base64.b64encode(name)[:-2]):
            assert form not in bytes_of_both


def test_readers_that_do_not_read_or_read_a_byte_at_a_time_or_come_back_at_once_delay_nobody(shown: Shown) -> None:
    own = Credentials.decode(shown.bank.read_bytes())
    before = memory_kibibytes(shown)
    codes: list[str] = []

    async def run() -> list[float]:
        proxy = recording.Proxy(own.complete.hub)
        proxy.trickles = True
        async with channel(own) as idle, channel(own, proxy.address) as slow, channel(own) as hasty:
            stubs: list[Any] = [changes_pb2_grpc.ChangesStub(each) for each in (idle, slow, hasty)]
            unread = [stub.Follow(v1.FollowRequest()) for stub in (*[stubs[0]] * 10, *[stubs[1]] * 3)]
            for _ in range(400):
                call = stubs[2].Follow(v1.FollowRequest())
                try:
                    await call.read()
                except Exception as problem:
                    codes.append(wire.from_rpc_error(problem).code)
                call.cancel()
            delays = [await asyncio.to_thread(delay, shown) for _ in range(3)]
            for call in unread:
                call.cancel()
        proxy.close()
        return delays

    delays = asyncio.run(run())
    assert set(codes) == {"reconnect_slowly"}
    assert max(delays) < 10
    assert memory_kibibytes(shown) - before < 40_000


def delay(shown: Shown) -> float:
    """Seconds from a deed's import until a reader that does read has it."""
    before = follow_until_now(shown.app)[-1]["cursor"]
    begun = time.monotonic()
    shown.load.give(shown.chance, deeds=1, subjects=SUBJECTS)
    while not follow_until_now(shown.app, bytes.fromhex(before)):
        pass
    return time.monotonic() - begun


def memory_kibibytes(shown: Shown) -> int:
    status = Path(f"/proc/{shown.served.processes['hub'].pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
