"""The project's commands for a shell, without the second that each takes to load: see ``starter``.

Scripts with the commands' names hand their words, folder, variables and streams to this process, which has them run.
"""

import json
import os
import shlex
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path

from tests import starter

PROGRAMS = {
    "samprasan-hub": "samprasan.hub",
    "samprasan-node": "samprasan.node",
    "samprasan-client": "samprasan.client",
}
WRAPPER = """#!/bin/sh
exec {python} -IS {script} "$@"
"""
SCRIPT = """
import json, os, signal, socket, struct, sys
asked = json.dumps([{program!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
starter = socket.socket(socket.AF_UNIX)
starter.connect({address!r})
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
socket.send_fds(starter, [struct.pack("I", len(asked))], [0, 1, 2])
starter.sendall(asked)
(pid,) = struct.unpack("i", starter.recv(4))
def pass_on(number, _):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has just ended
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, pass_on)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM, signal.SIGINT])
(code,) = struct.unpack("i", starter.recv(4))
sys.exit(code if code >= 0 else 128 - code)
"""


@contextmanager
def commands(folder: Path) -> Iterator[Path]:
    """A folder for ``PATH`` with the three commands."""
    with tempfile.TemporaryDirectory() as short:  # a socket's path has at most 107 bytes
        address = f"{short}/starter"
        _write_scripts(folder, address)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            threading.Thread(target=_serve, args=(listener,), daemon=True).start()
            try:
                yield folder
            finally:
                listener.shutdown(socket.SHUT_RDWR)


def _write_scripts(folder: Path, address: str) -> None:
    for name, program in PROGRAMS.items():
        script, wrapper = folder / f"{name}.py", folder / name
        script.write_text(SCRIPT.format(program=program, address=address), "utf-8")
        wrapper.write_text(WRAPPER.format(python=shlex.quote(sys.executable), script=shlex.quote(str(script))), "utf-8")
        wrapper.chmod(0o700)


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            asked, _ = listener.accept()
        except OSError:
            return  # shut down
        threading.Thread(target=_run, args=(asked,), daemon=True).start()


def _run(asked: socket.socket) -> None:
    """Start what is asked for, and say its pid and how it ended; without anybody who waits for it, it ends."""
    with asked, suppress(OSError, struct.error):  # whoever asked may be gone
        head, streams, _, _ = socket.recv_fds(asked, 4, 3)
        size = struct.unpack("I", head)[0]
        program, arguments, folder, environment = json.loads(asked.recv(size, socket.MSG_WAITALL))
        process = starter.start(program, arguments, folder, environment, streams)
        for stream in streams:
            os.close(stream)
        asked.sendall(struct.pack("i", process.pid))
        wait([process.sentinel, asked])
        ended = starter.exit_code(process)
        if ended is None:
            process.kill()
        else:
            asked.sendall(struct.pack("i", ended))
