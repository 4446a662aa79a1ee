"""What the hub's operator could put into its chain for a friend's sake: every node and every audit finds it out."""

from typing import Any

import pytest
from samprasan.hub import store as hub_store
from samprasan.hub.log import audit, intake
from samprasan.hub.recovery import recovery
from samprasan.keys import signing
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Unavailable, Unproven
from samprasan.ledger import admissions, batch_form, ledger
from samprasan.node import limits
from samprasan.node import store as node_store
from samprasan.node.linking import linking_use
from samprasan.node.proof import witness
from samprasan.node.sync import batches, halt, hub_chain, receipts
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

from tests import federation
from tests.federation import Federation, HubParty, Message, deed
from tests.signed_batches import Agency


def told(fed: Federation) -> set[str]:
    """What each node but the friend's said of the log when it came next."""
    for node in fed.nodes.values():
        node.errors.clear()
    fed.run()
    return {problem.code for agency in ("mpc", "nhco") for problem in fed.nodes[agency].errors}


def problems(fed: Federation) -> str:
    return "\n".join(audit.audit(fed.hub, fed.hub.world.signer.public_key).problems)


def admit(fed: Federation, **changes: int) -> None:
    """The operator admits codi to the account of somebody whom it never heard of."""
    fed.give("mpc", deed(1, 7))
    fed.run()
    with fed.hub.db.begin() as tx:
        (account_id,) = hub_store.ledger.load_all(tx).accounts
        said = log.Admitted(
            agency="codi",
            tag=admissions.tag_of("codi", account_id, b"x" * 16),
            kind=log.SUBJECT_KIND_PERSON,
            lapses_at=fed.clock() + DAY_MS,
            **changes,
        )
        intake.append_own(tx, fed.hub.world, [log.Update(admitted=said)])


def test_a_person_admitted_as_if_by_a_public_id(fed: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:  # the operator has a program of its own
        patch.setattr(batch_form, "may_be_public", lambda _: True)
        admit(fed)
    assert "admissions_uncovered" in told(fed)
    assert "is not well formed" in problems(fed)


def test_an_admission_that_no_evaluation_covers(fed: Federation) -> None:
    admit(fed, key_epoch=1)
    assert "admissions_uncovered" in told(fed)
    assert "codi was admitted to 1 accounts, and had 0 ids evaluated" in problems(fed)


def test_an_admission_told_twice_counts_once(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 2))
    fed.run()
    with fed.hub.db.begin() as tx:
        entries = [Envelope.FromString(row.batch) for row in hub_store.log.of_agency(tx, "hub")]
        updates = [each for entry in entries for each in log.Batch.FromString(entry.payload).updates]
        intake.append_own(tx, fed.hub.world, [each for each in updates if each.HasField("admitted")])
    assert told(fed) == set()
    with fed.nodes["nhco"].db.read() as tx:
        (use,) = [each for each in linking_use.linking_use(tx, fed.clock()) if each["agency"] == "mpc"]
    assert use["admitted"] == 2
    assert problems(fed) == ""


