"""What was spent of a deed is paid back before it counts again; what a cap of the day stops goes on another day."""

from decimal import Decimal
from typing import Any

import pytest
from samprasan.hub import store as hub_store
from samprasan.hub.log import audit
from samprasan.hub.process import status as hub_status
from samprasan.keys.durations import DAY_MS
from samprasan.node import store
from samprasan.node.counter import erasure, redemption
from samprasan.node.deeds import history
from samprasan.node.imports import undo
from samprasan.node.process import status
from samprasan.node.sync import outbox

from tests import federation
from tests.federation import SAMPLES, Federation, deed
from tests.leaving import close_what_rests, leave, run_without
from tests.log_entries import batches
from tests.reconciling import reconcile
from tests.redemptions import wish

TEN = {"quantity": Decimal("1.25"), "credits": 10}  # a benefit's price


def owned(fed: Federation) -> tuple[int, int, int, int]:
    """Earned, available, spent and written off, of everybody."""
    assert audit.audit(fed.hub, fed.hub.world.signer.public_key).problems == []
    with fed.hub.db.read() as tx:
        found = hub_store.ledger.federation_totals(tx)
    return found["earned"], found["available"], found["spent"], found["written_off"]


def spend(fed: Federation, number: int = 1) -> str:
    redemption.request_redemption(fed.nodes["mpc"], wish(number))
    fed.run()
    with fed.nodes["mpc"].db.read() as tx:
        row = store.redemptions.of_op_key(tx, wish(number).op_key)
    assert row is not None
    return str(row.state)


async def agree(fed: Federation) -> None:
    for agency in fed.nodes:
        assert (await reconcile(fed, agency)).differences == [], agency


@pytest.fixture
def spent(fed: Federation) -> Federation:
    """Two deeds of ten credits each, both spent."""
    federation.publish(fed)
    fed.give("mpc", deed(1, 1, **TEN), deed(2, 1, **TEN))
    fed.run()
    assert [spend(fed, 1), spend(fed, 2)] == ["posted", "posted"]
    assert owned(fed) == (20, 0, 20, 0)
    return fed


async def test_deeds_that_are_revoked_and_verified_again_do_not_pay_twice(spent: Federation) -> None:
    spent.give("mpc", deed(1, 1, **TEN, status="revoked"), deed(2, 1, **TEN, status="revoked"))
    spent.run()
    assert owned(spent) == (0, 0, 20, 20)
    await agree(spent)
    spent.give("mpc", deed(1, 1, **TEN), deed(2, 1, **TEN))
    spent.run()
    assert owned(spent) == (20, 0, 20, 0)
    assert spend(spent, 3) == "declined"
    spent.give("mpc", deed(3, 1, **TEN))
    spent.run()
    assert owned(spent) == (30, 10, 20, 0)
    await agree(spent)


async def test_an_import_that_is_undone_and_made_again_does_not_pay_twice(fed: Federation) -> None:
    federation.publish(fed)
    fed.give("mpc", deed(9, 1, **TEN))
    report = fed.give("mpc", deed(1, 1, **TEN), deed(2, 1, **TEN))
    fed.run()
    assert [spend(fed, number) for number in (1, 2, 3)] == ["posted"] * 3
    assert report.import_id is not None
    undo.undo_import(fed.nodes["mpc"], report.import_id)
    fed.run()
    assert owned(fed) == (10, 0, 30, 20)
    await agree(fed)
    fed.give("mpc", deed(1, 1, **TEN), deed(2, 1, **TEN))
    fed.run()
    assert owned(fed) == (30, 0, 30, 0)
    assert spend(fed, 4) == "declined"
    await agree(fed)


async def test_a_refund_lowers_what_was_written_off(spent: Federation) -> None:
    spent.give("mpc", deed(1, 1, **TEN, status="revoked"), deed(2, 1, **TEN, status="revoked"))
    spent.run()
    redemption.refund(spent.nodes["mpc"], wish(1).op_key, None, "returned")
    spent.run()
    assert owned(spent) == (0, 0, 10, 10), "a person with no deed left has nothing to spend"
    spent.give("mpc", deed(1, 1, **TEN), deed(2, 1, **TEN))
    spent.run()
    assert owned(spent) == (20, 10, 10, 0)
    await agree(spent)


async def test_verified_again_before_the_reversal_has_its_receipt(spent: Federation) -> None:
    node = spent.nodes["mpc"]
    spent.give("mpc", deed(1, 1, **TEN, status="revoked"))
    sealed = [push for each in node.tick() for told in spent.hub.receive(each) for push in node.receive(told)]
    spent.give("mpc", deed(1, 1, **TEN))
    spent.deliver(sealed)
    spent.run()
    assert owned(spent) == (20, 0, 20, 0)
    await agree(spent)


async def test_a_deed_that_moves_away_and_comes_back_does_not_pay_twice(spent: Federation) -> None:
    spent.give("mpc", deed(1, 2, **TEN))
    spent.run()
    assert owned(spent) == (20, 10, 20, 10)
    spent.give("mpc", deed(1, 1, **TEN))
    spent.run()
    assert owned(spent) == (20, 0, 20, 0)
    await agree(spent)


