"""A member that signs whatever is well-formed, alone or with the hub's operator, and what it must not reach."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from samprasan.hub import store as hub_store
from samprasan.hub.log import audit
from samprasan.keys.identifiers import Scheme, parse
from samprasan.ledger import corrections, lots, verify
from samprasan.v1 import log_pb2 as log

from tests import federation
from tests.federation import SAMPLES
from tests.reconciling import reconcile
from tests.sim.adversary import COMMUNITIES, ENEMY, KINDS, Enemy
from tests.sim.simulation import STEPS, Seeds, Simulation
from tests.sim.watch import Watch

PARTS = 4  # to be spread over workers; every other world has the operator on the enemy's side
SEEDS = (4, 8, 1_000)  # in make test, in make check, in a long run
SEEDS_TO_FIND_A_HOLE = 200
DAY_CAP, WRITE_OFF_CAP, UPDATE_MAX = 300, 100, 100
COMMUNITIES_FROM = 70_000  # numbers of their records
FORWARD_MS = 43_200_000


@dataclass
class Hostile(Simulation):
    """Two agencies do their work beside an enemy."""

    with_operator: bool = False
    enemy: Enemy = field(init=False)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        text = (SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2")
        for name, before, most in (
            ("credits_per_update_max", "500", UPDATE_MAX),
            ("credits_per_agency_day_max", "1_000_000", DAY_CAP),
            ("write_offs_per_agency_day_max", "100_000", WRITE_OFF_CAP),
        ):
            text = text.replace(f"{name} = {before}", f"{name} = {most}")
        federation.propose_policy(self.fed, text)
        self.enemy = Enemy(self.fed, self.chance, self.with_operator)
        self.watch = Watch(self.fed, self.enemy, DAY_CAP, WRITE_OFF_CAP)

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
        if self._strikes(500):
            super()._step(number)
            return
        self.fed.hub.tick()  # what runs out by itself is not the enemy's doing
        self.watch.begin()
        kind = self.enemy.act()
        self._traced("enemy", kind)
        found = list(self.watch.problems(kind))
        if number % 20 == 0:
            found += [*self.watch.strangers(), *self.watch.opened_unseen()]
        self.problems += [f"step {number}, {kind}: {each}" for each in found]

    def _import_of_community(self, number: int) -> None:
        agency = self.chance.choice(self.agencies)
        community = parse(Scheme.REGISTRY, str(self.chance.randrange(COMMUNITIES)), "codi.council")
        made = replace(
            federation.deed(COMMUNITIES_FROM + number, 0), kind=log.SUBJECT_KIND_COMMUNITY, subject=community
        )
        self.fed.give(agency, made)

    def _check_agreement(self) -> None:
        self.problems += audit.audit(self.fed.hub, self.fed.hub.world.signer.public_key).problems
        with self.fed.hub.db.read() as tx:
            self.problems += verify.breaches(hub_store.ledger.load_all(tx))
        for agency in self.agencies:
            differing = asyncio.run(reconcile(self.fed, agency)).causes
            self.problems += [f"the books of {agency} and the hub differ: {differing}"] if differing else []


def run(seed: int, steps: int = STEPS) -> Hostile:
    """A whole world; an error that is not ours ends it and is a problem too."""
    world = Hostile(seed, with_operator=seed % 2 == 1)
    try:
        world.run(steps)
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
    assert drawn.keys() == KINDS, "every kind of deed is drawn"
    record_property("deeds of the enemy", ", ".join(f"{kind} {count}" for kind, count in sorted(drawn.items())))


def no_cap_of_a_day(patch: pytest.MonkeyPatch) -> None:
    """An agency may make spendable what it likes."""
    over = corrections._over_cap

    def not_over(*arguments: Any) -> Any:
        reason = over(*arguments)
        return 0 if reason == log.DECLINE_REASON_DAY_CAP_REACHED else reason

    patch.setattr(corrections, "_over_cap", not_over)


def nothing_is_paid_back(patch: pytest.MonkeyPatch) -> None:
    """What comes back to a lot can be spent, whatever is owed to it."""
    returned = lots.returned

    def unpaid(held: lots.Lots, debts: lots.Debts, parts: Any) -> Any:
        left, _, paid = returned(held, (), parts)
        return left, debts, paid

    patch.setattr(lots, "returned", unpaid)


def others_credits_are_recovered(patch: pytest.MonkeyPatch) -> None:
    """A correction takes back from whatever is there."""
    patch.setattr(lots, "unspent", lambda held, _key: lots.total(held))


@pytest.mark.rest
@pytest.mark.parametrize("plant", [no_cap_of_a_day, nothing_is_paid_back, others_credits_are_recovered])
def test_a_planted_hole_is_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    for seed in range(SEEDS_TO_FIND_A_HOLE):
        if found := run(seed, STEPS // 2).found():
            print(f"{plant.__name__}: seed {seed} found {found}")
            return
    pytest.fail(f"{plant.__name__} was not found in {SEEDS_TO_FIND_A_HOLE} seeds")
