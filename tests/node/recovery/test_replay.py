"""A node whose database is older than its chain: nothing is lost, nothing minted again, who left stays gone."""

from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from samprasan.hub import store as hub_store
from samprasan.hub.log import audit
from samprasan.hub.recovery import recovery as hub_recovery
from samprasan.hub.tables import accounts
from samprasan.keys.errors import Malformed, Refused, Unavailable, Unproven
from samprasan.node import limits
from samprasan.node import store as node_store
from samprasan.node.counter import consent, erasure, redemption
from samprasan.node.deeds import orphans
from samprasan.node.proof import repair
from samprasan.node.recovery import refeed, replay
from samprasan.node.sync import batches, halt, outbox
from samprasan.node.tables import awards, deeds, redemptions, subjects
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope

from tests import federation
from tests.disaster import restored
from tests.federation import Federation, HubParty, NodeParty, deed
from tests.leaving import close_what_rests, leave
from tests.reconciling import LOCAL, in_nodes_database, reconcile
from tests.redemptions import wish


def yesterday_of(fed: Federation) -> Federation:
    return federation.copy_of(fed, federation.memory_database, 7)


def credits_in_all(fed: Federation) -> int:
    report = audit.audit(fed.hub, fed.hub.world.signer.public_key)
    assert report.problems == []
    with fed.hub.db.read() as tx:
        return hub_store.ledger.federation_totals(tx)["earned"]


def chain_of(node: NodeParty) -> list[tuple[Any, ...]]:
    with node.db.read() as tx:
        return [tuple(row) for row in node_store.batches.after(tx, 0, 1000)]


async def agrees(fed: Federation, agency: str = "mpc") -> bool:
    return (await reconcile(fed, agency)).differences == []


async def test_a_restored_node_waits_recovers_and_goes_on(busy_fed: Federation) -> None:
    fed = busy_fed
    yesterday = yesterday_of(fed)
    fed.give("mpc", deed(50, 3), deed(51, 60), deed(52, 61))
    fed.run()
    before = credits_in_all(fed)
    lost = restored(fed, yesterday)
    node = fed.nodes["mpc"]
    fed.give("mpc", deed(53, 4))
    fed.run()
    assert isinstance(node.errors[0], Refused)
    assert node.errors[0].code == "node_restored"
    assert chain_of(node) == chain_of(lost)[: len(chain_of(node))]
    assert fed.recover("mpc") == (3, 2)
    assert chain_of(node) == chain_of(lost)
    found = await reconcile(fed, "mpc")
    assert found.causes == {"restored_backup": 3}
    # The newest export names them again: nobody is awarded twice, and what is new is.
    fed.give("mpc", deed(50, 3), deed(51, 60), deed(52, 61), deed(54, 61, quantity=Decimal(7)))
    fed.run()
    fed.run()
    assert orphans.list_orphans(node) == []
    assert await agrees(fed)
    assert credits_in_all(fed) == before + 16 + 7 * 8
    assert outbox.outbox(node.db, fed.clock()).is_empty


async def test_batches_sealed_since_the_restore_leave_the_chain(busy_fed: Federation) -> None:
    """The copy was put back by hand and has sealed something before it heard of its own later batches."""
    fed = busy_fed
    yesterday = yesterday_of(fed)
    fed.give("mpc", deed(50, 3))
    fed.run()
    before = credits_in_all(fed)
    restored(fed, yesterday)
    node = fed.nodes["mpc"]
    halt.resume_sending(node.db)
    fed.give("mpc", deed(50, 3), deed(51, 4))
    with node.db.read() as tx:
        seq = node_store.batches.head(tx).seq
    assert batches.seal_next_batch(node, seq) is not None
    fed.run()
    assert node.errors[-1].code in {"chain_fork", "node_went_back"}
    fed.recover("mpc")
    fed.run()
    fed.run()
    assert await agrees(fed)
    assert credits_in_all(fed) == before + 16
    assert orphans.list_orphans(node) == []