def test_what_was_undone_is_forgotten_when_nothing_is_owed_or_the_account_is_given_up(fed: Federation) -> None:
    federation.publish(fed)
    fed.give("mpc", deed(9, 1, **TEN))
    first = fed.give("mpc", deed(1, 1, **TEN))
    second = fed.give("mpc", deed(2, 2, **TEN))
    fed.run()
    spend(fed, 1)
    spend(fed, 2)
    node = fed.nodes["mpc"]
    for report in (first, second):
        assert report.import_id is not None
        undo.undo_import(node, report.import_id)
    fed.run()
    with node.db.read() as tx:
        kept = store.deeds.of_ids(tx, range(100))
    assert [(each.record_id, bool(each.gone)) for each in kept] == [("R00009", False), ("R00001", True)]
    leave(fed, 1)
    fed.run()
    close_what_rests(fed)
    with node.db.read() as tx:
        assert [each.record_id for each in store.deeds.of_ids(tx, range(100)) if each.gone] == []


def lower_caps(fed: Federation, **caps: int) -> None:
    """Another policy, with lower limits of a day."""
    text = (SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2")
    for name, most in caps.items():
        before = next(line for line in text.splitlines() if line.startswith(name))
        text = text.replace(before, f"{name} = {most}")
    federation.propose_policy(fed, text)


async def test_an_award_over_the_cap_of_the_day_goes_by_itself_when_the_next_has_begun(fed: Federation) -> None:
    lower_caps(fed, credits_per_update_max=20, credits_per_agency_day_max=40)
    fed.give("mpc", *(deed(number, number) for number in range(1, 6)))
    fed.run()
    node = fed.nodes["mpc"]
    assert owned(fed)[0] == 32, "two of sixteen credits"
    assert status.status(node, None)["deeds"]["waiting"] == 3
    assert outbox.outbox(node.db, fed.clock()).is_empty
    near = [each for each in hub_status.warnings(fed.hub.db, fed.clock()) if "credits_per_agency" in each["setting"]]
    assert [(each["agency"], each["used"], each["most"]) for each in near] == [("mpc", 32, 40)]
    sent = len(batches(fed))
    fed.run()
    assert len(batches(fed)) == sent, "it is not tried again today"
    fed.give("mpc", deed(1, 1, status="revoked"))
    fed.run()
    assert owned(fed)[0] == 16, "what is taken back goes on"
    await agree(fed)
    for expected in (48, 64):
        fed.clock.now_ms += DAY_MS
        fed.run()
        assert owned(fed)[0] == expected
    assert status.status(node, None)["deeds"]["waiting"] == 0
    await agree(fed)


async def test_what_becomes_less_goes_on_though_the_day_is_full(fed: Federation) -> None:
    lower_caps(fed, credits_per_update_max=20, credits_per_agency_day_max=40)
    fed.give("mpc", deed(1, 1))
    fed.run()
    fed.give("mpc", deed(2, 2), deed(3, 3))
    receipt = run_without(fed, "pushed")[0]
    fed.give("mpc", deed(1, 1, quantity=Decimal(1), credits=8), deed(4, 4))
    node = fed.nodes["mpc"]
    node.receive(receipt)
    fed.run()
    assert owned(fed)[0] == 24, "eight of the first, sixteen of the second"
    assert status.status(node, None)["deeds"]["waiting"] == 2
    await agree(fed)


async def test_a_reversal_over_the_cap_of_write_offs_is_ended_on_other_days(spent: Federation) -> None:
    lower_caps(spent, credits_per_update_max=10, write_offs_per_agency_day_max=10)
    spent.give("mpc", deed(3, 1, quantity=Decimal("0.5"), credits=4))
    spent.run()
    spent.give("mpc", deed(1, 1, **TEN, status="revoked"))
    spent.run()
    node = spent.nodes["mpc"]
    assert owned(spent) == (14, 0, 20, 6), "four were unspent, six are written off"
    assert status.status(node, None)["deeds"]["waiting"] == 0
    spent.give("mpc", deed(2, 1, **TEN, status="revoked"))
    spent.run()
    assert owned(spent) == (10, 0, 20, 10), "four more may be written off today"
    assert status.status(node, None)["deeds"]["waiting"] == 1
    shown: dict[str, Any] = history.show(node, "test", "R00002")
    assert shown["credits_at_hub"] == 6
    await agree(spent)
    sent = len(batches(spent))
    spent.run()
    assert len(batches(spent)) == sent, "it is not tried again today"
    spent.clock.now_ms += DAY_MS
    spent.run()
    assert owned(spent) == (4, 0, 20, 16)
    await agree(spent)
    spent.give("mpc", deed(2, 1, **TEN))
    spent.run()
    assert owned(spent) == (14, 0, 20, 6)
    await agree(spent)


async def test_a_clock_that_is_ahead_does_not_try_all_night(fed: Federation) -> None:
    lower_caps(fed, credits_per_update_max=20, credits_per_agency_day_max=20)
    node = fed.nodes["mpc"] = fed.nodes["mpc"].with_clock(lambda: fed.clock() + DAY_MS)
    fed.give("mpc", deed(1, 1), deed(2, 2))
    fed.run()
    assert (owned(fed)[0], status.status(node, None)["deeds"]["waiting"]) == (16, 1)
    sent = len(batches(fed))
    fed.run()
    assert len(batches(fed)) == sent


def test_what_was_put_off_goes_though_who_asked_for_it_was_erased(fed: Federation) -> None:
    lower_caps(fed, credits_per_update_max=20, credits_per_agency_day_max=20)
    fed.give("mpc", deed(1, 1), deed(2, 2))
    fed.run()
    node = fed.nodes["mpc"]
    fed.give("mpc", deed(3, 3))
    fed.run()
    assert status.status(node, None)["deeds"]["waiting"] == 2
    erasure.erase(node, deed(2, 2).subject)
    fed.clock.now_ms += DAY_MS
    fed.run()
    assert (owned(fed)[0], status.status(node, None)["deeds"]["waiting"]) == (32, 0)
