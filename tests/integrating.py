"""Integrators of served federations: admitted by the commands that people use."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from federation import Federation as LocalFederation
from samprasan.client import blocking
from samprasan.hub import home as hub_homes
from samprasan.hub import store
from samprasan.hub.integrators import approval, reader
from samprasan.keys.credentials import Credentials
from samprasan.keys.documents import STREAMS_MAX
from samprasan.keys.handles import Cursors, Names, names_of
from samprasan.node.imports.deed import Consents
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc

from tests import commands, local
from tests.load import Load
from tests.recording import channel

SUBJECTS = 20
SOON = 60.0


def admit(served: LocalFederation, name: str, folder: Path, *scope: str, streams: int = 10) -> Path:
    """Proposed by the operator, approved by two agencies, certified: the file of its credentials."""
    waiting = propose(served, name, *scope, streams=streams)
    digest = served.answer("mpc", "approvals", "show", waiting)["digest"]
    for agency in ("mpc", "nhco"):
        served.run(agency, "approvals", "approve", waiting, "--digest", digest)
    credentials = folder / f"{name}.credentials"
    certificate = folder / f"{name}.certificate"
    said(commands.client("request", name, "--out", str(credentials)))
    request = credentials.with_suffix(".request")
    served.run("hub", "integrator", "certify", name, "--request", str(request), "--out", str(certificate))
    said(commands.client("accept", str(certificate), "--credentials", str(credentials)))
    return credentials


def propose(served: LocalFederation, name: str, *scope: str, streams: int = 10, days: int = 365) -> str:
    """Lay it before the agencies; what it is called in their inboxes."""
    words = [option for word in scope for option in ("--scope", word)]
    quotas = ("--streams", str(streams), "--days", str(days), "--snapshots", "1000")
    purpose = ("--title", "An app", "--purpose", "Shows people their own credits")
    waiting: str = served.answer("hub", "integrator", "propose", name, *purpose, *words, *quotas)["id"]
    return waiting


def said(done: commands.Done, code: int = 0) -> str:
    """What a command printed, which ended with that code."""
    assert done.returncode == code, done.stderr
    return done.stdout


def documents(done: commands.Done) -> list[dict[str, Any]]:
    """The JSON lines that it printed."""
    return [json.loads(line) for line in said(done).splitlines()]


def names(served: LocalFederation, credentials: Path) -> Names:
    """What the hub calls things when it speaks to the integrator: its secret is asked for them."""
    issued = Credentials.decode(credentials.read_bytes()).complete
    opened = hub_homes.open_home(served.home("hub"))
    hub = opened.hub
    hub.db.close()
    return names_of(opened.showing.secret, issued.federation_id, issued.integrator, 1)


def cursors(served: LocalFederation, credentials: Path) -> Cursors:
    """What the hub makes the integrator's cursors with."""
    opened = hub_homes.open_home(served.home("hub"))
    hub = opened.hub
    approved = approval.current_approval(hub, Credentials.decode(credentials.read_bytes()).integrator)
    with hub.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
    hub.db.close()
    return reader.cursors_of(opened.showing.secret, agreed, approved, "")


@dataclass
class Shown:
    """A served federation with two integrators and people who agreed to both."""

    served: LocalFederation
    load: Load
    app: Path
    bank: Path
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def give(self) -> None:
        """Three more deeds, which reach the log."""
        self.load.give(self.chance, deeds=1, subjects=SUBJECTS)
        self.load.wait()

    def told(self) -> list[str]:
        """The ids of all events, from the oldest on, by a snapshot-less read of the library."""
        return [each["id"] for each in follow_until_now(self.app)]


@contextmanager
def shown(template: Path, folder: Path) -> Iterator[Shown]:
    """Served until the block ends, with a few deeds told."""
    with local.running(template, folder / "federation") as served:
        load = Load(served, Consents(share=True, redeem=True, integrators=True))
        # Many tests share these and begin streams whenever they look: no limit is to be in their way.
        app = admit(served, "welfare-app", folder, "balances", streams=STREAMS_MAX)
        bank = admit(served, "bank", folder, "dimension=health", streams=STREAMS_MAX)
        load.give(random.Random(1), deeds=10, subjects=SUBJECTS)
        load.wait()
        yield Shown(served, load, app, bank)
        load.close()


def follow_until_now(credentials: Path, after: bytes = b"") -> list[dict[str, Any]]:
    """Every event behind a cursor, or from the oldest kept, until the first bookmark with nothing new."""

    async def run() -> list[dict[str, Any]]:
        async with channel(Credentials.decode(credentials.read_bytes())) as opened:
            stub: Any = changes_pb2_grpc.ChangesStub(opened)
            found = []
            call = stub.Follow(v1.FollowRequest(after=after))
            while not (word := await asyncio.wait_for(call.read(), 10)).HasField("bookmark"):
                found += [{"id": each.id.hex(), "cursor": each.cursor.hex()} for each in word.page.events]
            call.cancel()
            return found

    return blocking.run(run())


def until(holds: Callable[[], bool]) -> None:
    """Wait for it."""
    ends = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)