async def test_who_has_left_since_stays_gone(busy_fed: Federation) -> None:
    fed = busy_fed
    yesterday = yesterday_of(fed)
    node = fed.nodes["mpc"]
    leave(fed, 1)
    fed.run()
    fed.run()
    restored(fed, yesterday)
    node = fed.nodes["mpc"]
    assert (subject_of(node, 1).account_id is None, subject_of(node, 1).linked > 0) == (False, True)
    fed.recover("mpc")
    row = subject_of(node, 1)
    assert (row.linked, row.share, row.redeem) == (0, False, False)
    assert row.withdrawn & 6 == 6
    fed.give("mpc", deed(1, 1), deed(70, 1))
    fed.run()
    close_what_rests(fed)
    assert subject_of(node, 1).account_id is None
    assert await agrees(fed)


def subject_of(node: NodeParty, number: int) -> Any:
    index = node.identity.index(deed(number, number).subject)
    with node.db.read() as tx:
        return tx.execute(sa.select(subjects).where(subjects.c.id_index == index)).one()


async def test_redemptions_come_back(busy_fed: Federation) -> None:
    fed = busy_fed
    yesterday = yesterday_of(fed)
    node = fed.nodes["mpc"]
    for number in (4, 5):
        redemption.request_redemption(
            node,
            wish(op_key=bytes([number]) * 16, subject=deed(number, number).subject),
        )
    fed.run()
    fed.run()
    lost = restored(fed, yesterday)
    node = fed.nodes["mpc"]
    fed.recover("mpc")
    names = ("hold_id", "state", "posted", "refunded", "subject_id", "credits")
    columns = [redemptions.c[name] for name in names]
    with lost.db.read() as old, node.db.read() as new:
        query = sa.select(*columns).order_by(redemptions.c.hold_id)
        assert [tuple(row) for row in new.execute(query)] == [tuple(row) for row in old.execute(query)]
    fed.run()
    assert await agrees(fed)


async def test_two_people_decide_about_the_rest(busy_fed: Federation) -> None:
    fed = busy_fed
    yesterday = yesterday_of(fed)
    fed.give("mpc", deed(50, 3), deed(51, 60), deed(52, 61))
    fed.run()
    before = credits_in_all(fed)
    restored(fed, yesterday)
    node = fed.nodes["mpc"]
    fed.recover("mpc")
    found = orphans.list_orphans(node)
    assert [each["credits"] for each in found] == [16, 16, 16]
    first, second, third = (each["number"] for each in found)
    with pytest.raises(Refused) as unknown:
        orphans.propose_decision(node.db, [999], "Malee", keep=True)
    assert unknown.value.code == "orphan_unknown"
    assert orphans.propose_decision(node.db, [first, second], "Malee", keep=True) == 2
    assert orphans.propose_decision(node.db, [third], "Malee", keep=False) == 1
    with pytest.raises(Refused) as own:
        orphans.list_proposed(node, "malee")
    assert own.value.code == "orphans_by_maker"
    shown = orphans.list_proposed(node, "Somchai")
    with pytest.raises(Refused) as own:
        orphans.confirm_decision(node, " MALEE ", shown)
    assert own.value.code == "orphans_changed", "nothing of that is theirs to confirm"
    assert orphans.propose_decision(node.db, [first], "Malee", keep=False) == 1
    with pytest.raises(Refused) as changed:
        orphans.confirm_decision(node, "Somchai", shown)
    assert changed.value.code == "orphans_changed"
    assert orphans.propose_decision(node.db, [first], "Malee", keep=True) == 1
    assert orphans.confirm_decision(node, "Somchai", shown) == (2, 1)
    fed.run()
    fed.run()
    assert credits_in_all(fed) == before - 16
    assert await agrees(fed)
    # A record that comes back later finds its award, whatever was decided.
    fed.give("mpc", deed(50, 3))
    fed.run()
    assert credits_in_all(fed) == before - 16
    assert await agrees(fed)


async def test_corrections_come_back(busy_fed: Federation) -> None:
    """A record was corrected, and another revoked, after the backup."""
    fed = busy_fed
    yesterday = yesterday_of(fed)
    fed.give("mpc", deed(3, 3, quantity=Decimal(5)), deed(4, 4, status="revoked"))
    fed.run()
    fed.run()
    before = credits_in_all(fed)
    restored(fed, yesterday)
    fed.recover("mpc")
    fed.give("mpc", deed(3, 3, quantity=Decimal(5)), deed(4, 4, status="revoked"))
    fed.run()
    fed.run()
    assert credits_in_all(fed) == before
    assert await agrees(fed)


