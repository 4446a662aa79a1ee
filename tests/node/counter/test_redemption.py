"""Redeeming: spent once whatever is lost, asked again it is the same, and every refusal says why."""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samprasan.edge.texts import Words
from samprasan.hub import limits as hub_limits
from samprasan.hub import store as hub_store
from samprasan.hub.log import audit, intake
from samprasan.hub.members import documents
from samprasan.hub.process import status
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unavailable
from samprasan.ledger import holds
from samprasan.node import limits
from samprasan.node import store as node_store
from samprasan.node.counter import balance, consent, erasure, redemption
from samprasan.node.documents import accepted as node_agreeing
from samprasan.node.documents import proposals
from samprasan.node.rows import present
from samprasan.node.sync import batches as sync_batches
from samprasan.node.sync import halt, outbox, receipts
from samprasan.node.tables import redemptions
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Catalogue

from tests import federation
from tests.federation import Federation, Message, deed
from tests.leaving import end_grace
from tests.log_entries import batches
from tests.redemptions import PERSON, wish


def ask(fed: Federation, number: int = 1, agency: str = "mpc", **changes: Any) -> dict[str, Any]:
    node = fed.nodes[agency]
    return redemption.request_redemption(node, wish(number, **changes))


def state(fed: Federation, number: int = 1, agency: str = "mpc") -> tuple[str, str | None]:
    node = fed.nodes[agency]
    found = redemption.find(node, number.to_bytes(16, "big"))
    return found["state"], found["reason"]


def spendable(fed: Federation) -> tuple[int, int, int]:
    """Available, held and spent at the hub, which an audit finds in order."""
    hub = fed.hub
    assert audit.audit(hub, hub.world.signer.public_key).problems == []
    with hub.db.read() as tx:
        found = hub_store.ledger.federation_totals(tx)
    return found["available"], found["held"], found["spent"]


@pytest.fixture
def counter() -> Iterator[Federation]:
    """A person with 32 credits at mpc and at nhco; codi gives rice for 10."""
    with federation.copied(counter_template(), 5) as copy:
        yield copy


@cache
def counter_template() -> Federation:
    made = federation.make()
    with_credits(made)
    return made


def with_credits(fed: Federation) -> None:
    federation.publish(fed)
    fed.give("mpc", deed(1, 1))
    fed.give("nhco", deed(1, 1))
    fed.run()


def test_credits_of_two_agencies_are_spent_on_a_benefit_of_a_third(fed_on_each: Federation) -> None:
    fed = fed_on_each
    with_credits(fed)
    asked = ask(fed)
    assert (asked["state"], asked["subject"], asked["benefit"]) == ("asked", "ชื่อ*** 1***", "codi/rice")
    fed.run()
    assert state(fed) == ("posted", None)
    assert spendable(fed) == (22, 0, 10)
    kinds = [update.WhichOneof("change") for update in batches(fed)[-1].updates]
    assert kinds == ["reserve", "post"]
    found = redemption.find(fed.nodes["mpc"], (1).to_bytes(16, "big"))
    assert found["receipt"] == "MPC-2569-000001"
    did = {each["agency"]: each for each in status.status(fed.hub.db, fed.clock())["agencies"]}
    assert (did["mpc"]["spent"], did["codi"]["spent"]) == (10, 0)


def test_asked_again_it_is_the_same_and_another_wish_under_its_name_is_refused(counter: Federation) -> None:
    for _ in range(3):
        ask(counter)
        counter.run()
    assert spendable(counter) == (22, 0, 10)
    for change in ({"benefit": "book", "area": "72"}, {"reserve_only": True}, {"subject": deed(1, 2).subject}):
        with pytest.raises(Refused) as refused:
            ask(counter, **change)
        assert refused.value.code == "op_reused"


