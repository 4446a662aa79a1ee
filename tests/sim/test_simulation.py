"""The simulation finds nothing wrong with the product, and finds every bug that is planted."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sim import simulation
from tests.sim.planted import PLANTED, Plant
from tests.sim.simulation import EXPECTED_CODES, STEPS, Seeds

PARTS = 4  # to be spread over workers; each has every fourth seed
SEEDS = (8, 16, 1_000)  # in make test, in make check, in a long run
SEEDS_TO_FIND_A_BUG = 200


@pytest.mark.parametrize("part", range(PARTS))
def test_with_loss_doubling_reorder_corruption_and_crashes_everything_agrees_in_the_end(
    part: int, seeds: Seeds, record_property: Callable[[str, object], None]
) -> None:
    begun, count = time.perf_counter(), 0
    for number in seeds(*(each // PARTS for each in SEEDS)):
        seed, count = number * PARTS + part, count + 1
        found = simulation.run(seed, STEPS)
        assert found.problems == [], f"seed {seed}"
        assert found.codes <= EXPECTED_CODES, f"seed {seed}"
        assert sum(map(len, found.given.values())) > 80
        assert sum(map(len, found.at_counter.wishes.values())) > 20
    record_property("steps/s (goal 1,000)", f"{count * STEPS / (time.perf_counter() - begun):.0f}")


def test_people_who_come_and_leave_are_linked_or_forgotten_everywhere_alike(seeds: Seeds) -> None:
    for seed in seeds(2, 4, 100):
        found = simulation.run(seed, STEPS // 2, leaving=True)
        assert found.problems == [], f"seed {seed}"
        assert found.codes <= EXPECTED_CODES, f"seed {seed}"


def test_the_same_seed_gives_the_same_trace_whatever_the_hash_seed() -> None:
    here = simulation.run(7, 300).digest()
    script = "from tests.sim import simulation; print(simulation.run(7, 300).digest())"
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONHASHSEED": "1234", "PYTHONPATH": str(root)}
    there = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here
    assert simulation.run(8, 300).digest() != here


@pytest.mark.parametrize(("plant", "faults"), PLANTED)
def test_a_planted_bug_is_found(plant: Plant, faults: simulation.Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    for seed in range(SEEDS_TO_FIND_A_BUG):
        found = simulation.run(seed, STEPS // 2, faults)
        if found.problems:
            print(f"{plant.__name__}: seed {seed} found {found.problems[0]}")
            return
    pytest.fail(f"{plant.__name__} was not found in {SEEDS_TO_FIND_A_BUG} seeds")


@pytest.mark.rest
@pytest.mark.parametrize("faults", dict.fromkeys(faults for _, faults in PLANTED))
def test_without_the_planted_bug_the_same_faults_find_nothing(faults: simulation.Faults) -> None:
    assert simulation.run(0, STEPS // 2, faults).problems == []
