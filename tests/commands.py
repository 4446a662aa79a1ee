"""Command lines run in this process: the same code as in one of their own, without the second it takes to start."""

import contextlib
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import typer
from samprasan.client.__main__ import app as client_app
from samprasan.edge import command, database
from samprasan.edge.database import Database
from samprasan.hub.__main__ import app as hub_app
from samprasan.node.__main__ import app as node_app


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    returncode: int
    stdout: str
    stderr: str


def hub(home: Path, *arguments: str) -> Done:
    """``samprasan-hub`` at ``home``."""
    return run_app(hub_app, [*arguments, "--home", str(home)])


def node(home: Path | None, *arguments: str) -> Done:
    """``samprasan-node`` at ``home``, or at none."""
    return run_app(node_app, [*arguments, *(["--home", str(home)] if home else [])])


def client(*arguments: str) -> Done:
    """``samprasan-client``."""
    return run_app(client_app, list(arguments))


def run_app(app: typer.Typer, arguments: list[str]) -> Done:
    out, err = io.StringIO(), io.StringIO()
    opened: list[Database] = []
    open_database = database.open_database

    def noted(url: str) -> Database:
        opened.append(open_database(url))
        return opened[-1]

    streams = (contextlib.redirect_stdout(out), contextlib.redirect_stderr(err))
    with streams[0], streams[1], mock.patch.object(database, "open_database", noted):
        code = command.run(_built(app), arguments)
    for db in opened:
        db.close()  # a process of its own would have ended
    return Done(code, out.getvalue(), err.getvalue())


@cache
def _built(app: typer.Typer) -> Any:
    """What ``app`` makes of itself whenever it is called."""
    return typer.main.get_command(app)
