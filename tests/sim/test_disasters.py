"""A hub that comes back from a backup has everything again; one that lies is caught, with proof."""

from tests.sim import disasters
from tests.sim.simulation import EXPECTED_CODES, STEPS, Seeds

RESTORED_CODES = EXPECTED_CODES | {"hub_recovering", "nothing_lost"}
CUT_CODES = RESTORED_CODES | {"log_cut", "refeed_stale"}


def test_a_hub_restored_at_random_moments_loses_nothing(seeds: Seeds) -> None:
    tried = restored = given_up = 0
    for seed in seeds(3, 6, 200):
        found = disasters.run(seed, STEPS)
        assert found.problems == [], f"seed {seed}"
        assert found.codes <= RESTORED_CODES, f"seed {seed}"
        tried, restored = tried + 1, restored + found.restored
        given_up += found.is_given_up
    assert restored > tried
    assert given_up <= tried // 50, "that is for several batches that had waited for long, before the hub took them"


def test_a_log_that_is_cut_loses_nothing_that_somebody_has(seeds: Seeds) -> None:
    tried = cuts = 0
    for seed in seeds(3, 6, 200):
        found = disasters.cut(seed, STEPS)
        assert found.problems == [], f"seed {seed}"
        assert found.codes <= CUT_CODES, f"seed {seed}"
        tried, cuts = tried + 1, cuts + found.cuts
    assert cuts > tried // 4


def test_a_hub_that_tells_two_stories_is_caught_with_proof(seeds: Seeds) -> None:
    for seed in seeds(1, 4, 60):
        caught, proved = disasters.lying(seed, 100, 10 * STEPS)
        assert caught, f"seed {seed}"
        assert proved, f"seed {seed}"
