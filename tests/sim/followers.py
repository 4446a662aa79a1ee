"""Simulated worlds with integrators that follow, through breaks and crashes, while people change their minds."""

import random
from contextlib import suppress
from dataclasses import dataclass, field

from samprasan.client.protocol import Following
from samprasan.hub import store
from samprasan.hub.integrators import reader as integrators_reader
from samprasan.hub.integrators.reader import Reader
from samprasan.keys.errors import Refused, SamprasanError
from samprasan.keys.handles import names_of
from samprasan.node.counter import consent
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import log_pb2 as log

from tests import federation, reading
from tests.reading import Integration
from tests.sim.simulation import Faults, Simulation
from tests.sim.stores import SUBJECTS
from tests.validator import Due, Judge, Record, Truth

PENDING_MAX = 6  # words that are on their way to a slow reader


@dataclass
class Follower:
    """One program of an integrator, with what it saw."""

    integration: Integration
    wanted: v1.Filter
    chance: random.Random
    client: Following = field(init=False)
    reader: Reader | None = None
    pending: list[v1.FollowResponse] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._start(b"")

    def act(self) -> None:
        """Something that a reader does, or that happens to it."""
        what = self.chance.choice(("pull", "pull", "pull", "read", "read", "read", "crash", "break", "snapshot"))
        if what == "break":
            self.cut()
        elif what == "crash":
            self._start(self._somewhere_in_a_message())
        elif what == "snapshot" and self.chance.random() < 0.05:
            self.snapshot()
        elif what == "read" and self.pending:
            self._read(self.pending.pop(0))
        else:
            self._pull()

    def cut(self) -> None:
        """The connection is gone, and what was on its way with it."""
        self.reader, self.pending = None, []

    def snapshot(self) -> None:
        """Begin anew."""
        self.cut()
        self.client = self.integration.client(wanted=self.wanted)
        events, cursor = self.integration.snapshot(wanted=self.wanted)
        list(self.client.take_snapshot(v1.SnapshotResponse(events=events, cursor=cursor), is_first=True))
        self.records.append(Record("snapshot", cursor, events))

    def finish(self) -> None:
        """Read what is left."""
        self.cut()
        self._connect()
        assert self.reader is not None
        world = self.integration.fed.hub.world
        for word in [
            *self.integration.rest(self.reader),
            v1.FollowResponse.FromString(self.reader.bookmark(world, b"")),
        ]:
            self._read(word)

    def _start(self, after: bytes) -> None:
        self.cut()
        self.client = self.integration.client(wanted=self.wanted, after=after.hex())

    def _connect(self) -> None:
        request = self.client.follow_request()
        found = self.integration.begin(request.after, "", self.wanted)
        assert isinstance(found, Reader), "nothing was dropped"
        self.reader = found
        self.records.append(Record("begin", request.after))

    def _pull(self) -> None:
        """Some words are put on their way."""
        if self.reader is None:
            self._connect()
        if self.reader is None or len(self.pending) >= PENDING_MAX:
            return
        hub = self.integration.fed.hub
        self.pending += reading.words(self.reader, integrators_reader.read_changes(hub.db, self.reader.place.log_index))
        if self.chance.random() < 0.5:
            self.pending.append(v1.FollowResponse.FromString(self.reader.bookmark(hub.world, b"")))

    def _read(self, word: v1.FollowResponse) -> None:
        list(self.client.read_word(word))
        if word.HasField("page"):
            self.records.append(Record("page", b"", list(word.page.events)))
        else:
            self.records.append(Record("bookmark", word.bookmark.cursor))

    def _somewhere_in_a_message(self) -> bytes:
        """It dealt with some of a message's events when it crashed; their cursors are kept."""
        if not self.pending or not self.pending[0].HasField("page"):
            return self.client.cursor
        events = list(self.pending[0].page.events)
        dealt_with = events[: self.chance.randrange(len(events) + 1)]
        if dealt_with:
            self.records.append(Record("page", b"", dealt_with))
        return dealt_with[-1].cursor if dealt_with else self.client.cursor


def allows_all(_due: Due) -> bool:
    return True


def allows_health_of_mpc(due: Due) -> bool:
    if due.type == v1.EVENT_TYPE_CREDIT_CHANGED:
        return due.agency == "mpc" and due.dimension in {0, log.DIMENSION_HEALTH}
    return due.type not in {v1.EVENT_TYPE_BENEFIT_CHANGED, v1.EVENT_TYPE_BENEFIT_WITHDRAWN} or due.agency == "mpc"


FILTERS = {
    "welfare-app": (v1.Filter(), allows_all),
    "bank": (v1.Filter(agencies=["mpc"], dimensions=[log.DIMENSION_HEALTH]), allows_health_of_mpc),
}


@dataclass
class Followed(Simulation):
    """A federation with two integrators, and people who agree to them here and not there."""

    followers: list[Follower] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (wanted, _) in FILTERS.items():
            reading.approve(self.fed, name, "balances")
            self.followers.append(Follower(Integration(self.fed, name), wanted, self.chance))

    def _step(self, number: int) -> None:
        if self._strikes(150):
            self._agree()
        if self._strikes(500):
            self._follow()
        super()._step(number)

    def _crash(self, name: str) -> None:
        super()._crash(name)
        if name == "hub":
            for follower in self.followers:
                follower.cut()

    def _agree(self) -> None:
        """Somebody agrees to integrators, or does not any more, at one agency."""
        agency = self.chance.choice(sorted(self.fed.nodes))
        node = self.fed.nodes[agency]
        subject = federation.deed(0, self.chance.randrange(SUBJECTS)).subject
        change = self.chance.choice((consent.give, consent.give, consent.withdraw))
        with suppress(Refused):
            change(node, subject, ("integrators",))
            self._traced("agrees", agency)

    def _follow(self) -> None:
        follower = self.chance.choice(self.followers)
        try:
            follower.act()
        except SamprasanError as problem:
            self.problems.append(f"a reader was told {problem.code}")

    def _check_agreement(self) -> None:
        super()._check_agreement()
        truth = Truth.at(self.fed.hub.db)
        with self.fed.hub.db.read() as tx:
            federation_id = store.documents.agreed_on(tx).federation_id
        for follower in self.followers:
            follower.finish()
            name = follower.integration.name
            names = names_of(reading.SECRET, federation_id, name, 1)
            _, allows = FILTERS[name]
            judge = Judge(truth, names.handle, follower.integration.cursors().opened, allows, allows is allows_all)
            self.problems += [f"{name}: {each}" for each in judge.judge(follower.records)]


def run(seed: int, steps: int, faults: Faults | None = None) -> Followed:
    """A whole simulation; an error that is not ours ends it and is a problem too."""
    simulation = Followed(seed, faults or Faults())
    try:
        simulation.run(steps)
    except Exception as problem:
        simulation.problems.append(f"{problem!r} came out of a step")
    finally:
        simulation.close()
    return simulation
