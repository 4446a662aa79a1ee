"""kill -9 of hub and nodes at random moments of a sync: nothing lost, nothing doubled, back within seconds."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from federation import AGENCIES
from federation import Federation as LocalFederation
from samprasan.hub import home as hub_homes
from samprasan.hub import store as hub_store
from samprasan.node import store as node_store
from samprasan.node.tables import batches

from tests import local
from tests.load import Load

CYCLES = 20
LONG_CYCLES = 200


def test_killed_at_random_moments_everything_still_adds_up(
    template: Path, tmp_path: Path, long_run: bool, seed: int, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(seed)
    slowest = 0.0
    with local.running(template, tmp_path / "federation") as served:
        load = Load(served)
        for _ in range(LONG_CYCLES if long_run else CYCLES):
            load.give(chance)
            time.sleep(chance.uniform(0, 0.8))
            victim = chance.choice(["hub", *AGENCIES])
            served.kill(victim)
            begun = time.monotonic()
            served.restart(victim)
            slowest = max(slowest, time.monotonic() - begun)
        load.wait()
        record_property("slowest restart, s (goal 5)", f"{slowest:.1f}")
        check_agreement(served, load)
        assert served.answer("hub", "audit")["problems"] == []


def check_agreement(served: LocalFederation, load: Load) -> None:
    """What was earned, what nodes hold as settled, what the hub awarded and what the log says are the same."""
    status = served.answer("hub", "status")
    assert status["totals"]["earned"] == status["totals"]["available"] == sum(load.earned.values())
    assert {each["agency"]: each["earned"] for each in status["agencies"]} == load.earned
    _, db = hub_homes.open_database(served.home("hub"))
    with db.read() as tx:
        logged = {(row.agency, row.seq): row.receipt for row in hub_store.log.entries(tx)}
    db.close()
    for agency, home in load.homes.items():
        with home.node.db.read() as tx:
            assert node_store.awards.settled_credits(tx) == load.earned[agency]
            for row in tx.execute(sa.select(batches.c.seq, batches.c.receipt)):
                assert logged[agency, row.seq] == row.receipt
    load.close()