def test_a_hold_is_spent_in_part_or_given_up_or_runs_out(counter: Federation) -> None:
    node = counter.nodes["mpc"]
    for number in (1, 2, 3):
        ask(counter, number, reserve_only=True)
    counter.run()
    assert spendable(counter) == (2, 30, 0)
    assert {state(counter, number)[0] for number in (1, 2, 3)} == {"held"}
    redemption.post(node, (1).to_bytes(16, "big"), 7)
    redemption.void(node, (2).to_bytes(16, "big"), "not-given")
    counter.run()
    assert (state(counter, 1)[0], state(counter, 2)[0]) == ("posted", "voided")
    assert spendable(counter) == (15, 10, 7)
    counter.clock.now_ms += limits.HOLD_SECONDS * 1000
    counter.hub.tick()
    counter.run()
    assert state(counter, 3)[0] == "expired"
    assert spendable(counter) == (25, 0, 7)
    with pytest.raises(Refused) as refused:
        redemption.post(node, (3).to_bytes(16, "big"), None)
    assert refused.value.code == "hold_ended"
    with pytest.raises(Refused) as refused:
        redemption.void(node, (3).to_bytes(16, "big"), "cancelled")
    assert refused.value.code == "hold_ended"


def test_reads_reflect_that_a_hold_ran_out_before_the_log_says_so(counter: Federation) -> None:
    ask(counter, reserve_only=True)
    counter.run()
    node = counter.nodes["mpc"]
    with node.db.read() as tx:
        row = node_store.subjects.find(tx, node.identity.index(PERSON))
    assert row is not None
    request = hub_pb2.GetTotalsRequest(request_id=bytes(16), account_ids=[present(row.account_id)])

    def read() -> tuple[int, int]:
        totals = hub_pb2.Totals.FromString(counter.ask_hub("mpc", "totals", request).payload)
        return totals.accounts[0].available, totals.accounts[0].held

    assert read() == (22, 10)
    counter.clock.now_ms += limits.HOLD_SECONDS * 1000
    assert read() == (32, 0)
    counter.hub.tick()
    assert read() == (32, 0)


def test_a_post_that_comes_too_late_is_declined_and_the_hold_is_over_on_both_sides(counter: Federation) -> None:
    node = counter.nodes["mpc"]
    ask(counter, reserve_only=True)
    counter.run()
    redemption.post(node, (1).to_bytes(16, "big"), None)
    sealed = sync_batches.seal_next_batch(node, len(batches(counter)))
    assert sealed is not None
    counter.clock.now_ms += limits.HOLD_SECONDS * 1000
    counter.run()
    assert state(counter)[0] == "expired"
    assert spendable(counter) == (32, 0, 0)


@pytest.mark.parametrize("agency", ["mpc", "codi"])
def test_what_was_spent_is_given_back_by_the_counter_or_the_benefits_owner(counter: Federation, agency: str) -> None:
    ask(counter)
    counter.run()
    node = counter.nodes[agency]
    if agency == "mpc":
        redemption.refund(node, (1).to_bytes(16, "big"), 6, "mistake")
        counter.run()
        assert state(counter)[0] == "refunded"
        with pytest.raises(Refused) as refused:
            redemption.refund(node, (1).to_bytes(16, "big"), 1, "mistake")
        assert refused.value.code == "hold_ended"
    else:
        code = redemption.find(counter.nodes["mpc"], (1).to_bytes(16, "big"))
        hold_id = bytes.fromhex(code["hold"].partition("/")[2])
        for _ in range(2):
            told = redemption.refund_elsewhere(node, "mpc", hold_id, 6, "returned")
            counter.run()
        assert redemption.outcome_of(node.db, told) == ("declined", "hold_ended")
    assert spendable(counter) == (28, 0, 4)


def test_the_hub_away_nothing_has_left_and_can_be_asked_for_again(counter: Federation) -> None:
    ask(counter)
    node = counter.nodes["mpc"]
    assert redemption.drop_unsent(node.db, (1).to_bytes(16, "big"))
    counter.run()
    assert state(counter)[0] == "dropped"
    assert spendable(counter) == (32, 0, 0)
    assert ask(counter)["state"] == "asked"
    counter.run()
    assert state(counter)[0] == "posted"


