"""Simulated worlds in which the hub's database is replaced by an older one, or the hub tells two nodes two stories."""

import random
from dataclasses import dataclass, field
from typing import TypeVar
from unittest import mock

import sqlalchemy as sa
from samprasan.hub import store as hub_store
from samprasan.hub.members import documents
from samprasan.hub.recovery import lost_receipts, recovery
from samprasan.hub.tables import refed
from samprasan.keys import checkpoint
from samprasan.node import store as node_store
from samprasan.node.store.log_views import Evidence
from samprasan.node.sync import halt
from samprasan.v1.documents_pb2 import Cut

from tests import federation
from tests.federation import HubParty, Message, NodeParty
from tests.sim.simulation import NO_FAULTS, Faults, Simulation
from tests.sim.stores import SimulatedStore, simulated_database

R = TypeVar("R", bound=Simulation)
SNAPSHOTS_KEPT = 3
IN_FLIGHT_MAX = 40


@dataclass
class Restoring(Simulation):
    """Now and then the hub is restored from a backup; then every connection is gone."""

    snapshots: list[bytes] = field(default_factory=list)
    restored: int = 0
    is_given_up: bool = False  # the hub could not find where several batches stood whose receipts were lost

    def _step(self, number: int) -> None:
        db = self.fed.hub.db
        assert isinstance(db, SimulatedStore)
        if self._strikes(10):
            self.snapshots = [*self.snapshots[-SNAPSHOTS_KEPT + 1 :], db.raw().serialize()]
        if self.snapshots and self._strikes(5):
            self._traced("restored")
            db.raw().deserialize(self._earlier())
            db.sync()
            recovery.begin_recovery(self.fed.hub, recovery.RESTORED)
            self.in_flight.clear()
            for node in self.fed.nodes.values():
                node.shown = None
            self.restored += 1
        super()._step(number)

    def _earlier(self) -> bytes:
        """Some backup; later ones may be of what the log was before it was restored."""
        return self.chance.choice(self.snapshots)

    def _check_agreement(self) -> None:
        self.is_given_up = self._lacks_several()
        if not self.is_given_up:
            super()._check_agreement()

    def _lacks_several(self) -> bool:
        """Whether the hub waits for people, since two batches or more stood where a checkpoint ends its log."""
        hub = self.fed.hub
        with hub.db.read() as tx:
            if not recovery.rest_of_log(tx, hub.world):
                return False
            size = hub_store.log.head_now(tx).size
            notes = hub_store.recovery.checkpoints(tx).values()
            ends = [checkpoint.read(note).checkpoint.size for note in notes if note]
            end = min(each for each in ends if each > size)
            return end - size - len(hub_store.recovery.between(tx, size, end)) >= 2


class ForgetfulHub(HubParty):
    """Loses one of the entries that it is given back, if it is told to."""

    def __init__(self, hub: HubParty, chance: random.Random) -> None:
        super().__init__(hub.db, hub.world, hub.authority)
        self.forgets = 0
        self.chance = chance

    def _recovery(self, message: Message) -> list[Message]:
        if message.kind != "refeed":
            return super()._recovery(message)
        recovery.accept_returned(self, message.sender, message.body)
        with self.db.begin() as tx:
            kept = list(tx.execute(sa.select(refed).where(refed.c.log_index.is_not(None)).order_by(refed.c.log_index)))
            if kept[1:] and self.forgets:
                self.forgets -= 1
                gone = self.chance.choice(kept[:-1])  # what nobody gives back behind the last one was never there
                tx.execute(refed.delete().where(refed.c.log_index == gone.log_index))
        recovery.advance_recovery(self)
        return []


