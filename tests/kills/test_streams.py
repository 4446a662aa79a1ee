"""Followers of a hub that is killed, through lines that go down, slowly and fast: every guarantee, by the validator."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from federation import Federation as LocalFederation
from samprasan.hub import home as hub_homes
from samprasan.hub.integrators import reader
from samprasan.keys.handles import Cursors
from samprasan.ledger import scopes
from samprasan.node.imports.deed import Consents

from tests import integrating, local
from tests.load import Load
from tests.recording import Proxy, Recorder, recording
from tests.sim.followers import allows_all, allows_health_of_mpc
from tests.validator import Judge, Truth

ROUNDS = 6
LONG_ROUNDS = 40
SUBJECTS = 60
CATCH_UP_SECONDS = 30.0


def test_readers_miss_nothing_while_the_hub_is_killed(
    template: Path, tmp_path: Path, long_run: bool, seed: int, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(seed)
    with local.running(template, tmp_path / "federation") as served:
        app = integrating.admit(served, "welfare-app", tmp_path, "balances")
        bank = integrating.admit(served, "bank", tmp_path, "balances")
        proxy = Proxy(hub_homes.reached_at(served.home("hub")).hub)
        followers = [
            (Recorder(app), allows_all),
            (Recorder(app, begins_anew=True, address=proxy.address), allows_all),
            (Recorder(app, pause=0.2), allows_all),
            (Recorder(bank, wanted=scopes.filter_of(["agency=mpc", "dimension=health"])), allows_health_of_mpc),
        ]
        load = Load(served, Consents(share=True, redeem=True, integrators=True))
        with recording([recorder for recorder, _ in followers]):
            for number in range(LONG_ROUNDS if long_run else ROUNDS):
                load.give(chance, deeds=15, subjects=SUBJECTS)
                load.change_minds(chance, people=6, subjects=SUBJECTS)
                proxy.is_down = number % 3 == 1
                time.sleep(chance.uniform(0.2, 1.0))
                served.restart("hub" if number % 2 else chance.choice(["mpc", "nhco"]))
            proxy.is_down = False
            load.wait()
            wait_for_all(served, [recorder for recorder, _ in followers])
        load.close()
        proxy.close()
        _, db = hub_homes.open_database(served.home("hub"))
        truth = Truth.at(db)
        db.close()
        for recorder, allows in followers:
            names = integrating.names(served, recorder.credentials)
            opened = integrating.cursors(served, recorder.credentials).opened
            judge = Judge(truth, names.handle, opened, allows, allows is allows_all)
            assert judge.judge(recorder.records) == []
            shown = [event for record in recorder.records for event in record.events]
            record_property("events told, of all", f"{len(shown)} of {len(truth.due)}, {recorder.breaks} breaks")
            assert len(shown) > len(truth.due) / 10
            assert recorder.breaks > 1


def wait_for_all(served: LocalFederation, recorders: list[Recorder]) -> None:
    """Until each has a bookmark at the end of the log."""
    _, db = hub_homes.open_database(served.home("hub"))
    end = reader.log_size(db)
    db.close()
    until = time.monotonic() + CATCH_UP_SECONDS
    for recorder in recorders:
        cursors = integrating.cursors(served, recorder.credentials)
        while not is_at(end, recorder, cursors):
            assert time.monotonic() < until, f"{recorder.records[-1]} is not at {end}"
            time.sleep(0.1)


def is_at(end: int, recorder: Recorder, cursors: Cursors) -> bool:
    last = recorder.records[-1]
    place = cursors.opened(last.cursor) if last.what == "bookmark" else None
    return place is not None and place.log_index >= end