def test_what_has_left_cannot_be_dropped_and_ends_once_whatever_is_lost(counter: Federation) -> None:
    ask(counter)
    node = counter.nodes["mpc"]
    pushes = [message for message in node.receive(answer_to_hello(counter)) if message.kind == "push"]
    assert not redemption.drop_unsent(node.db, (1).to_bytes(16, "big"))
    for _ in range(2):
        counter.hub.receive(pushes[0])  # its receipt is lost
    node.restart()
    counter.run()
    assert state(counter)[0] == "posted"
    assert spendable(counter) == (22, 0, 10)


def answer_to_hello(fed: Federation) -> Message:
    hello = next(message for message in fed.nodes["mpc"].tick() if message.kind == "hello")
    (answer,) = fed.hub.receive(hello)
    return answer


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"subject": deed(1, 7).subject}, "subject_unknown"),
        ({"owner": "nhco"}, "benefit_unknown"),
        ({"benefit": "gold"}, "benefit_unknown"),
        ({"benefit": "book"}, "not_eligible"),
        ({"benefit": "book", "area": "710101"}, "not_eligible"),
        ({"authorised_by": "face"}, "authorised_by"),
        ({"ttl_seconds": 0}, "hold_too_long"),
        ({"ttl_seconds": 2_592_001}, "hold_too_long"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_here(counter: Federation, changes: Any, code: str) -> None:
    with pytest.raises((Refused, Malformed)) as refused:
        ask(counter, **changes)
    assert refused.value.code == code
    counter.run()
    assert spendable(counter) == (32, 0, 0)


def test_a_benefit_whose_time_is_over_by_the_hubs_clock_is_refused(counter: Federation) -> None:
    counter.clock.now_ms += 500 * 86_400_000
    with pytest.raises(Refused) as refused:
        ask(counter)
    assert refused.value.code == "benefit_expired"


def test_without_consent_to_redeem_nothing_is_asked_and_what_was_not_sent_is_dropped(counter: Federation) -> None:
    node = counter.nodes["mpc"]
    ask(counter)
    consent.withdraw(node, PERSON, ("redeem",))
    counter.run()
    assert state(counter)[0] == "dropped"
    with pytest.raises(Refused) as refused:
        ask(counter, 2)
    assert refused.value.code == "no_consent"


def test_more_than_there_is_and_more_than_one_may_have_is_declined_with_its_reason(counter: Federation) -> None:
    for number in range(1, 5):
        ask(counter, number)
    ask(counter, 5, benefit="book", area="720803", agency="nhco")
    counter.run()
    ask(counter, 6, benefit="book", area="720803")
    counter.run()
    found = [state(counter, number) for number in (1, 2, 3, 4)]
    assert found == [("posted", None)] * 3 + [("declined", "insufficient_credits")]
    fifth = state(counter, 5, "nhco")
    assert fifth in {("declined", "insufficient_credits"), ("posted", None)}
    assert state(counter, 6)[1] in {"insufficient_credits", "cap_reached"}


def test_terms_that_changed_meanwhile_are_declined(counter: Federation) -> None:
    codi = counter.nodes["codi"]
    text = federation.CATALOGUE.replace("credits = 10", "credits = 11")
    envelope = proposals.publish(codi, text)
    documents.submit_document(counter.hub, "codi", envelope)
    ask(counter)  # mpc has not heard of it
    counter.run()
    assert state(counter) == ("declined", "benefit_changed")
    federation.share_documents(counter)
    ask(counter, 2)
    counter.run()
    assert spendable(counter) == (21, 0, 11)


def test_nobody_publishes_for_another_and_an_older_catalogue_does_not_come_back(counter: Federation) -> None:
    codi, mpc = counter.nodes["codi"], counter.nodes["mpc"]
    first = proposals.publish(codi, federation.CATALOGUE)
    with pytest.raises(SamprasanError) as refused:
        documents.submit_document(counter.hub, "mpc", first)
    assert refused.value.code == "approval_not_ones_own"
    forged = mpc.world.sign(Catalogue.FromString(first.payload))
    with pytest.raises(SamprasanError) as refused:
        documents.submit_document(counter.hub, "mpc", forged)
    assert refused.value.code == "approval_not_ones_own"
    listing = documents.list_documents(counter.hub.db)
    federation.publish(counter)
    newest = documents.list_documents(counter.hub.db)
    assert len(newest.active) == len(listing.active), "only the newest catalogue of an agency is listed"
    node_agreeing.accept_listing(mpc, listing)
    with mpc.db.read() as tx:
        catalogues = node_store.documents.agreed_on(tx).catalogues
    assert catalogues["codi"].version == 2


def test_an_account_is_given_up_when_its_last_hold_is_over(counter: Federation) -> None:
    node = counter.nodes["mpc"]
    ask(counter, reserve_only=True)
    counter.run()
    consent.withdraw(node, PERSON, ("share", "redeem", "integrators"))
    end_grace(counter)
    counter.run()
    kinds = [update.WhichOneof("change") for batch in batches(counter) for update in batch.updates]
    assert "unlink" not in kinds
    redemption.post(node, (1).to_bytes(16, "big"), None)
    counter.run()
    counter.run()
    kinds = [update.WhichOneof("change") for batch in batches(counter) for update in batch.updates]
    assert kinds[-1] == "unlink"
    assert state(counter)[0] == "posted"
    assert spendable(counter) == (22, 0, 10)


def test_who_is_erased_is_nobody_in_what_was_redeemed(counter: Federation) -> None:
    node = counter.nodes["mpc"]
    ask(counter)
    counter.run()
    ask(counter, 2, reserve_only=True)
    counter.run()
    erasure.erase(node, PERSON)
    counter.run()
    assert not erasure.is_done(node, PERSON), "a hold is still open"
    counter.clock.now_ms += limits.HOLD_SECONDS * 1000
    for _ in range(3):
        counter.run()
    assert erasure.is_done(node, PERSON)
    found = redemption.find(node, (1).to_bytes(16, "big"))
    assert (found["subject"], found["state"], found["credits"]) == (None, "posted", 10)


def test_a_refused_batch_leaves_the_redemption_to_be_sent_again(counter: Federation) -> None:
    ask(counter)
    node = counter.nodes["mpc"]
    batch = sync_batches.seal_next_batch(node, len(batches(counter)))
    assert batch is not None
    refusal = log.Refusal(
        federation_id=log.Batch.FromString(batch[1].payload).federation_id,
        agency="mpc",
        seq=batch[0],
        batch_digest=hashlib.sha256(batch[1].payload).digest(),
        reason=log.REFUSAL_REASON_OVER_LIMIT,
    )
    receipts.accept_refusal(node, counter.hub.world.sign(refusal))
    halt.resume_sending(node.db)
    counter.run()
    assert state(counter)[0] == "posted"
    assert spendable(counter) == (22, 0, 10)


def test_somebody_who_was_never_linked_here_is_linked_and_served(counter: Federation) -> None:
    counter.give("codi", deed(9, 1, status="pending"))
    ask(counter, agency="codi")
    counter.run()
    assert state(counter, agency="codi")[0] == "posted"


def row_of(fed: Federation, agency: str = "mpc") -> Any:
    node = fed.nodes[agency]
    with node.db.read() as tx:
        return node_store.subjects.find(tx, node.identity.index(PERSON))


def risk(fed: Federation, number: int = 1, most: int = 25) -> dict[str, Any]:
    node = fed.nodes["codi"]
    return redemption.request_redemption(node, wish(number, on_own_risk=True), most)


@pytest.fixture
def away() -> Iterator[Federation]:
    """codi knows the person, whose balance was 32 when it was last told; the hub is away."""
    with federation.copied(away_template(), 6) as copy:
        yield copy


@cache
def away_template() -> Federation:
    counter = federation.copy_of(counter_template(), federation.memory_database, 5)
    counter.give("codi", deed(9, 1, status="pending"))
    node = counter.nodes["codi"]
    balance.find_or_want(node, PERSON)
    counter.run()
    request = balance.find_or_want(node, PERSON).request
    assert request is not None
    balance.accept_totals(node, request, counter.ask_hub("codi", "totals", request))
    return counter


def test_on_own_risk_as_much_as_the_agency_allows_itself_and_is_settled_later(away: Federation) -> None:
    assert [risk(away, number)["state"] for number in (1, 2)] == ["asked", "asked"]
    with pytest.raises(Unavailable) as refused:
        risk(away, 3)
    assert refused.value.code == "counter_offline"
    node = away.nodes["codi"]
    assert redemption.is_decided(node.db, (1).to_bytes(16, "big")), "nobody waits: it was handed out"
    assert not redemption.drop_unsent(node.db, (1).to_bytes(16, "big"))
    assert ask(away, 1, "codi")["on_own_risk"], "asked again it is the same"
    away.run()
    assert [state(away, number, "codi")[0] for number in (1, 2)] == ["posted", "posted"]
    assert spendable(away) == (12, 0, 20)


@pytest.mark.parametrize("changes", [{"reserve_only": True}, {"owner": "mpc"}])
def test_neither_a_mere_hold_nor_anothers_benefit_is_risked(away: Federation, changes: dict[str, Any]) -> None:
    federation.publish(away, "mpc")
    node = away.nodes["codi"]
    with pytest.raises(Unavailable):
        redemption.request_redemption(node, wish(1, on_own_risk=True, **changes), 100)


def test_what_was_risked_and_spent_elsewhere_is_the_agencys_loss_and_not_tried_again(
    away: Federation,
) -> None:
    risk(away)
    for number in (2, 3, 4):
        ask(away, number)
    node = away.nodes["mpc"]
    for message in node.tick():
        away.deliver([message])
    away.run()
    assert state(away, 1, "codi") == ("declined", "insufficient_credits")
    away.give("mpc", deed(50, 1))
    away.run()
    assert state(away, 1, "codi") == ("declined", "insufficient_credits")


def test_what_was_risked_for_somebody_who_takes_consent_back_is_a_loss_and_blocks_nothing(away: Federation) -> None:
    risk(away)
    node = away.nodes["codi"]
    consent.withdraw(node, PERSON, ("share", "redeem", "integrators"))
    away.clock.now_ms += limits.UNLINK_GRACE_MS
    away.run()
    assert state(away, 1, "codi") == ("declined", "not_linked")
    assert outbox.outbox(node.db, away.clock()).is_empty
    assert row_of(away, "codi").linked == 0


def test_an_unlink_that_comes_while_a_hold_is_open_is_tried_again_later(counter: Federation) -> None:
    node = counter.nodes["mpc"]
    ask(counter, reserve_only=True)
    counter.run()
    with node.db.begin() as tx:  # as if the node's clock had gone ahead
        tx.execute(redemptions.update().values(state="expired"))
    consent.withdraw(node, PERSON, ("share", "redeem", "integrators"))
    end_grace(counter)
    counter.run()
    assert row_of(counter).linked > 0
    kinds = [update.WhichOneof("change") for batch in batches(counter) for update in batch.updates]
    assert kinds.count("unlink") == 1
    counter.clock.now_ms += limits.HOLD_SECONDS * 1000
    counter.run()
    counter.run()
    assert row_of(counter).linked == 0
    assert spendable(counter) == (32, 0, 0)


def test_who_agrees_again_while_an_unlink_is_on_its_way_is_linked_anew_for_whoever_waits(counter: Federation) -> None:
    node = counter.nodes["mpc"]
    consent.withdraw(node, PERSON, ("share", "redeem", "integrators"))
    sealed = sync_batches.seal_next_batch(node, len(batches(counter)))
    assert sealed is not None
    consent.give(node, PERSON, ("share", "redeem"))
    ask(counter)
    counter.run()
    assert state(counter) == ("posted", None)


def test_a_receipt_keeps_its_year(counter: Federation) -> None:
    ask(counter)
    counter.run()
    counter.clock.now_ms += 200 * 86_400_000
    node = counter.nodes["mpc"]
    redemption.refund(node, (1).to_bytes(16, "big"), None, "returned")
    counter.run()
    found = redemption.find(node, (1).to_bytes(16, "big"))
    assert (found["state"], found["receipt"]) == ("refunded", "MPC-2569-000001")


def test_a_listing_that_was_overtaken_is_no_fault(counter: Federation) -> None:
    node = counter.nodes["mpc"]
    federation_listing = documents.list_documents(counter.hub.db)
    codi = counter.nodes["codi"]
    listings = [federation_listing]
    for credits_ in (11, 12):
        text = federation.CATALOGUE.replace("credits = 10", f"credits = {credits_}")
        envelope = proposals.publish(codi, text)
        documents.submit_document(counter.hub, "codi", envelope)
        listings.append(documents.list_documents(counter.hub.db))
        node_agreeing.accept_listing(codi, listings[-1])
    for listing in (listings[2], listings[1]):
        node_agreeing.accept_listing(node, listing)
    with node.db.read() as tx:
        assert node_store.documents.agreed_on(tx).catalogues["codi"].version == 3


def test_a_full_inbox_keeps_nobody_from_publishing(counter: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_limits, "PROPOSALS_OF_ONE_MAX", 0)
    federation.publish(counter, "nhco")
    monkeypatch.setattr(hub_limits, "CATALOGUES_PER_DAY_MAX", 1)
    with pytest.raises(Refused) as refused:
        federation.publish(counter, "nhco")
    assert refused.value.code == "catalogues_over_limit"
    monkeypatch.setattr(hub_limits, "BENEFITS_EVER_MAX", 1)
    with pytest.raises(Refused) as refused:
        federation.publish(counter, "mpc")
    assert refused.value.code == "benefits_over_limit"


def test_many_holds_that_run_out_at_once_keep_nobody_waiting(
    counter: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        ask(counter, number, reserve_only=True)
    counter.run()
    monkeypatch.setattr(intake, "UPDATES_MAX", 2)
    counter.clock.now_ms += limits.HOLD_SECONDS * 1000
    assert intake.expire_due(counter.hub)
    assert spendable(counter) == (22, 10, 0)
    assert intake.expire_due(counter.hub)
    assert not intake.expire_due(counter.hub)
    assert spendable(counter) == (32, 0, 0)


@pytest.mark.parametrize("off_ms", [3_600_000, -3_600_000])
def test_a_node_whose_clock_is_an_hour_off_redeems_and_lets_holds_run_out_by_the_hubs_clock(
    counter: Federation, off_ms: int
) -> None:
    node = counter.nodes["mpc"] = counter.nodes["mpc"].with_clock(lambda: counter.clock() + off_ms)
    counter.run()
    ask(counter, 1)
    ask(counter, 2, reserve_only=True)
    counter.run()
    assert [state(counter, number)[0] for number in (1, 2)] == ["posted", "held"]
    redemption.expire(node.db, node.world.now())
    assert state(counter, 2)[0] == "held"
    counter.clock.now_ms += limits.HOLD_SECONDS * 1000
    redemption.expire(node.db, node.world.now())
    assert state(counter, 2)[0] == "expired"
    counter.run()
    assert spendable(counter) == (22, 0, 10)


def test_every_reason_that_holds_are_declined_for_is_worded_in_both_languages() -> None:
    used = set(re.findall(r"DECLINE_REASON_([A-Z_]+)", Path(holds.__file__).read_text("utf-8"))) | {"OP_REUSED"}
    assert len(used) > 15
    words = Words("samprasan.node")
    texts = {name: [words.in_language(each, f"declined_{name.lower()}") for each in ("th", "en")] for name in used}
    assert all(thai != english for thai, english in texts.values())
