"""Corrections at the hub: the award is found in the log, or in a batch that waits for the same commit."""

from typing import Any

import pytest
from samprasan.hub.log import audit, intake
from samprasan.hub.process import status
from samprasan.keys import signing
from samprasan.keys.chain import Head
from samprasan.v1 import log_pb2 as log

from tests.federation import Federation
from tests.signed_batches import Agency, outcomes

APPLIED = (log.OUTCOME_KIND_APPLIED, 0)


@pytest.fixture
def agency(fed_on_each: Federation) -> Agency:
    made = Agency(fed_on_each)
    made.send(made.sign(made.batch(made.link(), made.award(16))))
    return made


def reverse(agency: Agency, award_op_id: bytes) -> log.Update:
    change = log.Reverse(award_op_id=award_op_id, reason=log.REVERSE_REASON_RECORD_CHANGED)
    return log.Update(op_id=agency.op_id(), reverse=change)


def replacing(agency: Agency, award_op_id: bytes, credits_: int) -> log.Update:
    made = agency.award(credits_)
    made.award.replaces = award_op_id
    return made


def totals(agency: Agency) -> dict[str, Any]:
    hub = agency.fed.hub
    report = audit.audit(hub, hub.world.signer.public_key)
    assert report.problems == []
    found: dict[str, Any] = status.status(hub.db, hub.world.now())["totals"]
    return found


def test_an_award_in_the_log_is_corrected_and_the_audit_agrees(agency: Agency) -> None:
    first, second = agency.award(10), agency.award(20)
    agency.send(agency.sign(agency.batch(first, second)))
    made = replacing(agency, first.op_id, 4)
    answer = agency.send(agency.sign(agency.batch(made, reverse(agency, second.op_id))))
    assert outcomes(answer) == [APPLIED, APPLIED]
    assert (totals(agency)["earned"], totals(agency)["available"]) == (20, 20)
    again = agency.send(agency.sign(agency.batch(reverse(agency, first.op_id), reverse(agency, made.op_id))))
    assert outcomes(again) == [(log.OUTCOME_KIND_DECLINED, log.DECLINE_REASON_AWARD_CORRECTED), APPLIED]
    assert totals(agency)["earned"] == 16


def test_an_award_that_waits_for_the_same_commit_is_corrected(agency: Agency) -> None:
    hub, award = agency.fed.hub, agency.award(30)
    envelopes = []
    for updates in ([award], [replacing(agency, award.op_id, 12)]):
        envelope = agency.sign(agency.batch(*updates))
        agency.head = Head(agency.head.seq + 1, signing.digest(envelope))
        envelopes.append(envelope)
    submissions = [intake.verify(hub, "mpc", envelope) for envelope in envelopes]
    answers = intake.append(hub, submissions)
    assert [outcomes(answer) for answer in answers] == [[APPLIED], [APPLIED]]  # type: ignore[arg-type]
    assert totals(agency)["earned"] == 28


def test_an_award_on_an_account_the_batch_does_not_name_is_corrected(agency: Agency) -> None:
    """A batch with nothing but a Reverse names no account: it is the award's."""
    award = agency.award(5)
    agency.send(agency.sign(agency.batch(award)))
    assert outcomes(agency.send(agency.sign(agency.batch(reverse(agency, award.op_id))))) == [APPLIED]
    assert totals(agency)["available"] == 16


def test_what_was_declined_under_a_used_op_id_is_no_award_to_reverse(agency: Agency) -> None:
    """Twice the same op_id in one batch: the first took effect, a Reverse takes back that one and no more."""
    link, small, large = agency.link(), agency.award(1), agency.award(400)
    small.op_id = large.op_id
    disguised = agency.award(300)
    disguised.op_id = link.op_id
    agency.send(agency.sign(agency.batch(link, disguised, small, large)))
    before = totals(agency)["earned"]
    answer = agency.send(agency.sign(agency.batch(reverse(agency, link.op_id), reverse(agency, large.op_id))))
    assert outcomes(answer) == [(log.OUTCOME_KIND_DECLINED, log.DECLINE_REASON_AWARD_UNKNOWN), APPLIED]
    assert totals(agency)["earned"] == before - 1
