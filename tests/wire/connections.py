"""Connections as this or that party, and what a hub shows there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from samprasan.hub import home as hub_homes
from samprasan.node import home as node_homes

from tests.local import Live

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Shown:
    """A certificate with its key, as a caller shows it."""

    key: bytes
    certificate: bytes


def authority_of(live: Live) -> bytes:
    return (live.federation.home("hub") / "authority.der").read_bytes()


def address(live: Live) -> str:
    return hub_homes.reached_at(live.federation.home("hub")).hub


def nodes_own(live: Live, agency: str = "mpc") -> Shown:
    opened = node_homes.open_home(live.federation.home(agency))
    assert opened.certificate is not None
    opened.node.db.close()
    return Shown(opened.ring.get("tls"), opened.certificate)


@cache
def shown_by(live: Live, make: Callable[[Live], Shown | None]) -> Shown | None:
    """Made once: opening a home takes half a second of scrypt."""
    return make(live)
