"""The local federation for tests: set up once a session, copied for whoever needs one of his own."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

from federation import Federation as LocalFederation
from samprasan.keys.keyring import Keyring

QUICK_COST = 2  # of scrypt: every command opens a keyring, which takes 0.35 s as it should be


def copied(template: Path, folder: Path) -> LocalFederation:
    """A copy of ``template``'s homes, not served."""
    shutil.copytree(template, folder)
    return LocalFederation(folder)


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
    federation = LocalFederation(folder)
    create = partial(Keyring.create, cost=QUICK_COST)
    try:
        with mock.patch.object(Keyring, "create", create):
            federation.set_up()
    finally:
        federation.stop()
    return folder


def free_address() -> str:
    """An address on loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"
