"""A hub whose clock leaps binds nothing by it, says so, and goes on by itself once it is right."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from samprasan.edge.clocks import Clocks
from samprasan.hub import store
from samprasan.hub.integrators import reader
from samprasan.hub.log import audit, intake
from samprasan.hub.members import hello
from samprasan.hub.process import status
from samprasan.hub.tables import log as log_table
from samprasan.keys.errors import SamprasanError, Unavailable
from samprasan.v1 import hub_pb2

from tests.federation import AGENCIES, Federation, HubParty
from tests.signed_batches import Agency

LEAP_MS = 310 * 86_400_000


@pytest.fixture
def guarded(fed: Federation) -> Federation:
    """The agencies' clocks are heard, and the hub has a clock of its own."""
    clocks = Clocks(lambda: fed.clock.now_ms)
    hub = fed.hub
    fed.hub = HubParty(hub.db, replace(hub.world, others=clocks), hub.authority)
    hear(fed)
    return fed


def hear(fed: Federation) -> None:
    assert fed.hub.world.others is not None
    for agency in AGENCIES:
        fed.hub.world.others.note(agency, fed.clock())


def leap(fed: Federation, by: int) -> None:
    fed.hub = HubParty(fed.hub.db, replace(fed.hub.world, clock=lambda: fed.clock() + by), fed.hub.authority)


def code(step: Callable[[], object]) -> str:
    try:
        step()
    except SamprasanError as problem:
        return problem.code
    return ""


def size(fed: Federation) -> int:
    with fed.hub.db.read() as tx:
        return len(tx.execute(log_table.select()).all())


def test_nothing_is_appended_by_a_clock_that_is_off_and_all_goes_on_once_it_is_right(guarded: Federation) -> None:
    agency = Agency(guarded)
    agency.send(agency.sign(agency.batch(agency.link())))
    batch = agency.sign(agency.batch(agency.award()))
    before = size(guarded)
    leap(guarded, LEAP_MS)
    assert code(lambda: agency.send(batch)) == "hub_clock_off"
    assert code(lambda: intake.turn_due(guarded.hub)) in ("", "hub_clock_off")
    assert code(lambda: reader.retain(guarded.hub, 30)) == "hub_clock_off"
    guarded.hub.db.read()
    assert size(guarded) == before
    leap(guarded, 0)
    assert agency.send(batch).payload_type.endswith("receipt")
    found = audit.audit(guarded.hub, guarded.hub.world.signer.public_key)
    assert found.problems == []


def test_before_an_agency_was_heard_nothing_is_appended(guarded: Federation) -> None:
    hub = guarded.hub
    guarded.hub = HubParty(hub.db, replace(hub.world, others=Clocks(lambda: 0)), hub.authority)
    with pytest.raises(Unavailable) as unknown:
        Agency(guarded)
    assert unknown.value.code == "hub_clock_unknown"


def test_status_shows_whose_clock_is_off(guarded: Federation) -> None:
    for agency in AGENCIES:
        hello.answer_hello(guarded.hub, agency, hub_pb2.HelloRequest())
    clock = status.status(guarded.hub.db, guarded.clock())["clock"]
    assert clock == {"ahead_seconds": 0, "stopped": False, "agencies_ahead_seconds": dict.fromkeys(AGENCIES, 0)}
    leap(guarded, LEAP_MS)
    for agency in AGENCIES:
        hello.answer_hello(guarded.hub, agency, hub_pb2.HelloRequest())
    now = guarded.hub.world.now()
    clock = status.status(guarded.hub.db, now)["clock"]
    assert (clock["ahead_seconds"], clock["stopped"]) == (LEAP_MS // 1000, True)
    assert status.clock_off(guarded.hub.db, now) == LEAP_MS // 1000
    gauges = {gauge.name: gauge.values for gauge in status.gauges(guarded.hub.db, now)}
    assert gauges["samprasan_hub_clock_stopped"] == {"": True}


def test_mail_and_proposals_outlast_a_leap(guarded: Federation) -> None:
    """What is deleted when it is old is not deleted by a clock that is off."""
    with guarded.hub.db.begin() as tx:
        store.mailbox.post(tx, "nhco", "mpc", b"sealed", guarded.clock())
    leap(guarded, LEAP_MS)
    assert not guarded.hub.world.is_right()