async def test_what_waited_in_the_backup_finds_its_account(busy_fed: Federation) -> None:
    """Deeds were imported and not sent yet: whose they are is known, and the batches tell the account."""
    fed = busy_fed
    fed.give("mpc", deed(50, 3), deed(51, 60), deed(52, 61))
    node = fed.nodes["mpc"]
    redemption.request_redemption(node, wish(4, subject=deed(3, 3).subject))
    yesterday = yesterday_of(fed)
    fed.run()
    fed.run()
    before = credits_in_all(fed)
    restored(fed, yesterday)
    assert fed.recover("mpc") == (0, 0)
    assert await agrees(fed)
    fed.run()
    fed.run()
    assert await agrees(fed)
    assert credits_in_all(fed) == before
    assert outbox.outbox(fed.nodes["mpc"].db, fed.clock()).is_empty


async def test_both_were_restored(busy_fed: Federation) -> None:
    """The hub and a node are of yesterday: what only that node had is gone, what anybody else holds is not."""
    fed = busy_fed
    yesterday = yesterday_of(fed)
    fed.give("nhco", deed(50, 3), deed(51, 4))
    fed.run()
    restored(fed, yesterday)
    fed.hub = HubParty(yesterday.hub.db, fed.hub.world, fed.hub.authority)
    hub_recovery.begin_recovery(fed.hub, "restored")
    fed.run()
    fed.recover("mpc")
    fed.run()
    assert [await agrees(fed, agency) for agency in fed.nodes] == [True, True, True]


@pytest.mark.parametrize("what", ["another's", "changed", "skipped", "no receipt", "another's receipt"])
def test_what_is_not_ones_own_chain_is_not_taken(busy_fed: Federation, what: str) -> None:
    fed = busy_fed
    yesterday = yesterday_of(fed)
    fed.give("mpc", deed(50, 3))
    fed.run()
    fed.give("mpc", deed(51, 4))
    fed.run()
    lost = restored(fed, yesterday)
    node = fed.nodes["mpc"]
    held = [each.entry for each in refeed.everything(lost, len(chain_of(node)), 10**6, [])][:2]
    theirs = fed.nodes["nhco"]
    other = next(each.entry for each in refeed.everything(theirs, 0, 10**6, []))
    entries = {
        "another's": [other],
        "changed": [_changed(held[0])],
        "skipped": [held[1]],
        "no receipt": [hub_pb2.LogEntry(batch=held[0].batch)],
        "another's receipt": [hub_pb2.LogEntry(batch=held[0].batch, receipt=other.receipt)],
    }[what]
    before = chain_of(node)
    with pytest.raises((Malformed, Unproven)):
        replay.take_back(node, entries)
    assert chain_of(node) == before
    assert halt.halt_reason(node.db) == "restored"


def _changed(entry: hub_pb2.LogEntry) -> hub_pb2.LogEntry:
    batch = Envelope.FromString(entry.batch.SerializeToString())
    batch.signatures[0].signature = bytes(64)
    return hub_pb2.LogEntry(batch=batch, receipt=entry.receipt)


REPAIRS = {"edited": {"deed_restored"}, "deleted": {"orphaned"}, "added twice": {"removed"}}


@pytest.mark.parametrize("what", LOCAL)
async def test_records_changed_by_hand_are_put_right(busy_on_each: Federation, what: str) -> None:
    fed = busy_on_each
    before = credits_in_all(fed)
    in_nodes_database(fed, LOCAL[what][0](fed))
    found = await reconcile(fed, "mpc")
    node = fed.nodes["mpc"]
    done = repair.repair(node.db, found.differences, found.head.seq)
    assert {each.what for each in done} == REPAIRS[what]
    assert {each.account_id for each in done} == {each.account_id for each in found.differences}
    if what == "deleted":
        assert (await reconcile(fed, "mpc")).causes == {"restored_backup": 1}
        fed.give("mpc", deed(5, 5))
        fed.run()
    assert await agrees(fed)
    assert credits_in_all(fed) == before


