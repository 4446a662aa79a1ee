"""A command at a terminal of its own, as somebody who sits there sees and answers it."""

import os
import pty
import subprocess
import sys
from collections.abc import Sequence


def run(module: str, arguments: Sequence[str], typed: str, environment: dict[str, str]) -> tuple[int, str]:
    """How it ended, and all that the terminal showed; ``typed`` is what the person types."""
    controller, terminal = pty.openpty()
    with os.fdopen(controller, "r+b", buffering=0) as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment,
        )
        os.close(terminal)
        screen.write(typed.encode())
        shown = b""
        while piece := _read(screen.fileno()):
            shown += piece
        return process.wait(60), shown.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # nobody has the other end open any more
        return b""
