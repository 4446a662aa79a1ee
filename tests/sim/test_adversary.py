"""A member that signs whatever is well-formed, alone or with the hub's operator, and what it must not reach."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from samprasan.hub import store as hub_store
from samprasan.hub.log import audit
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import SamprasanError
from samprasan.ledger import verify
from samprasan.v1 import log_pb2 as log

from tests import federation, reading
from tests.federation import SAMPLES
from tests.reconciling import reconcile
from tests.sim.adversary import COMMUNITIES, ENEMY, Enemy
from tests.sim.deeds import act, kinds
from tests.sim.forgeries import FORGERIES
from tests.sim.holes import FOUND_LATE, FOUND_SOON
from tests.sim.officers import Officers
from tests.sim.papers import OF_PAPER
from tests.sim.simulation import STEPS, Faults, Seeds, Simulation
from tests.sim.upkeep import APP
from tests.sim.watch import Watch

PARTS = 4  # to be spread over workers; every other world has the operator on the enemy's side
SEEDS = (4, 8, 1_000)  # in make test, in make check, in a long run
SEEDS_TO_FIND_A_HOLE = 200
DAY_CAP, WRITE_OFF_CAP, RESERVE_CAP, UPDATE_MAX = 300, 100, 200, 100
COMMUNITIES_FROM = 70_000  # numbers of their records
FORWARD_MS = 43_200_000
DAYS_TO_SETTLE = 3
STEPS_BEFORE_FORGING = 60


class _Found(Exception):
    """There is a breach: what comes after it does not matter."""


@dataclass
class Hostile(Simulation):
    """Two agencies do their work beside an enemy."""

    with_operator: bool = False
    with_papers: bool = False
    until_found: bool = False
    enemy: Enemy = field(init=False)
    watch: Watch = field(init=False)
    officers: Officers = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        text = (SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2")
        for name, before, most in (
            ("credits_per_update_max", "500", UPDATE_MAX),
            ("credits_per_agency_day_max", "1_000_000", DAY_CAP),
            ("write_offs_per_agency_day_max", "100_000", WRITE_OFF_CAP),
            ("reserves_per_agency_day_max", "1_000_000", RESERVE_CAP),
        ):
            text = text.replace(f"{name} = {before}", f"{name} = {most}")
        federation.propose_policy(self.fed, text)
        federation.publish(self.fed, "mpc")
        reading.approve(self.fed, APP)
        federation.share_documents(self.fed)
        self.at_counter.owners = (ENEMY, ENEMY, "mpc")
        self.enemy = Enemy(self.fed, self.chance, self.with_operator, self.with_papers)
        self.watch = Watch(self.fed, self.enemy, DAY_CAP, WRITE_OFF_CAP, RESERVE_CAP)
        self.officers = Officers(self.fed, self.chance)

    @property
    def agencies(self) -> list[str]:
        """Those that do their work."""
        return [each for each in sorted(self.fed.nodes) if each != ENEMY]

    def found(self) -> set[str]:
        """What the enemy has reached, without step, agency and number."""
        named = (re.sub(r"\b(mpc|nhco)\b", "an agency", each.partition(": ")[2] or each) for each in self.problems)
        return {re.sub(r"\d+", "N", each) for each in named}

    def _step(self, number: int) -> None:
        if self._strikes(5):
            self.fed.clock.now_ms += self.chance.randrange(FORWARD_MS)
        if self._strikes(20):
            self._import_of_community(number)
        if self.with_papers and self._strikes(20):
            self.officers.work()
            self._tell(f"step {number}, officers", self.officers.problems())
        if self._strikes(500):
            super()._step(number)
            return
        self.fed.hub.tick()  # what runs out by itself is not the enemy's doing
        self.watch.begin()
        kind = act(self.enemy)
        self._traced("enemy", kind)
        found = list(self.watch.problems(kind))
        if number % 20 == 0:
            found += [*self.watch.strangers(), *self.watch.opened_unseen(), *self.watch.uses()]
        if kind in OF_PAPER:
            found += self.officers.problems()
        self._tell(f"step {number}, {kind}", found)

    def _tell(self, when: str, found: Iterable[str]) -> None:
        self.problems += [f"{when}: {each}" for each in found]
        if self.problems and self.until_found:
            raise _Found

    def _import_of_community(self, number: int) -> None:
        agency = self.chance.choice(self.agencies)
        community = self.chance.choice(COMMUNITIES)
        made = replace(
            federation.deed(COMMUNITIES_FROM + number, 0), kind=log.SUBJECT_KIND_COMMUNITY, subject=community
        )
        self.fed.give(agency, made)

    def _check_agreement(self) -> None:
        for _ in range(DAYS_TO_SETTLE):  # what was put off for a day's cap goes
            self.fed.clock.now_ms += DAY_MS
            self.fed.run()
        self.problems += audit.audit(self.fed.hub, self.fed.hub.world.signer.public_key).problems
        with self.fed.hub.db.read() as tx:
            self.problems += verify.breaches(hub_store.ledger.load_all(tx))
        for agency in self.agencies:
            differing = asyncio.run(reconcile(self.fed, agency)).causes
            self.problems += [f"the books of {agency} and the hub differ: {differing}"] if differing else []


def run(seed: int, steps: int = STEPS, *, until_found: bool = False) -> Hostile:
    """A whole world; an error that is not ours ends it and is a problem too."""
    leaving = seed % 4 > 1
    faults = Faults(forgotten=0) if leaving else Faults()  # what is forgotten, and corrected then, is told twice
    world = Hostile(
        seed, faults, leaving, with_operator=seed % 2 == 1, with_papers=not leaving, until_found=until_found
    )
    try:
        world.run(steps)
    except _Found:
        pass
    except Exception as problem:
        world.problems.append(f"{problem!r} came out of a step")
    finally:
        world.close()
    return world


@pytest.mark.parametrize("part", range(PARTS))
def test_an_enemy_with_valid_keys_reaches_nothing(
    part: int, seeds: Seeds, record_property: Callable[[str, object], None]
) -> None:
    drawn: Counter[str] = Counter()
    for number in seeds(*(each // PARTS for each in SEEDS)):
        world = run(number * PARTS + part)
        drawn += world.enemy.drawn
        assert world.problems == [], f"seed {world.seed}"
    assert drawn.keys() == kinds(with_papers=world.with_papers), "every kind of deed is drawn"
    record_property("deeds of the enemy", ", ".join(f"{kind} {count}" for kind, count in sorted(drawn.items())))


@pytest.mark.rest
@pytest.mark.parametrize("forge", FORGERIES)
def test_what_the_operator_forges_is_found_by_a_node_or_an_audit(
    forge: Callable[[Enemy], None], seeds: Seeds, record_property: Callable[[str, object], None]
) -> None:
    for seed in seeds(0, 1, 25):
        world = Hostile(seed, Faults(), with_operator=True, with_papers=True)
        world.run(STEPS_BEFORE_FORGING)
        assert world.problems == []
        assert told(world) == set(), "an honest log is believed"
        forge(world.enemy)
        found = told(world)
        world.close()
        assert any(FORGERIES[forge] in each for each in found), f"seed {seed}: {found}"
        record_property(forge.__name__, ", ".join(sorted(found)))


def told(world: Hostile) -> set[str]:
    """What honest nodes say of the log when they come next, and what an audit says of it."""
    for agency in world.agencies:
        world.fed.nodes[agency].errors.clear()
    with suppress(SamprasanError):  # a node that has stopped goes no further
        world.fed.run()
    codes = {problem.code for agency in world.agencies for problem in world.fed.nodes[agency].errors}
    problems = audit.audit(world.fed.hub, world.fed.hub.world.signer.public_key).problems
    return codes | {re.sub(r"\d+", "N", each) for each in problems}


@pytest.mark.parametrize("plant", [*FOUND_SOON, *FOUND_LATE])
def test_a_hole_fits_the_code_as_it_stands(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    monkeypatch.undo()


@pytest.mark.parametrize(
    "plant",
    [
        *[pytest.param(each, marks=pytest.mark.rest) for each in FOUND_SOON],
        *[pytest.param(each, marks=pytest.mark.long) for each in FOUND_LATE],
    ],
)
def test_a_planted_hole_is_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    for seed in (FOUND_SOON.get(plant, 0), *range(SEEDS_TO_FIND_A_HOLE)):
        if found := run(seed, until_found=True).found():
            print(f"{plant.__name__}: seed {seed} found {found}")
            return
    pytest.fail(f"{plant.__name__} was not found in {SEEDS_TO_FIND_A_HOLE} seeds")