def deed_id_of(record_id: str) -> sa.ScalarSelect[Any]:
    return sa.select(deeds.c.deed_id).where(deeds.c.record_id == record_id).scalar_subquery()


async def test_lost_and_changed_awards_are_put_right(busy_fed: Federation) -> None:
    """Not only the deeds: what this node knows of its own awards was deleted or edited, too."""
    fed = busy_fed
    before = credits_in_all(fed)
    in_nodes_database(
        fed,
        awards.delete().where(awards.c.deed_id == deed_id_of("R00004")),
        deeds.delete().where(deeds.c.record_id == "R00004"),
        awards.update().where(awards.c.deed_id == deed_id_of("R00005")).values(credits=1),
        deeds.update().where(deeds.c.record_id == "R00005").values(credits=1),
    )
    node = fed.nodes["mpc"]
    found = await reconcile(fed, "mpc")
    done = repair.repair(node.db, found.differences, found.head.seq)
    assert sorted(each.what for each in done) == ["award_restored", "award_restored", "deed_restored"]
    fed.give("mpc", deed(4, 4))
    fed.run()
    assert await agrees(fed)
    assert credits_in_all(fed) == before


async def test_nothing_here_is_changed_for_wrong_totals_at_the_hub(busy_fed: Federation) -> None:
    fed = busy_fed
    with fed.hub.db.begin() as tx:
        tx.execute(accounts.update().values(earned_health=accounts.c.earned_health + 1))
    found = await reconcile(fed, "mpc")
    assert found.differences
    node = fed.nodes["mpc"]
    assert repair.repair(node.db, found.differences, found.head.seq) == []


def test_an_orphan_is_adopted_once(busy_fed: Federation) -> None:
    """Two equal deeds and one orphan: one of them is awarded anew."""
    fed = busy_fed
    yesterday = yesterday_of(fed)
    fed.give("mpc", deed(50, 3))
    fed.run()
    before = credits_in_all(fed)
    restored(fed, yesterday)
    node = fed.nodes["mpc"]
    fed.recover("mpc")
    fed.give("mpc", deed(50, 3), deed(51, 3))
    with node.db.begin() as tx:
        assert node_store.orphans.adopt_orphans(tx) == 1
        assert node_store.orphans.adopt_orphans(tx) == 0
    fed.run()
    assert credits_in_all(fed) == before + 16


def test_what_is_taken_back_before_recovery_stays_taken_back(busy_fed: Federation) -> None:
    """A copy was put back by hand; somebody withdraws or is erased before the node recovers."""
    fed = busy_fed
    yesterday = yesterday_of(fed)
    node = fed.nodes["mpc"]
    for number in (1, 2):
        consent.give(node, deed(number, number).subject, ("integrators",))
    fed.run()
    fed.run()
    restored(fed, yesterday)
    node = fed.nodes["mpc"]
    consent.withdraw(node, deed(1, 1).subject, ("share", "redeem", "integrators"))
    erasure.erase(node, deed(2, 2).subject)
    fed.recover("mpc")
    fed.clock.now_ms += limits.UNLINK_GRACE_MS
    for _ in range(4):
        fed.run()
    close_what_rests(fed)
    row = subject_of(node, 1)
    assert (row.account_id, row.share, row.redeem, row.integrators) == (None, False, False, False)
    assert erasure.is_done(node, deed(2, 2).subject)


@pytest.mark.parametrize("sealed", [True, False])
async def test_an_orphan_that_is_taken_back_is_not_adopted(busy_fed: Federation, sealed: bool) -> None:
    """The record comes back while its award is on its way out: it is awarded anew."""
    fed = busy_fed
    yesterday = yesterday_of(fed)
    fed.give("mpc", deed(50, 3))
    fed.run()
    before = credits_in_all(fed)
    restored(fed, yesterday)
    node = fed.nodes["mpc"]
    fed.recover("mpc")
    orphans.propose_decision(node.db, [], "Malee", keep=False)
    orphans.confirm_decision(node, "Somchai", orphans.list_proposed(node, "Somchai"))
    if sealed:
        with node.db.read() as tx:
            seq = node_store.batches.head(tx).seq
        assert batches.seal_next_batch(node, seq) is not None
    fed.give("mpc", deed(50, 3))
    for _ in range(3):
        fed.run()
    assert await agrees(fed)
    assert credits_in_all(fed) == before
    assert outbox.outbox(node.db, fed.clock()).is_empty


