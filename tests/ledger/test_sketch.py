"""The sketch: whatever two sides differ in is found, and how much it takes."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samprasan.ledger import sketch
from samprasan.ledger.contributions import Contribution
from samprasan.ledger.sketch import PRIME, Keys, Peeling, Side

Accounts = dict[bytes, Contribution]
KEYS = Keys.drawn(b"a session")


def made(count: int, seed: int = 1) -> Accounts:
    chance = random.Random(seed)
    return {
        chance.randbytes(16): Contribution._make([*(chance.randrange(500) for _ in range(5)), 1]) for _ in range(count)
    }


def side(accounts: Accounts, keys: Keys = KEYS) -> Side:
    return Side(keys, list(accounts), list(accounts.values()))


def reconciled(here: Accounts, there: Accounts, keys: Keys = KEYS, most: int = 4000) -> tuple[dict[bytes, int], int]:
    """Account → δ, as the side ``here`` finds it, and how many cells it took."""
    mine, theirs = side(here, keys), side(there, keys)
    peeling = Peeling(mine.ids)
    while not peeling.is_done:
        assert peeling.count < most
        step = max(1, peeling.count // 16)
        peeling.add_cells(mine.more(step), theirs.more(step))
    names = list(here)
    return {names[place]: delta for place, delta in peeling.found.items() if delta}, peeling.count


def differences(here: Accounts, there: Accounts) -> dict[bytes, int]:
    none = Contribution()
    return {
        key: (KEYS.delta(here.get(key, none)) - KEYS.delta(there.get(key, none))) % PRIME
        for key in here.keys() | there.keys()
        if here.get(key, none) != there.get(key, none)
    }


def test_two_sides_that_agree_need_one_cell() -> None:
    accounts = made(1000)
    assert reconciled(accounts, dict(accounts)) == ({}, 1)


@pytest.mark.parametrize("count", [1, 2, 10, 100, 1000])
def test_every_account_that_differs_is_found(count: int) -> None:
    there = made(5000)
    here = dict(there)
    for number, key in enumerate(random.Random(count).sample(sorted(here), count)):
        here[key] = there[key].plus(Contribution(health=number + 1, spent=-number))
    found, cells = reconciled(here, there)
    assert found == differences(here, there)
    assert cells <= 2 * count + 20


def test_opposite_errors_do_not_cancel() -> None:
    there = made(50)
    first, second = sorted(there)[:2]
    here = dict(there)
    here[first] = there[first].plus(Contribution(social=7))
    here[second] = there[second].minus(Contribution(social=7))
    found, _ = reconciled(here, there)
    assert set(found) == {first, second}
    within = dict(there)
    within[first] = there[first].plus(Contribution(social=7, health=-7))
    assert set(reconciled(within, there)[0]) == {first}


def test_an_account_without_credits_that_only_this_side_knows_is_found() -> None:
    there = made(50)
    here = there | {b"only here 123456": Contribution(linked=1)}
    assert set(reconciled(here, there)[0]) == {b"only here 123456"}


def test_an_account_that_only_the_other_side_knows_is_found_once_this_side_hears_of_it() -> None:
    here = made(50)
    there = here | {b"only there 12345": Contribution(linked=1, health=5)}
    with pytest.raises(AssertionError):
        reconciled(here, there, most=200)
    told = here | {b"only there 12345": Contribution()}
    assert set(reconciled(told, there)[0]) == {b"only there 12345"}


def test_one_component_tells_by_how_much() -> None:
    for place, name in enumerate(Contribution._fields):
        for value in (1, -1, 499, -(2**31)):
            delta = KEYS.delta(Contribution()._replace(**{name: value}))
            assert KEYS.single(delta, 2**32) == Contribution(*(value if each == place else 0 for each in range(6)))
    assert KEYS.single(KEYS.delta(Contribution(1, 1)), 2**32) is None


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_two_sides(data: st.DataObject) -> None:
    there = made(data.draw(st.integers(1, 60)), data.draw(st.integers(0, 100)))
    here = dict(there)
    for key in data.draw(st.lists(st.sampled_from(sorted(there)), max_size=20)):
        here[key] = Contribution._make([*(data.draw(st.integers(0, 2**40)) for _ in range(5)), 1])
    keys = Keys.drawn(data.draw(st.binary(max_size=8)))
    expected = {key for key in here if here[key] != there[key]}
    assert set(reconciled(here, there, keys)[0]) == expected


@given(st.lists(st.tuples(st.integers(0, PRIME - 1), st.integers(0, PRIME - 1)), min_size=1, max_size=20))
def test_products_are_those_of_whole_numbers(pairs: list[tuple[int, int]]) -> None:
    left, right = (np.array([pair[place] for pair in pairs], dtype=np.uint64) for place in (0, 1))
    assert [int(each) for each in sketch.product(left, right)] == [a * b % PRIME for a, b in pairs]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_every_word_is_reduced(values: list[int]) -> None:
    assert [int(each) for each in sketch.reduced(np.array(values, dtype=np.uint64))] == [v % PRIME for v in values]


def test_cells_do_not_depend_on_how_many_are_made_at_once() -> None:
    accounts = made(300)
    at_once = side(accounts).more(100)
    each = side(accounts)
    assert [cell for count in (1, 2, 3, 94) for cell in each.more(count)] == at_once
    assert sketch.read(sketch.written(at_once)) == at_once


@pytest.mark.parametrize("data", [b"x", bytes(15), bytes(17), b"\xff" * 16, PRIME.to_bytes(8, "big") * 2])
def test_what_are_no_cells_is_told(data: bytes) -> None:
    with pytest.raises(ValueError):
        sketch.read(data)


def test_cells_of_nobody_are_empty() -> None:
    assert side({}).more(3) == [(0, 0)] * 3


def test_noise_never_ends_in_an_answer() -> None:
    """A side that sends what no accounts make stalls the session; it finds nobody, and the caller's limit ends it."""
    here = made(200)
    mine, chance = side(here), random.Random(3)
    peeling = Peeling(mine.ids)
    for _ in range(20):
        peeling.add_cells(mine.more(10), [(chance.randrange(PRIME), chance.randrange(PRIME)) for _ in range(10)])
    assert not peeling.is_done
    assert peeling.found == {}
