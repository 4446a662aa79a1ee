"""Reconciliation: the right accounts, by how much, and the likely cause; on both databases, with the real sketch."""

from collections.abc import Callable
from decimal import Decimal

import pytest
import sqlalchemy as sa
from samprasan.hub import limits as hub_limits
from samprasan.hub.accounts import reconciliation
from samprasan.hub.process import status as process_status
from samprasan.hub.tables import accounts as hub_accounts
from samprasan.hub.tables import links as hub_links
from samprasan.hub.tables import log as hub_log
from samprasan.keys.errors import Malformed, SamprasanError, Unavailable, Unproven
from samprasan.ledger import sketch
from samprasan.ledger.contributions import Contribution
from samprasan.node import limits as node_limits
from samprasan.node.counter import consent
from samprasan.node.proof import reconciliation as node_reconciliation
from samprasan.node.session import reconciliation as reconcile_session
from samprasan.node.tables import awards, deeds, subjects
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope

from tests.federation import AGENCIES, Federation, deed
from tests.reconciling import LOCAL, in_nodes_database, reconcile


async def test_three_agencies_agree(busy_on_each: Federation) -> None:
    for agency in AGENCIES:
        outcome = await reconcile(busy_on_each, agency)
        assert outcome.as_document()["agreed"] is True
        assert (outcome.accounts, outcome.bytes, outcome.round_trips) == (6, sketch.CELL_BYTES, 1)
    document = process_status.status(busy_on_each.hub.db, busy_on_each.clock())
    assert [each["differences"] for each in document["agencies"]] == [0, 0, 0]
    assert all(each["agreed_at"] for each in document["agencies"])


async def test_an_empty_federation_agrees(fed: Federation) -> None:
    assert (await reconcile(fed, "mpc")).accounts == 0


def account_of(fed: Federation, record_id: str) -> bytes:
    query = sa.select(subjects.c.account_id).join(deeds, deeds.c.subject_id == subjects.c.subject_id)
    with fed.nodes["mpc"].db.read() as tx:
        found: bytes = tx.execute(query.where(deeds.c.record_id == record_id)).scalar_one()
    return found


@pytest.mark.parametrize("what", LOCAL)
async def test_a_record_changed_behind_the_programs_back_is_named(busy_on_each: Federation, what: str) -> None:
    change, cause, over, records = LOCAL[what]
    account_id = account_of(busy_on_each, "R00005")
    in_nodes_database(busy_on_each, change(busy_on_each))
    (found,) = (outcome := await reconcile(busy_on_each, "mpc")).differences
    assert found.account_id == account_id
    assert found.here.credits - found.hub.credits == over
    assert node_reconciliation.cause_name(found.cause) == cause
    assert list(found.record_ids) == records
    assert (outcome.bytes, outcome.round_trips) == (sketch.CELL_BYTES, 1)  # one that differs shows in the first cell
    status = process_status.status(busy_on_each.hub.db, busy_on_each.clock())
    assert {each["agency"]: each["differences"] for each in status["agencies"]} == {
        "mpc": 1,
        "nhco": None,
        "codi": None,
    }
    (kept,) = process_status.reconciliations(busy_on_each.hub.db, 5)
    assert (kept["agency"], kept["differences"], kept["causes"]) == ("mpc", 1, {cause: 1})


async def test_credits_moved_to_another_dimension_and_person_show_twice(busy_fed: Federation) -> None:
    change = deeds.update().where(deeds.c.record_id == "R00005").values(dimension=3)
    with busy_fed.nodes["mpc"].db.read() as tx:
        other = tx.execute(sa.select(deeds.c.subject_id).where(deeds.c.record_id == "R00004")).scalar_one()
    in_nodes_database(busy_fed, change)
    (found,) = (outcome := await reconcile(busy_fed, "mpc")).differences
    assert (found.here.credits, found.hub.credits) == (16, 16)
    assert outcome.round_trips == 2  # two things differ, so the hub is asked what it has
    in_nodes_database(busy_fed, deeds.update().where(deeds.c.record_id == "R00005").values(subject_id=other))
    found_both = (await reconcile(busy_fed, "mpc")).differences
    assert len(found_both) == 2
    assert {each.record_ids[0] for each in found_both} == {"R00005"}


