"""What the hub's operator could put into its chain for a friend's sake: every node and every audit finds it out."""

from typing import Any

import pytest
from samprasan.hub import store as hub_store
from samprasan.hub.log import audit, intake
from samprasan.keys.durations import DAY_MS
from samprasan.ledger import admissions, batch_form, ledger
from samprasan.node.linking import linking_use
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

from tests import federation
from tests.federation import Federation, deed
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
        intake._append_at(tx, fed.hub.world, [submission], fed.clock() + 2 * DAY_MS)
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
