"""Databases of a simulated world, which can lose what was not synced, and a federation that has run for a while.

A store keeps what was committed only if SQLite was told to sync each commit (it reads the pragma that the product set);
otherwise a crash takes back everything since the last sync.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar

import sqlalchemy as sa
from samprasan.edge import database
from samprasan.edge.database import Database
from samprasan.node.imports.deed import Consents, Deed

from tests import federation
from tests.federation import Federation, SeededSigner

SQLITE_FULL = 2
COMMITS_PER_SYNC = 20  # of a database that does not sync by itself
EARLIER_FROM = 50_000  # numbers of records that were imported before
SUBJECTS = 40


class Crash(BaseException):
    """A process ends here, in the middle of a step."""


class SimulatedStore(Database):
    """SQLite in memory that can lose what was not synced, and whose commits can be the moment of a crash.

    Once it is closed another world gets its engine, which knows its statements already.
    """

    idle: ClassVar[list[sa.Engine]] = []

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(engine)
        self.crash_at_commit = ""
        self._commits = 0
        self._durable: bytes | None = None
        self._left_open = weakref.finalize(self, engine.dispose)

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A write transaction; "before" a crash its writes are lost, "after" they are kept and the answer is lost."""
        if self._durable is None and not self._syncs() and not self._is_empty():
            self._durable = self.raw().serialize()
        with super().begin() as tx:
            yield tx
            if self.crash_at_commit == "before":
                raise Crash
        self._commits += 1
        if self._commits % COMMITS_PER_SYNC == 0:
            self.sync()
        if self.crash_at_commit == "after":
            raise Crash

    def close(self) -> None:
        """Let another world have the engine; this one has none any more."""
        if hasattr(self, "engine"):
            self._left_open.detach()
            self.raw().execute("PRAGMA synchronous = FULL")
            self.idle.append(self.engine)
            del self.engine

    def sync(self) -> None:
        """What was committed so far is safe."""
        if self._durable is not None:
            self._durable = self.raw().serialize()

    def lose_unsynced(self) -> None:
        """The power went off."""
        self.crash_at_commit = ""
        if self._durable is not None:
            self.raw().deserialize(self._durable)

    def _syncs(self) -> bool:
        (level,) = self.raw().execute("PRAGMA synchronous").fetchone()
        return int(level) >= SQLITE_FULL

    def _is_empty(self) -> bool:
        (pages,) = self.raw().execute("PRAGMA page_count").fetchone()
        return int(pages) == 0

    def raw(self) -> Any:
        """The one sqlite3 connection behind the database."""
        return self.engine.raw_connection().driver_connection


@dataclass(frozen=True)
class SkewedClock:
    """A node's own clock."""

    clock: federation.Clock
    skew_ms: int

    def __call__(self) -> int:
        return self.clock() + self.skew_ms


def simulated_database(_party: str) -> SimulatedStore:
    """A database for one party, for a copy."""
    idle = SimulatedStore.idle
    return SimulatedStore(idle.pop() if idle else database.open_database("sqlite://").engine)


@cache
def begun_federation() -> tuple[Federation, list[tuple[str, int, Deed]]]:
    """A federation that has run for a while: people are linked, have credits, and can redeem them.

    With every record that was imported: agency, import, and what it says.
    """
    begun = federation.make(federation.memory_database, -1, SeededSigner, SeededSigner.verify)
    federation.publish(begun)
    earlier = []
    for place, agency in enumerate(begun.nodes):
        for subject in range(place, SUBJECTS, 2):
            made = made_deed(EARLIER_FROM + subject, subject, 2, consents=True)
            import_id = begun.give(agency, made).import_id
            assert import_id is not None
            earlier.append((agency, import_id, made))
    begun.run()
    return begun, earlier


def made_deed(number: int, subject: int, hours: int, *, consents: bool) -> Deed:
    """A record of that number, of hours of work."""
    share = Consents(share=consents, redeem=consents)
    return federation.deed(number, subject, quantity=Decimal(hours), credits=8 * hours, consents=share)
