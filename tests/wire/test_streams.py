"""Any client follows, is killed and goes on; readers that misbehave delay nobody."""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from samprasan.edge import wire
from samprasan.keys.credentials import Credentials
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc

from tests import integrating, recording
from tests.integrating import SOON, SUBJECTS, Shown, follow_until_now, until
from tests.recording import channel

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv" / "bin"
EXAMPLE = ROOT / "docs" / "integrating" / "nodejs"


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
        until(lambda: bool(cursor()))  # it has its place
        for _ in range(2):
            shown.give()
            until(lambda: is_at_the_end(shown, cursor()))
            program.kill()
            shown.give()  # nobody follows
            start()
        expected = len(shown.told()) - before
        until(lambda: len(program.told) >= expected)
    finally:
        program.kill()
    told = [event_id for event_id, _ in program.told]
    assert told == shown.told()[before:][: len(told)]
    assert expected > 8


def is_at_the_end(shown: Shown, cursor: str) -> bool:
    return not follow_until_now(shown.app, bytes.fromhex(cursor))


def content(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def test_our_client_goes_on_where_it_was_killed(shown: Shown, tmp_path: Path) -> None:
    cursor_file = tmp_path / "app.cursor"
    program = Program(in_hexadecimal)
    command = (sys.executable, "-m", "samprasan.client", "follow", "--credentials", shown.app)
    goes_on(shown, program, lambda: program.start(*command, "--cursor-file", cursor_file), lambda: content(cursor_file))


def test_a_program_in_nodejs_goes_on_where_it_was_killed(shown: Shown, tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLE, tmp_path / "nodejs", ignore=shutil.ignore_patterns("node_modules"))
    install: list[str | Path] = [BIN / "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder]
    subprocess.run(install, check=True, capture_output=True)
    cursor_file = tmp_path / "app.cursor"
    program = Program(in_hexadecimal)
    command = (BIN / "node", folder / "follow.mjs", shown.app, cursor_file, ROOT / "proto")
    goes_on(shown, program, lambda: program.start(*command), lambda: content(cursor_file))


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


def test_readers_that_do_not_read_or_read_a_byte_at_a_time_or_come_back_at_once_delay_nobody(
    shown: Shown, tmp_path: Path
) -> None:
    own = Credentials.decode(integrating.admit(shown.served, "rude", tmp_path, streams=50).read_bytes())
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
    before = bytes.fromhex(follow_until_now(shown.app)[-1]["cursor"])

    async def run() -> float:
        async with channel(Credentials.decode(shown.app.read_bytes())) as opened:
            stub: Any = changes_pb2_grpc.ChangesStub(opened)
            call = stub.Follow(v1.FollowRequest(after=before))
            begun = time.monotonic()
            await asyncio.to_thread(shown.load.give, shown.chance, deeds=1, subjects=SUBJECTS)
            while not (await asyncio.wait_for(call.read(), SOON)).page.events:
                pass
            call.cancel()
            return time.monotonic() - begun

    return asyncio.run(run())


def memory_kibibytes(shown: Shown) -> int:
    status = Path(f"/proc/{shown.served.processes['hub'].pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
