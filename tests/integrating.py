"""Integrators of served federations: admitted by the commands that people use."""

import json
from pathlib import Path
from typing import Any

from federation import Federation as LocalFederation
from samprasan.hub import home as hub_homes
from samprasan.keys.credentials import Credentials
from samprasan.keys.handles import Names, names_of

from tests import commands


def admit(served: LocalFederation, name: str, folder: Path, *scope: str, streams: int = 10) -> Path:
    """Proposed by the operator, approved by two agencies, certified: the file of its credentials."""
    waiting = propose(served, name, *scope, streams=streams)
    for agency in ("mpc", "nhco"):
        served.run(agency, "approvals", "approve", waiting)
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
    hub = hub_homes.open_hub(served.home("hub"))
    hub.store.close()
    return names_of(hub.showing.secret, issued.federation_id, issued.integrator, 1)
