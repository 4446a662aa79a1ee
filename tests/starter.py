"""Processes that begin with everything loaded: each is forked from one that has, and saves the second that takes.

They are processes like others, with a pid, a log and an end of their own.  Keyrings that they make protect nothing, and
open at once.
"""

import atexit
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from typing import Any

LOADED = (
    "samprasan.client.__main__",
    "samprasan.hub.__main__",
    "samprasan.hub.integrators.publisher",
    "samprasan.hub.process.server",
    "samprasan.node.__main__",
    "samprasan.node.process.counter_service",
    "alembic.command",
    "psycopg",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
)
QUICK_COST = 2  # of scrypt: opening a keyring takes 0.35 s as it should be
assert all(find_spec(name) for name in LOADED)  # a wrong name would be passed over in silence
_lock = threading.Lock()  # starting a process looks after all others, and two may not look after one
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(LOADED))


def start(
    program: str, arguments: Sequence[str], folder: str, environment: Mapping[str, str], streams: Sequence[int]
) -> ForkServerProcess:
    """Start a command of ``samprasan.hub``, ``node`` or ``client`` with these as its standard streams."""
    given = _Streams(streams)
    process = _context.Process(target=_run, args=(program, list(arguments), folder, dict(environment), given))
    process.daemon = True
    with _lock:
        process.start()
    return process


def exit_code(process: ForkServerProcess) -> int | None:
    """How it ended, or None if it has not."""
    with _lock:
        return process.exitcode


@atexit.register
def _kill_what_is_left() -> None:
    """Kill processes that are left: the end of the tests would wait for them without limit."""
    for process in multiprocessing.active_children():
        process.kill()


class _Streams:
    """Open files that go with a process that is started."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = numbers

    def __reduce__(self) -> Any:
        return _detach, tuple(DupFd(number) for number in self.numbers)


def _detach(*given: Any) -> list[int]:
    return [each.detach() for each in given]


def _run(program: str, arguments: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> None:
    """Take over the given streams and variables in the forked process, and run the command."""
    loading = {name: value for name, value in os.environ.items() if name.startswith("GRPC_")}  # set by edge/wire
    os.environ.clear()
    os.environ.update(loading | environment)
    os.chdir(folder)
    sys.argv = [program.replace(".", "-"), *arguments]
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = os.fdopen(0, closefd=False)
    from samprasan.edge import command
    from samprasan.keys.keyring import Keyring

    Keyring.create = partial(Keyring.create, cost=QUICK_COST)  # type: ignore[method-assign]
    command.main(import_module(f"{program}.__main__").app, arguments)


class Process:
    """A process that runs a command of ours and writes a log; it is used as ``subprocess.Popen`` is."""

    def __init__(self, program: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.args = [program, *arguments]
        reading, writing = os.pipe()
        with Path(os.devnull).open("rb") as nothing, os.fdopen(writing, "wb") as stdout, log.open("ab") as stderr:
            streams = [each.fileno() for each in (nothing, stdout, stderr)]
            self._process = start(program, arguments, str(Path.cwd()), environment, streams)
        self.stdout = os.fdopen(reading, encoding="utf-8")
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """How it ended, or None if it has not."""
        return exit_code(self._process)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and say how it came; TimeoutExpired after ``timeout`` seconds."""
        connection.wait([self._process.sentinel], timeout)
        ended = self.poll()
        if ended is None:
            raise TimeoutExpired(self.args, timeout or 0)
        return ended

    def send_signal(self, number: int) -> None:
        """Send a signal; to a process that has ended, none."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def run(program: str, arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> CompletedProcess[str]:
    """Run a command to its end, as ``subprocess.run`` does, with its output captured."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "stderr"
        process = Process(program, arguments, log, environment)
        with process.stdout:
            said = process.stdout.read()
        return CompletedProcess(process.args, process.wait(), said, log.read_text("utf-8"))
