"""The local federation for tests: set up once a session, copied for whoever needs one of his own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from federation import Federation as LocalFederation


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
    """Homes with roster 1 and the sample policy in force, not served."""
    federation = LocalFederation(folder)
    try:
        federation.set_up()
    finally:
        federation.stop()
    return folder
