"""The local federation for tests: set up once a session, copied for whoever needs one of his own."""

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from federation import AGENCIES, Federation, Process, program_of
from federation import Federation as LocalFederation
from samprasan.keys.keyring import Keyring

from tests import commands, starter


class Quick(LocalFederation):
    """A federation whose processes begin with everything loaded, and whose commands run in this one: see `commands`.

    One that says all there is to say (``debug``) starts as it would for a user: gRPC looks at that when it is loaded.
    """

    def serve(self, party: str) -> Process:
        """Start a process that serves ``party``."""
        if self.debug:
            return super().serve(party)
        command = ("serve", "--home", str(self.home(party)))
        return starter.Process(program_of(party), command, self.folder / f"{party}.log", self.environment())

    def run(self, party: str, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command line at a party's home."""
        if self.debug:
            return super().run(party, *arguments, check=check)
        if _is_in_a_loop():
            command = (*arguments, "--home", str(self.home(party)))
            done = starter.run(program_of(party), command, self.environment())
        else:
            here = commands.hub if party == "hub" else commands.node
            told = here(self.home(party), *arguments)
            done = subprocess.CompletedProcess(arguments, told.returncode, told.stdout, told.stderr)
        if check:
            done.check_returncode()
        return done


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def copied(template: Path, folder: Path, *, debug: bool = False) -> LocalFederation:
    """A copy of ``template``'s homes, not served."""
    shutil.copytree(template, folder)
    return Quick(folder, debug=debug)


@contextmanager
def running(template: Path, folder: Path) -> Iterator[LocalFederation]:
    """A copy of ``template``'s homes, served until the block ends."""
    federation = copied(template, folder)
    try:
        federation.start()
        yield federation
    finally:
        federation.stop()


def set_up(folder: Path) -> Path:
    """Homes with roster 1 and the sample policy in force, not served; their keys protect nothing, and open at once."""
    with made(folder):
        return folder


@contextmanager
def made(folder: Path, database_url: str = "") -> Iterator[LocalFederation]:
    """The same, served until the block ends; at a PostgreSQL server, if one is named."""
    federation = Quick(folder, database_url)
    create = partial(Keyring.create, cost=starter.QUICK_COST)
    try:
        with mock.patch.object(Keyring, "create", create):
            federation.set_up()
        yield federation
    finally:
        federation.stop()


def free_address() -> str:
    """An address on loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def said(served: Federation, party: str, *arguments: str) -> Any:
    """What a command answers, run in this process: starting one takes longer than most of them."""
    run = commands.hub if party == "hub" else commands.node
    done = run(served.home(party), *arguments, "--json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


class Live:
    """A served federation after the samples went through it."""

    def __init__(self, local_federation: LocalFederation) -> None:
        self.federation = local_federation
        self.reports: dict[str, Any] = {agency: local_federation.import_samples(agency) for agency in AGENCIES}
        self.synced = {agency: local_federation.answer(agency, "sync", "--wait", "60") for agency in AGENCIES}
