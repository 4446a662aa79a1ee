"""The project's commands for a shell, without the second that each takes to load: see ``starter``.

Scripts with the commands' names hand their words, folder, variables and streams to this process, which has them run.
"""

import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path

from tests import starter

PROGRAMS = {
    "samprasan-hub": "samprasan.hub",
    "samprasan-node": "samprasan.node",
    "samprasan-client": "samprasan.client",
}
SCRIPT = """#!{python} -IS
import json, os, signal, socket, struct, sys
asked = json.dumps(["{program}", sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
starter = socket.socket(socket.AF_UNIX)
starter.connect("{address}")
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
socket.send_fds(starter, [struct.pack("I", len(asked))], [0, 1, 2])
starter.sendall(asked)
(pid,) = struct.unpack("i", starter.recv(4))
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, _: os.kill(pid, number))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM, signal.SIGINT])
sys.exit(struct.unpack("i", starter.recv(4))[0])
"""


@contextmanager
def commands(folder: Path) -> Iterator[Path]:
    """A folder for ``PATH`` with the three commands."""
    address = folder / "starter"
    for name, program in PROGRAMS.items():
        script = folder / name
        script.write_text(SCRIPT.format(python=sys.executable, program=program, address=address))
        script.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        try:
            yield folder
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            asked, _ = listener.accept()
        except OSError:
            return  # shut down
        threading.Thread(target=_run, args=(asked,), daemon=True).start()


def _run(asked: socket.socket) -> None:
    """Start what is asked for, and say its pid and how it ended; without anybody who waits for it, it ends."""
    with asked:
        head, streams, _, _ = socket.recv_fds(asked, 4, 3)
        size = struct.unpack("I", head)[0]
        program, arguments, folder, environment = json.loads(asked.recv(size, socket.MSG_WAITALL))
        process = starter.start(program, arguments, folder, environment, streams)
        for stream in streams:
            os.close(stream)
        asked.sendall(struct.pack("i", process.pid))
        wait([process.sentinel, asked])
        if process.is_alive():
            process.kill()
            process.join()
        else:
            asked.sendall(struct.pack("i", process.exitcode))