def test_an_admission_that_is_said_to_have_been_declined(fed: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the hub could honour it, and nobody but its friend would see the receipt of the Link."""
    real = ledger.fold

    def lying(*given: Any) -> Any:
        state, outcomes = real(*given)
        wrong = log.Outcome(kind=log.OUTCOME_KIND_DECLINED, reason=log.DECLINE_REASON_NOT_ADMITTED)
        return state, [wrong for _ in outcomes]

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "fold", lying)
        with fed.hub.db.begin() as tx:
            said = log.Admitted(
                agency="codi",
                tag=b"t" * 16,
                kind=log.SUBJECT_KIND_PERSON,
                key_epoch=1,
                lapses_at=fed.clock() + DAY_MS,
            )
            intake.append_own(tx, fed.hub.world, [log.Update(admitted=said)])
    assert "admissions_uncovered" in told(fed)
    assert "the receipt tells other outcomes than the rules" in problems(fed)


def test_a_day_that_has_not_come(fed: Federation) -> None:
    friend = Agency(fed)
    friend.send(friend.sign(friend.batch(friend.link(), friend.award(16))))
    submission = intake.verify(fed.hub, "mpc", friend.sign(friend.batch(friend.award(16))))
    with fed.hub.db.begin() as tx:
        intake.append_again(tx, fed.hub.world, [submission], fed.clock() + 2 * DAY_MS)
    fed.give("nhco", deed(1, 1))
    assert "log_ahead" in told(fed)


def test_an_old_catalogue_again(fed: Federation) -> None:
    for price in ("credits = 1", "credits = 500"):
        federation.publish(fed, "nhco", federation.CATALOGUE.replace("credits = 10", price))
    fed.run()
    with fed.hub.db.begin() as tx:
        entries = [Envelope.FromString(row.batch) for row in hub_store.log.of_agency(tx, "hub")]
        updates = [each for entry in entries for each in log.Batch.FromString(entry.payload).updates]
        first = next(each for each in updates if each.activate.document == log.DOCUMENT_KIND_CATALOGUE)
        intake.append_own(tx, fed.hub.world, [first])
    assert "document_again" in told(fed)
    assert "puts a document into force again" in problems(fed)


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub does not hear what receipts nodes have: its own program would begin to recover what it seems to lack."""
    monkeypatch.setattr(recovery, "hear_receipt", lambda *_: False)


def with_false_receipts(fed: Federation, monkeypatch: pytest.MonkeyPatch, index: int) -> None:
    """The hub answers mpc's next batch as if it had gone far behind the end of the log, and everything had counted."""
    real = HubParty.receive

    def receive(self: HubParty, message: Message) -> list[Message]:
        answers = real(self, message)
        for each in answers:
            if each.kind == "pushed" and each.to == "mpc":
                receipt = log.Receipt.FromString(each.body.payload)
                receipt.log_index = index
                for outcome in receipt.outcomes:
                    outcome.CopyFrom(log.Outcome(kind=log.OUTCOME_KIND_APPLIED))
                each.body.CopyFrom(fed.hub.world.sign(receipt))
        return answers

    monkeypatch.setattr(HubParty, "receive", receive)


@pytest.mark.usefixtures("deaf")
def test_a_receipt_of_a_place_that_the_log_never_comes_to(fed: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would never be proved; and a later one that is proved is not to hide it."""
    monkeypatch.setattr(limits, "QUESTIONS_IN_VAIN_MAX", 12)
    fed.give("mpc", deed(1, 1))
    fed.run()
    node = fed.nodes["mpc"]
    with monkeypatch.context() as patch:
        with_false_receipts(fed, patch, 1 << 40)
        fed.give("mpc", deed(2, 1))
        fed.run()
    node.errors.clear()
    fed.give("mpc", deed(3, 1))
    fed.run()
    assert {each.code for each in node.errors} == {"receipt_disordered"}
    node.errors.clear()
    for _ in range(12):
        fed.deliver(node.tick())
    assert "receipt_uncovered" in {each.code for each in node.errors}
    assert halt.halt_reason(node.db) == "receipt_uncovered"
    halt.resume_sending(node.db)
    node.errors.clear()
    for _ in range(12):
        fed.deliver(node.tick())
    assert "receipt_uncovered" in {each.code for each in node.errors}, "who lets it go on is told again"


def test_a_receipt_that_comes_before_an_earlier_one(fed: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be proved, and the one that comes late never asked for."""
    monkeypatch.setattr(limits, "UPDATES_MAX", 2)
    fed.give("mpc", deed(1, 1))
    fed.run()
    node = fed.nodes["mpc"]
    fed.give("mpc", *(deed(number, 1) for number in range(2, 8)))
    with node.db.read() as tx:
        seq = node_store.batches.settled_seq(tx)
    sent: list[Envelope] = []
    while (found := batches.seal_next_batch(node, seq)) is not None:
        seq = found[0]
        sent.append(found[1])
    assert len(sent) >= 2
    answers = [fed.ask_hub("mpc", "push", envelope) for envelope in sent]
    with pytest.raises(Unavailable) as refused:
        receipts.settle(node, answers[1])
    assert refused.value.code == "receipt_early"
    for each in answers:
        receipts.settle(node, each)
    fed.run()
    assert halt.halt_reason(node.db) == ""


@pytest.mark.parametrize("reason", ["receipt_uncovered", "receipt_disordered", "log_forked", "restored"])
def test_why_a_node_stopped_is_not_taken_away_by_the_hub(fed: Federation, reason: str) -> None:
    """Not by a log that is short for a moment and whole again."""
    node = fed.nodes["mpc"]
    with node.db.begin() as tx:
        node_store.facts.halt(tx, reason)
    halt.halt_sending(node.db, Unproven("hub_went_back", agency="mpc", seq=0))
    assert halt.halt_reason(node.db) == reason
    halt.halt_sending(node.db, Unproven("log_forked"))
    assert halt.halt_reason(node.db) == ("restored" if reason == "restored" else "log_forked")


def test_a_receipt_that_waits_for_a_checkpoint_for_a_while_is_none(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "QUESTIONS_IN_VAIN_MAX", 4)
    fed.run()
    node = fed.nodes["mpc"]
    for number in range(5):
        fed.give("mpc", deed(number, number))
        for _ in range(3):  # the hub signs no checkpoint meanwhile
            fed.deliver(node.tick())
        fed.hub.tick()
        fed.deliver(node.tick())
    assert node.errors == []
    assert halt.halt_reason(node.db) == ""


def shown(fed: Federation, index: int) -> hub_pb2.LogEntry:
    """An entry of the hub's chain that one node alone is shown, said to stand there in the log."""
    with fed.nodes["nhco"].db.read() as tx:
        head = node_store.hub_chain.head(tx)
    with fed.hub.db.read() as tx:
        federation_id = hub_store.documents.agreed_on(tx).federation_id
    batch = log.Batch(
        federation_id=federation_id, agency="hub", seq=head.seq + 1, previous=head.digest, created_at=fed.clock()
    )
    batch.updates.add(turn=log.Turn(day=20261123, prefix=b"\0"))
    signed = fed.hub.world.sign(batch)
    receipt = log.Receipt(
        federation_id=federation_id,
        agency="hub",
        seq=batch.seq,
        batch_digest=signing.digest(signed),
        log_index=index,
        appended_at=fed.clock(),
        outcomes=[log.Outcome(kind=log.OUTCOME_KIND_APPLIED)],
    )
    return hub_pb2.LogEntry(batch=signed, receipt=fed.hub.world.sign(receipt))


@pytest.mark.usefixtures("deaf")
def test_an_entry_that_is_not_in_the_log(fed: Federation) -> None:
    """One agency is shown it, and something else stands there."""
    fed.give("mpc", deed(1, 1))
    fed.run()
    with fed.hub.db.read() as tx:
        size = hub_store.log.head_now(tx).size
    hub_chain.keep_entries(fed.nodes["nhco"], [shown(fed, size)])
    fed.give("mpc", deed(2, 1))
    fed.run()
    node = fed.nodes["nhco"]
    node.errors.clear()
    fed.run()
    assert "log_forked" in {each.code for each in node.errors}
    assert len(witness.witness_status(node)["evidence"]) == 1
    assert fed.nodes["mpc"].errors == []


@pytest.mark.usefixtures("deaf")
def test_an_entry_of_a_place_that_the_log_never_comes_to(fed: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "QUESTIONS_IN_VAIN_MAX", 4)
    fed.give("mpc", deed(1, 1))
    fed.run()
    node = fed.nodes["nhco"]
    hub_chain.keep_entries(node, [shown(fed, 1 << 40)])
    for _ in range(4):
        fed.deliver(node.tick())
    assert "receipt_uncovered" in {each.code for each in node.errors}


def test_an_entry_before_the_one_that_it_follows(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    with pytest.raises(Unproven) as found:
        hub_chain.keep_entries(fed.nodes["nhco"], [shown(fed, 0)])
    assert found.value.code == "receipt_disordered"


def test_every_entry_of_the_hub_is_proved_to_every_node(fed: Federation) -> None:
    fed.give("mpc", *(deed(number, number) for number in range(3)))
    fed.run()
    fed.run()
    for node in fed.nodes.values():
        with node.db.read() as tx:
            assert node_store.hub_chain.head(tx).seq > 3
            assert node_store.hub_chain.unproved(tx, 100) == []