@dataclass
class Cutting(Restoring):
    """The hub is restored, an entry is nowhere to be found, and two agencies agree to go on without it.

    Its agency has the batch after all: it is sent again, like everything whose receipt counts no more.
    """

    cuts: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        hub = self.fed.hub
        self.fed.hub = ForgetfulHub(hub, self.chance)

    def run(self, steps: int) -> Simulation:
        """As usual, but that nothing else is put where the entry stood: its agency holds its receipt."""
        with mock.patch.object(lost_receipts, "filled", return_value=[]):
            return super().run(steps)

    def _step(self, number: int) -> None:
        hub = self.fed.hub
        assert isinstance(hub, ForgetfulHub)
        restored = self.restored
        super()._step(number)
        if self.restored > restored:
            hub.forgets = 1
            for node in self.fed.nodes.values():  # everybody gives back at once; what comes then is left to chance
                self.fed.deliver(node.tick())
        if self._strikes(100):
            self._cut_if_needed()

    def _earlier(self) -> bytes:
        """As the runbook says: what was backed up later than the backup that is restored is not used any more."""
        self.snapshots = self.snapshots[: self.chance.randrange(len(self.snapshots)) + 1]
        return self.snapshots[-1]

    def _check_agreement(self) -> None:
        if self._cut_if_needed():
            for _ in range(3):
                self.fed.clock.now_ms += 3_600_000
                self.fed.run()
        Simulation._check_agreement(self)

    def _cut_if_needed(self) -> bool:
        """Two agencies agree to go on without what is missing, if something is."""
        hub = self.fed.hub
        with hub.db.read() as tx:
            rest = recovery.rest_of_log(tx, hub.world)
            agreed = hub_store.documents.agreed_on(tx)
        if rest:
            now = self.fed.clock()
            values = {"version": agreed.cut_version + 1, "created_at": now, "expires_at": now + 3_600_000}
            document = Cut(federation_id=agreed.federation_id, checkpoint=rest, **values)
            for agency in self.chance.sample(sorted(self.fed.nodes), 2):
                documents.submit_document(hub, agency, self.fed.nodes[agency].world.sign(document))
            self._traced("cut")
            self.cuts += 1
            self.snapshots.clear()
        return bool(rest)


class TwoFacedHub(HubParty):
    """Shows ``victim`` another history than the rest, and carries everybody's mail."""

    def __init__(self, hub: HubParty, victim: str, other: HubParty) -> None:
        super().__init__(hub.db, hub.world, hub.authority)
        self.victim = victim
        self.other = other

    def receive(self, message: Message) -> list[Message]:
        """As the hub that its sender is shown."""
        if message.kind == "post":
            self.other.receive(message)
            return super().receive(message)
        return self.other.receive(message) if message.sender == self.victim else super().receive(message)

    def tick(self) -> list[Message]:
        """Both faces go on."""
        return [*self.other.tick(), *super().tick()]


@dataclass
class Lying(Simulation):
    """The hub is honest for a while; then it keeps two logs."""

    def fork(self) -> None:
        """From now on there are two hubs behind one name."""
        hub = self.fed.hub
        copy = federation.copy_of(self.fed, simulated_database, self.seed).hub
        twin = HubParty(copy.db, hub.world, copy.authority)
        victim = self.chance.choice(sorted(self.fed.nodes))
        self.fed.hub = TwoFacedHub(hub, victim, twin)

    def caught_by(self, steps: int) -> list[str]:
        """Agencies that caught the hub within so many steps."""
        for number in range(10_000, 10_000 + steps):
            if number % 20 == 0:  # people whom nobody knows yet: their ids are looked up, and so letters are written
                agency = self.chance.choice(sorted(self.fed.nodes))
                self.fed.give(agency, federation.deed(number, number))
            self._step(number)
            while len(self.in_flight) > IN_FLIGHT_MAX:  # nothing is lost here, and everything has its turn
                self._deliver(self.in_flight.pop(0))
            caught = [name for name, node in self.fed.nodes.items() if halt.halt_reason(node.db) == "log_forked"]
            if caught:
                return caught
        return []

    def proves(self, node: NodeParty) -> bool:
        """Whether what the node kept convinces anybody who knows the hub's key: two histories, both signed."""
        with node.db.read() as tx:
            kept: list[Evidence] = node_store.log_views.accusations(tx)
        key = self.fed.hub.world.signer.public_key
        federation_id = bytes.fromhex(_origin(kept[0].second).rsplit("/", 1)[1])
        return all(
            checkpoint.open_note(note, federation_id, key, node.world.verify)
            for each in kept
            for note in (each.first, each.second)
            if note.startswith(_origin(kept[0].second).encode())
        )


def _origin(note: bytes) -> str:
    return checkpoint.read(note).checkpoint.origin


def run(seed: int, steps: int, faults: Faults | None = None) -> Restoring:
    """A simulation with restored hubs."""
    return _ended(Restoring(seed, faults or Faults()), steps)


def cut(seed: int, steps: int) -> Cutting:
    """A simulation with restored hubs whose logs are cut."""
    return _ended(Cutting(seed, Faults(forgotten=0)), steps)  # awards are worked out anew, under new op_ids


def _ended(simulation: R, steps: int) -> R:
    try:
        simulation.run(steps)
    finally:
        simulation.close()
    return simulation


def lying(seed: int, honest_steps: int, steps: int) -> tuple[list[str], bool]:
    """Who caught a hub that began to lie, and whether each of them can prove it."""
    simulation = Lying(seed, NO_FAULTS)
    for number in range(honest_steps):
        simulation._step(number)
    simulation.fork()
    caught = simulation.caught_by(steps)
    proved = all(simulation.proves(simulation.fed.nodes[name]) for name in caught)
    simulation.close()
    return caught, proved