def test_nothing_is_taken_back_from_who_shares_no_more(busy_fed: Federation) -> None:
    fed = busy_fed
    yesterday = yesterday_of(fed)
    fed.give("mpc", deed(50, 3))
    fed.run()
    restored(fed, yesterday)
    node = fed.nodes["mpc"]
    fed.recover("mpc")
    consent.withdraw(node, deed(3, 3).subject, ("share",))
    with pytest.raises(Refused) as refused:
        orphans.propose_decision(node.db, [], "Malee", keep=False)
    assert refused.value.code == "orphan_not_shared"


@pytest.mark.parametrize("changes", [{"quantity": Decimal(6)}, {"status": "revoked"}])
async def test_what_was_imported_before_recovery_corrects_what_the_log_has(
    busy_fed: Federation, changes: dict[str, Any]
) -> None:
    fed = busy_fed
    yesterday = yesterday_of(fed)
    fed.give("mpc", deed(3, 3, quantity=Decimal(5)))
    fed.run()
    fed.run()
    before = credits_in_all(fed)
    restored(fed, yesterday)
    fed.give("mpc", deed(3, 3, **changes))
    fed.recover("mpc")
    for _ in range(3):
        fed.run()
    assert await agrees(fed)
    assert credits_in_all(fed) == before - 5 * 8 + (6 * 8 if "quantity" in changes else 0)


async def test_a_repair_is_of_the_moment_that_was_compared(busy_fed: Federation) -> None:
    fed = busy_fed
    in_nodes_database(fed, deeds.update().where(deeds.c.record_id == "R00005").values(credits=99))
    found = await reconcile(fed, "mpc")
    fed.give("mpc", deed(60, 5))
    fed.run()
    node = fed.nodes["mpc"]
    with pytest.raises(Unavailable) as busy_now:
        repair.repair(node.db, found.differences, found.head.seq)
    assert busy_now.value.code == "reconcile_busy"


def test_recovery_forgets_no_lie(busy_fed: Federation) -> None:
    """A node that caught the hub lying stays halted, whatever its chain says."""
    node = busy_fed.nodes["mpc"]
    halt.halt_sending(node.db, Unproven("log_forked"))
    busy_fed.recover("mpc")
    assert halt.halt_reason(node.db) == "log_forked"


async def test_who_left_and_came_back_since_is_still_there(busy_fed: Federation) -> None:
    fed = busy_fed
    yesterday = yesterday_of(fed)
    leave(fed, 1)
    fed.run()
    consent.give(fed.nodes["mpc"], deed(1, 1).subject, ("share", "redeem"))
    fed.run()
    restored(fed, yesterday)
    fed.recover("mpc")
    fed.clock.now_ms += limits.UNLINK_GRACE_MS
    fed.run()
    row = subject_of(fed.nodes["mpc"], 1)
    assert (bool(row.share), bool(row.redeem), row.unlink_at, row.withdrawn) == (True, True, None, 0)
    assert await agrees(fed)


def test_an_award_stands_again_if_what_was_to_replace_it_was_erased_and_declined_behind_a_cut(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 2))
    fed.run()
    fed.give("mpc", deed(2, 2, quantity=Decimal(5)))
    fed.run()
    node = fed.nodes["mpc"]
    with node.db.begin() as tx:
        op_ids = {row.op_id: row.subject_id for row in tx.execute(sa.select(awards).where(awards.c.replaces.is_(None)))}
        tx.execute(awards.update().where(awards.c.op_id.in_(op_ids)).values(state="replaced"))
        node_store.orphans.stand_again(tx, op_ids)
        found = [row.state for row in tx.execute(sa.select(awards).order_by(awards.c.award_id))]
    assert found == ["settled", "replaced", "settled"], "what another award replaced does not stand"
