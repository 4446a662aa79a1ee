"""Simulated worlds in which the hub's database is replaced by an older one, or the hub tells two nodes two stories."""

from dataclasses import dataclass, field

from samprasan.hub import recovery
from samprasan.keys import checkpoint
from samprasan.node import sync
from samprasan.node.store import witness as witness_store
from samprasan.node.store.witness import Evidence

from tests import federation
from tests.federation import HubParty, Message, NodeParty
from tests.sim.simulation import NO_FAULTS, Faults, SimulatedStore, Simulation, simulated_store

SNAPSHOTS_KEPT = 3
IN_FLIGHT_MAX = 40


@dataclass
class Restoring(Simulation):
    """Now and then the hub is restored from a backup; then every connection is gone."""

    snapshots: list[bytes] = field(default_factory=list)
    restored: int = 0

    def _step(self, number: int) -> None:
        store = self.fed.hub.store
        assert isinstance(store, SimulatedStore)
        if self._strikes(10):
            self.snapshots = [*self.snapshots[-SNAPSHOTS_KEPT + 1 :], store.raw().serialize()]
        if self.snapshots and self._strikes(5):
            self._traced("restored")
            store.raw().deserialize(self.chance.choice(self.snapshots))
            store.sync()
            recovery.begin(self.fed.hub.store, self.fed.hub.world, recovery.RESTORED)
            self.in_flight.clear()
            self.restored += 1
        super()._step(number)


@dataclass
class TwoFacedHub(HubParty):
    """Shows ``victim`` another history than the rest, and carries everybody's mail."""

    victim: str = "mpc"
    other: HubParty | None = None

    def receive(self, message: Message) -> list[Message]:
        """As the hub that its sender is shown."""
        assert self.other is not None
        if message.kind == "post":
            self.other.receive(message)
            return super().receive(message)
        return self.other.receive(message) if message.sender == self.victim else super().receive(message)

    def tick(self) -> list[Message]:
        """Both faces go on."""
        assert self.other is not None
        return [*self.other.tick(), *super().tick()]


@dataclass
class Lying(Simulation):
    """The hub is honest for a while; then it keeps two logs."""

    def fork(self) -> None:
        """From now on there are two hubs behind one name."""
        hub = self.fed.hub
        twin = federation.copy_of(self.fed, simulated_store, self.seed).hub
        twin.world = hub.world
        victim = self.chance.choice(sorted(self.fed.nodes))
        self.fed.hub = TwoFacedHub(hub.store, hub.world, hub.authority, victim=victim, other=twin)

    def caught_by(self, steps: int) -> list[str]:
        """Agencies that caught the hub within so many steps."""
        for number in range(10_000, 10_000 + steps):
            if number % 20 == 0:  # people whom nobody knows yet: their ids are looked up, and so letters are written
                agency = self.chance.choice(sorted(self.fed.nodes))
                self.fed.give(agency, federation.deed(number, number))
            self._step(number)
            del self.in_flight[:-IN_FLIGHT_MAX]  # nothing is lost here, and what is new would never have its turn
            caught = [name for name, node in self.fed.nodes.items() if sync.halted(node.store) == "log_forked"]
            if caught:
                return caught
        return []

    def proves(self, node: NodeParty) -> bool:
        """Whether what the node kept convinces anybody who knows the hub's key: two histories, both signed."""
        with node.store.read() as tx:
            kept: list[Evidence] = witness_store.accusations(tx)
        key = self.fed.hub.world.signer.public_key
        federation_id = bytes.fromhex(_origin(kept[0].second).rsplit("/", 1)[1])
        return all(
            checkpoint.opened(note, federation_id, key, node.world.verify)
            for each in kept
            for note in (each.first, each.second)
            if note.startswith(_origin(kept[0].second).encode())
        )


def _origin(note: bytes) -> str:
    return checkpoint.read(note).checkpoint.origin


def run(seed: int, steps: int, faults: Faults | None = None) -> Restoring:
    """A simulation with restored hubs."""
    simulation = Restoring(seed, faults or Faults())
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
