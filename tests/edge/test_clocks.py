"""Others' clocks: the median counts, carried on by a clock that never jumps."""

import pytest
from samprasan.edge.clocks import ACTIVE_MS, OFF_MAX_MS, Clocks
from samprasan.edge.world import World
from samprasan.keys.errors import Unavailable
from samprasan.keys.signing import KeySigner

NOW = 1_795_402_800_000
YEAR_MS = 365 * 86_400_000


class Elapsing:
    """A clock that only goes forward."""

    def __init__(self) -> None:
        self.ms = 5_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def elapsed() -> Elapsing:
    return Elapsing()


@pytest.fixture
def clocks(elapsed: Elapsing) -> Clocks:
    return Clocks(elapsed)


def test_with_nobody_heard_nothing_is_known(clocks: Clocks) -> None:
    assert clocks.off(NOW) is None
    with pytest.raises(Unavailable) as unknown:
        clocks.check(NOW)
    assert unknown.value.code == "hub_clock_unknown"


@pytest.mark.parametrize(
    ("said", "off"),
    [
        ([0], 0),
        ([7_000], -7_000),
        ([0, 1_000, YEAR_MS], -1_000),
        ([0, 1_000, -YEAR_MS], 0),
        ([2_000, YEAR_MS], -2_000),
        ([-YEAR_MS, 2_000], -2_000),
        ([0, 1_000, 2_000, YEAR_MS], -1_000),
    ],
)
def test_one_wrong_clock_among_several_decides_nothing(clocks: Clocks, said: list[int], off: int) -> None:
    for number, ahead in enumerate(said):
        clocks.note(str(number), NOW + ahead)
    assert clocks.off(NOW) == off


def test_what_was_said_is_carried_on_and_a_leap_of_ones_own_clock_shows_at_once(
    clocks: Clocks, elapsed: Elapsing
) -> None:
    clocks.note("mpc", NOW)
    elapsed.ms += 3_600_000
    clocks.check(NOW + 3_600_000)
    for leap in (YEAR_MS, -YEAR_MS, OFF_MAX_MS + 1):
        with pytest.raises(Unavailable) as off:
            clocks.check(NOW + 3_600_000 + leap)
        assert (off.value.code, off.value.values["seconds"]) == ("hub_clock_off", round(leap / 1000))
    clocks.check(NOW + 3_600_000 + OFF_MAX_MS)


def test_who_was_not_heard_lately_counts_only_if_nobody_was(clocks: Clocks, elapsed: Elapsing) -> None:
    for who in ("codi", "nhco"):
        clocks.note(who, NOW - YEAR_MS)
    elapsed.ms += ACTIVE_MS + 1
    clocks.note("mpc", NOW)
    assert clocks.off(NOW) == 0
    elapsed.ms += ACTIVE_MS + 1
    assert clocks.off(NOW) == YEAR_MS - 2 * (ACTIVE_MS + 1), "two against one, as far as each was carried on"


def test_how_far_each_is_ahead_is_known(clocks: Clocks, elapsed: Elapsing) -> None:
    clocks.note("mpc", NOW + 4_000)
    elapsed.ms += 1_000
    assert (clocks.ahead_of("mpc", NOW + 1_000), clocks.ahead_of("nhco", NOW)) == (4_000, 0)


def test_a_world_without_others_trusts_its_own(clocks: Clocks) -> None:
    signer = KeySigner(b"k" * 32)
    assert World(signer, lambda: NOW).moment() == NOW
    guarded = World(signer, lambda: NOW, others=clocks)
    assert not guarded.is_right()
    clocks.note("mpc", NOW)
    assert (guarded.is_right(), guarded.moment()) == (True, NOW)