async def test_a_node_whose_database_is_older_than_its_chain_is_told_so(busy_fed: Federation) -> None:
    account_id = account_of(busy_fed, "R00005")
    with busy_fed.nodes["mpc"].db.read() as tx:
        deed_id = tx.execute(sa.select(deeds.c.deed_id).where(deeds.c.record_id == "R00005")).scalar_one()
    in_nodes_database(
        busy_fed, deeds.delete().where(deeds.c.deed_id == deed_id), awards.delete().where(awards.c.deed_id == deed_id)
    )
    (found,) = (await reconcile(busy_fed, "mpc")).differences
    assert found.account_id == account_id
    assert node_reconciliation.cause_name(found.cause) == "restored_backup"


async def test_totals_that_are_not_what_the_log_says_show_at_every_agency(busy_on_each: Federation) -> None:
    """A flipped bit in the hub's table of accounts."""
    fed = busy_on_each
    account_id = account_of(fed, "R00005")
    flipped = hub_accounts.update().where(hub_accounts.c.account_id == account_id)
    with fed.hub.db.begin() as tx:
        tx.execute(flipped.values(earned_health=hub_accounts.c.earned_health + 4096))
    for agency in AGENCIES:
        (found,) = (await reconcile(fed, agency)).differences
        assert (found.account_id, found.hub.credits - found.here.credits) == (account_id, 4096)
        assert node_reconciliation.cause_name(found.cause) == "hub_totals"


async def test_totals_that_lack_a_batch_name_it(busy_fed: Federation) -> None:
    busy_fed.give("mpc", deed(70, 4, quantity=Decimal(3)))
    busy_fed.run()
    account_id = account_of(busy_fed, "R00070")
    with busy_fed.hub.db.begin() as tx:
        lacking = hub_accounts.update().where(hub_accounts.c.account_id == account_id)
        tx.execute(lacking.values(earned_health=hub_accounts.c.earned_health - 24))
    (found,) = (await reconcile(busy_fed, "mpc")).differences
    assert node_reconciliation.cause_name(found.cause) == "missing_batch"
    assert found.seq == node_reconciliation.settled_at(busy_fed.nodes["mpc"].db).seq


async def test_a_batch_that_is_gone_from_the_log_is_no_agreement(busy_on_each: Federation) -> None:
    fed = busy_on_each
    with fed.hub.db.begin() as tx:
        tx.execute(hub_log.delete().where(hub_log.c.log_index == 4))
    with pytest.raises(Unavailable) as found:
        await reconcile(fed, "mpc")
    assert (found.value.code, found.value.values["number"]) == ("log_damaged", 4)


async def test_no_flipped_bit_of_what_a_stored_batch_says_is_agreed_to(busy_fed: Federation) -> None:
    """Counting stops there, whatever bit it is; those of the signature are the audit's to find."""
    with busy_fed.hub.db.read() as tx:
        batch = tx.execute(sa.select(hub_log.c.batch).where(hub_log.c.log_index == 5)).scalar_one()
    end = len(batch) - batch.index(Envelope.FromString(batch).payload)
    for bit in range(8 * (end - len(Envelope.FromString(batch).payload)), 8 * end, 97):
        changed = (int.from_bytes(batch, "big") ^ 1 << bit).to_bytes(len(batch), "big")
        with busy_fed.hub.db.begin() as tx:
            tx.execute(hub_log.update().where(hub_log.c.log_index == 5).values(batch=changed))
        with pytest.raises(SamprasanError):
            await reconcile(busy_fed, "mpc")


async def test_an_account_that_only_the_node_knows_is_named(busy_fed: Federation) -> None:
    account_id = account_of(busy_fed, "R00005")
    with busy_fed.hub.db.begin() as tx:
        mine = (hub_links.c.agency == "mpc", hub_links.c.account_id == account_id)
        tx.execute(hub_links.delete().where(*mine))
    (found,) = (await reconcile(busy_fed, "mpc")).differences
    assert (found.account_id, found.hub.linked, found.here.linked) == (account_id, 0, 1)


async def test_an_account_that_only_the_hub_and_the_chain_know_is_named(busy_fed: Federation) -> None:
    account_id = account_of(busy_fed, "R00005")
    in_nodes_database(
        busy_fed, subjects.update().where(subjects.c.account_id == account_id).values(account_id=None, link_settled=0)
    )
    (found,) = (await reconcile(busy_fed, "mpc")).differences
    assert (found.account_id, found.hub.linked, found.here.linked) == (account_id, 1, 0)


