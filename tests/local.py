"""The local federation for tests: set up once a session, copied for whoever needs one of his own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from federation import Federation as LocalFederation


@contextmanager
def running(template: Path, folder: Path) -> Iterator[LocalFederation]:
    """A copy of ``template``'s homes, served until the block ends."""
    shutil.copytree(template, folder)
    federation = LocalFederation(folder)
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
