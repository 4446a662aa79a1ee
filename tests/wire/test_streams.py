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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from federation import AGENCIES
from federation import Federation as LocalFederation
from samprasan.client import streaming
from samprasan.client.connection import Connection
from samprasan.edge import wire
from samprasan.hub import home as hub_homes
from samprasan.hub.tables import subjects
from samprasan.keys import certificates
from samprasan.keys.credentials import Credentials
from samprasan.keys.errors import Refused, SamprasanError, Unavailable, Unproven
from samprasan.node import home as node_homes
from samprasan.node.deeds import Consents
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc, hub_pb2

from tests import commands, integrating, local
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
    """A program of an integrator, which is killed and started anew; ``read`` finds ids and cursors in what it prints."""

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


def _goes_on(
    shown: Shown, program: Program, start: Callable[[], None], cursor: Callable[[], str], before: int
) -> None:
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
        shown, program, lambda: program.start(*command, "--cursor-file", cursor_file), lambda: place_of(shown, cursor_file)
    )


def test_a_program_in_nodejs_goes_on_where_it_was_killed(shown: Shown, tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLE, tmp_path / "nodejs", ignore=shutil.ignore_patterns("node_modules"))
    install = [BIN / "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder]
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
    curl = [BIN / "buf", "curl", "--schema", ROOT / "proto", "--protocol", "grpc", "--servername", "samprasan-hub", *shows]
    program = Program(in_base64)
    first = follow_until_now(shown.app)[-1]["cursor"]

    def cursor() -> str:
        return program.told[-1][1] if program.told else first

    def start() -> None:
        after = base64.b64encode(bytes.fromhex(cursor())).decode()
        url = f"https://{issued.hub}/samprasan.v1.Changes/Follow"
        program.start(*curl, "--data", json.dumps({"after": after}), url)

    goes_on(shown, program, start, cursor)