async def test_cells_of_accounts_that_nobody_linked_end_with_an_error(busy_fed: Federation) -> None:
    with busy_fed.hub.db.begin() as tx:
        row = tx.execute(sa.select(hub_accounts).limit(1)).one()._asdict()
        tx.execute(hub_accounts.insert().values(row | {"account_id": b"nobody's account"}))
        tx.execute(hub_links.insert().values(agency="mpc", account_id=b"nobody's account", purposes=2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_limits, "SKETCH_CELLS_MAX", 500)
        with pytest.raises(Unproven) as found:
            await reconcile(busy_fed, "mpc")
    assert found.value.code == "sketch"


async def test_somebody_who_left_and_came_back_is_no_difference(busy_fed: Federation) -> None:
    node = busy_fed.nodes["mpc"]
    identifier = deed(5, 5).subject
    consent.withdraw(node, identifier, consent.PURPOSES)
    busy_fed.run()
    busy_fed.run()
    assert (await reconcile(busy_fed, "mpc")).differences == []
    busy_fed.give("mpc", deed(55, 5))
    consent.give(node, identifier, ("share", "redeem"))
    busy_fed.run()
    busy_fed.run()
    assert (await reconcile(busy_fed, "mpc")).differences == []


async def test_updates_on_their_way_are_no_difference(busy_fed: Federation) -> None:
    busy_fed.give("mpc", deed(5, 5, quantity=Decimal(1)), deed(91, 3))
    assert (await reconcile(busy_fed, "mpc")).differences == []


async def test_a_node_that_moves_on_meanwhile_tries_again(busy_fed: Federation) -> None:
    calls: list[int] = []

    def move_on(times: int) -> Callable[[], None]:
        def moved() -> None:
            calls.append(1)
            if len(calls) <= times:
                busy_fed.give("mpc", deed(200 + len(calls), 3))
                busy_fed.run()

        return moved

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconcile_session, "TRY_AGAIN_SECONDS", 0.001)
        patch.setattr(reconcile_session, "TRIES", 4)
        assert (await reconcile(busy_fed, "mpc", before_begin=move_on(2))).differences == []
        assert len(calls) == 3
        with pytest.raises(Unavailable) as found:
            await reconcile(busy_fed, "mpc", before_begin=move_on(100))
        assert found.value.code == "reconcile_busy"


@pytest.mark.parametrize("data", [b"", b"short", b"\xff" * 16, bytes(32)])
async def test_what_are_no_cells_is_malformed(fed: Federation, data: bytes) -> None:
    def spoil(answer: hub_pb2.ReconcileResponse) -> None:
        if answer.HasField("begun"):
            answer.begun.cell = data

    with pytest.raises(Malformed):
        await reconcile(fed, "mpc", spoil=spoil)


def test_the_hub_takes_no_nonce_of_another_length_and_no_stranger(fed: Federation) -> None:
    for agency, nonce, code in (("mpc", b"short", "request"), ("bank", bytes(32), "not_a_member")):
        with pytest.raises(SamprasanError) as found:
            reconciliation.begin_conversation(fed.hub, agency, hub_pb2.ReconcileBegin(nonce=nonce))
        assert found.value.code == code


def test_the_hub_tells_only_of_accounts_that_the_caller_is_linked_to(fed: Federation) -> None:
    fed.give("nhco", deed(1, 1))
    fed.run()
    talks = {
        agency: reconciliation.begin_conversation(fed.hub, agency, hub_pb2.ReconcileBegin(nonce=bytes(32)))
        for agency in ("mpc", "nhco")
    }
    (account_id,) = talks["nhco"].have
    ask = hub_pb2.ReconcileAsk(account_ids=[account_id])
    assert talks["mpc"].answer(ask).told.accounts[0] == hub_pb2.AccountContribution(account_id=account_id)
    assert talks["nhco"].answer(ask).told.accounts[0].earned == [16, 0, 0, 0]
    with pytest.raises(Malformed):
        talks["mpc"].answer(hub_pb2.ReconcileAsk(account_ids=[account_id] * 1001))


def test_what_the_log_says_is_counted_the_same_in_one_step_or_many(busy_fed: Federation) -> None:
    before = reconciliation.begin_conversation(busy_fed.hub, "mpc", hub_pb2.ReconcileBegin(nonce=bytes(32))).have
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub_limits, "ENTRIES_COUNTED_AT_ONCE", 1)
        while reconciliation.count_entries(busy_fed.hub.db):
            pass
    after = reconciliation.begin_conversation(busy_fed.hub, "mpc", hub_pb2.ReconcileBegin(nonce=bytes(32))).have
    assert before == after
    assert sum(each.spent for each in after.values()) > 0
    assert after[account_of(busy_fed, "R00002")] == Contribution(linked=1)  # its award was reversed
