"""The outbox: in order, once, halted when somebody must look, and nothing without consent."""

from typing import Any

import pytest
from samprasan.keys import signing
from samprasan.keys.errors import Refused, Unproven
from samprasan.node import store as node_store
from samprasan.node.counter import balance
from samprasan.node.imports.deed import Consents
from samprasan.node.sync import batches as sync_batches
from samprasan.node.sync import halt, hello, outbox, receipts
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log

from tests.federation import Federation, deed
from tests.log_entries import batches

NO = Consents(share=False, redeem=False)


def test_deeds_leave_in_the_order_they_came_each_behind_its_link(fed: Federation) -> None:
    fed.give("mpc", *(deed(number, number % 2, quantity=1 + number) for number in range(6)))
    fed.run()
    (batch,) = batches(fed)
    assert [update.WhichOneof("change") for update in batch.updates] == ["link", "award", "link"] + ["award"] * 5
    assert [update.award.credits for update in batch.updates if update.HasField("award")] == [8, 16, 24, 32, 40, 48]
    assert outbox.outbox(fed.nodes["mpc"].db, fed.nodes["mpc"].world.now()).is_empty


def test_without_consent_nothing_leaves(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1, consents=NO), deed(2, 2, status="pending"))
    fed.run()
    assert batches(fed) == []


def test_a_later_no_keeps_back_what_was_not_sent_yet(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("mpc", deed(2, 1, consents=NO))
    fed.run()
    assert batches(fed) == []
    with pytest.raises(Refused, match="not consented"):
        look_up(fed, deed(1, 1).subject)


def look_up(fed: Federation, subject: Any) -> balance.Found:
    node = fed.nodes["mpc"]
    return balance.find_or_want(node, subject)


def test_asking_for_a_balance_links_a_subject_that_has_nothing_to_send(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1, status="pending"))
    fed.give("nhco", deed(1, 1))
    fed.run()
    assert look_up(fed, deed(1, 1).subject).request is None
    fed.run()
    found = look_up(fed, deed(1, 1).subject)
    assert found.request is not None
    totals = hub_pb2.Totals.FromString(fed.ask_hub("mpc", "totals", found.request).payload)
    assert (totals.accounts[0].earned, found.earned_here) == (16, 0)


def answer(fed: Federation, seq: int, digest: bytes) -> hub_pb2.HelloResponse:
    from samprasan.hub import store as hub_store

    with fed.hub.db.read() as tx:
        federation_id = hub_store.documents.agreed_on(tx).federation_id
    return hub_pb2.HelloResponse(
        agency="mpc", federation_id=federation_id, head=hub_pb2.Head(seq=seq, digest=digest), now=fed.clock.now_ms
    )


@pytest.mark.parametrize(
    ("seq", "digest", "code"),
    [(0, bytes(32), "hub_went_back"), (1, b"x" * 32, "chain_fork"), (2, b"x" * 32, "node_went_back")],
)
def test_a_history_that_differs_halts_sending_until_somebody_looked(
    fed: Federation, seq: int, digest: bytes, code: str
) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    node = fed.nodes["mpc"]
    said = hello.compose_hello(node)
    with pytest.raises(Unproven) as refused:
        hello.accept_answer(node, said, answer(fed, seq, digest))
    assert refused.value.code == code
    fed.give("mpc", deed(2, 1))
    assert outbox.outbox(node.db, node.world.now()).halted == code
    assert sync_batches.seal_next_batch(node, 1) is None
    halt.resume_sending(node.db)
    fed.run()
    assert len(batches(fed)) == 2


def test_a_hello_answered_late_is_no_hub_gone_back(fed: Federation) -> None:
    node = fed.nodes["mpc"]
    said = hello.compose_hello(node)
    fed.give("mpc", deed(1, 1))
    fed.run()
    assert hello.accept_answer(node, said, answer(fed, 0, bytes(32))) == 0
    assert outbox.outbox(node.db, node.world.now()).halted == ""


def test_a_lost_receipt_is_asked_for_again(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    fed.give("mpc", deed(2, 1))
    node = fed.nodes["mpc"]
    found = sync_batches.seal_next_batch(node, 1)
    assert found is not None
    fed.ask_hub("mpc", "push", found[1])
    assert outbox.outbox(node.db, node.world.now()).in_flight == 1
    fed.run()
    assert outbox.outbox(node.db, node.world.now()).is_empty
    assert len(batches(fed)) == 2


def test_a_refused_batch_goes_back_to_the_outbox_and_out_again_under_the_same_seq(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    fed.give("mpc", deed(2, 1))
    node, hub = fed.nodes["mpc"], fed.hub
    found = sync_batches.seal_next_batch(node, 1)
    assert found is not None
    refusal = log.Refusal(agency="mpc", seq=2, batch_digest=signing.digest(found[1]))
    receipts.accept_refusal(node, hub.world.sign(refusal))
    assert outbox.outbox(node.db, node.world.now()).halted == "batch_refused"
    assert outbox.outbox(node.db, node.world.now()).queued == 1
    fed.run()
    assert len(batches(fed)) == 1
    halt.resume_sending(node.db)
    fed.run()
    assert [batch.seq for batch in batches(fed)] == [1, 2]


def test_a_receipt_for_another_batch_or_by_another_key_is_not_taken(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    node = fed.nodes["mpc"]
    receipt = log.Receipt(agency="mpc", seq=1, batch_digest=b"x" * 32)
    with pytest.raises(Unproven) as foreign:
        receipts.settle(node, fed.hub.world.sign(receipt))
    assert foreign.value.code == "receipt_foreign"
    with pytest.raises(Unproven):
        receipts.settle(node, fed.nodes["nhco"].world.sign(receipt))


def test_what_the_hub_declines_is_declined_here_with_its_reason(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    node = fed.nodes["mpc"]
    with node.db.begin() as tx:
        from samprasan.node.tables import awards

        tx.execute(awards.update().values(credits=501))
    fed.run()
    with node.db.read() as tx:
        assert node_store.awards.by_state(tx) == {"declined": 1}
    assert outbox.outbox(node.db, node.world.now()).is_empty


def test_more_than_a_batch_holds_becomes_several(fed_on_each: Federation) -> None:
    fed = fed_on_each
    fed.give("mpc", *(deed(number, number % 7) for number in range(2_300)))
    fed.run()
    assert [len(batch.updates) for batch in batches(fed)] == [1000, 1000, 307]
    assert outbox.outbox(fed.nodes["mpc"].db, fed.nodes["mpc"].world.now()).is_empty
