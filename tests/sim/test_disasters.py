"""A hub that comes back from a backup has everything again; one that lies is caught, with proof."""

from tests.sim import disasters
from tests.sim.test_simulation import EXPECTED_CODES, STEPS

RESTORED_CODES = EXPECTED_CODES | {"hub_recovering", "nothing_lost"}
CUT_CODES = RESTORED_CODES | {"log_cut"}


def test_a_hub_restored_at_random_moments_loses_nothing(long_run: bool) -> None:
    restored = 0
    for seed in range(400 if long_run else 8):
        found = disasters.run(seed, STEPS)
        assert found.problems == [], f"seed {seed}"
        assert found.codes <= RESTORED_CODES, f"seed {seed}"
        restored += found.restored
    assert restored > 8


def test_a_log_that_is_cut_loses_nothing_that_somebody_has(long_run: bool) -> None:
    cuts = 0
    for seed in range(400 if long_run else 8):
        found = disasters.cut(seed, STEPS)
        assert found.problems == [], f"seed {seed}"
        assert found.codes <= CUT_CODES, f"seed {seed}"
        cuts += found.cuts
    assert cuts > 2


def test_a_hub_that_tells_two_stories_is_caught_with_proof(long_run: bool) -> None:
    for seed in range(100 if long_run else 6):
        caught, proved = disasters.lying(seed, 100, 10 * STEPS)
        assert caught, f"seed {seed}"
        assert proved, f"seed {seed}"
