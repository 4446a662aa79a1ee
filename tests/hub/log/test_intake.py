"""Intake: every bad batch gets one clear answer and changes nothing; every good one exactly one receipt."""

from collections.abc import Callable
from typing import Any

import pytest
from samprasan.hub import store
from samprasan.hub.log import audit, intake
from samprasan.keys import signing
from samprasan.keys.errors import Malformed, SamprasanError, Unavailable, Unproven
from samprasan.keys.signing import KeySigner
from samprasan.ledger import batch_form, verify
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

from tests.federation import Federation
from tests.signed_batches import Agency, open_account, outcomes


def state_of(fed: Federation) -> tuple[bytes, int]:
    """A digest of everything the hub holds, and the size of its log."""
    with fed.hub.db.read() as tx:
        return verify.digest_of(store.ledger.load_all(tx)), store.log.head_now(tx).size


@pytest.fixture
def agency(fed: Federation) -> Agency:
    made = Agency(fed)
    made.send(made.sign(made.batch(made.link(), made.award())))
    return made


def refusal_reason(answer: Envelope) -> int:
    assert answer.payload_type.endswith("refusal")
    return log.Refusal.FromString(answer.payload).reason


def flipped(envelope: Envelope) -> Envelope:
    payload = bytearray(envelope.payload)
    payload[40] ^= 1
    return Envelope(payload_type=envelope.payload_type, payload=bytes(payload), signatures=envelope.signatures)


def truncated(envelope: Envelope) -> Envelope:
    return Envelope(payload_type=envelope.payload_type, payload=envelope.payload[:-1], signatures=envelope.signatures)


def retyped(envelope: Envelope) -> Envelope:
    kind = signing.payload_type(log.Receipt)
    return Envelope(payload_type=kind, payload=envelope.payload, signatures=envelope.signatures)


def oversized(envelope: Envelope) -> Envelope:
    return Envelope(payload_type=envelope.payload_type, payload=bytes(batch_form.BATCH_BYTES_MAX + 1))


def by_another_key(envelope: Envelope) -> Envelope:
    made = Envelope(payload_type=envelope.payload_type, payload=envelope.payload)
    signing.add_signature(made, KeySigner(b"\x09" * 32))
    return made


@pytest.mark.parametrize(
    ("spoil", "kind", "code"),
    [
        (flipped, Unproven, "signature"),
        (truncated, Unproven, "signature"),
        (by_another_key, Unproven, "signature"),
        (retyped, Malformed, "payload_type"),
        (oversized, Malformed, "envelope_over_limit"),
    ],
)
def test_what_the_agency_did_not_sign_is_answered_and_leaves_no_trace(
    agency: Agency, spoil: Callable[[Envelope], Envelope], kind: type[SamprasanError], code: str
) -> None:
    before = state_of(agency.fed)
    good = agency.sign(agency.batch(agency.award()))
    with pytest.raises(kind) as refused:
        agency.send(spoil(good))
    assert refused.value.code == code
    assert state_of(agency.fed) == before
    assert outcomes(agency.send(good)) == [(log.OUTCOME_KIND_APPLIED, 0)], "the good one still goes in"


def test_a_batch_signed_by_another_agency_is_unproven(agency: Agency) -> None:
    before = state_of(agency.fed)
    batch = agency.batch(agency.award(), agency="nhco")
    with pytest.raises(Unproven):
        agency.send(signing.seal(batch, agency.fed.nodes["nhco"].world.signer))
    assert state_of(agency.fed) == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"agency": "nhco"}, log.REFUSAL_REASON_NOT_ITS_OWN),
        ({"federation_id": b"x" * 16}, log.REFUSAL_REASON_NOT_ITS_OWN),
        ({"previous": b"x"}, log.REFUSAL_REASON_UNREADABLE_FIELD),
        ({"updates": []}, log.REFUSAL_REASON_OVER_LIMIT),
        ({"updates": [log.Update(op_id=b"o" * 16)]}, log.REFUSAL_REASON_UNREADABLE_FIELD),
    ],
)
def test_a_signed_batch_that_cannot_be_read_gets_a_signed_refusal_for_ever(
    agency: Agency, changes: dict[str, Any], reason: int
) -> None:
    before = state_of(agency.fed)
    values = {"updates": [agency.award()]} | changes
    envelope = agency.sign(agency.batch(**values))
    first = agency.send(envelope)
    assert refusal_reason(first) == reason
    assert agency.send(envelope) == first
    assert state_of(agency.fed) == before
    signing.open_signed(first, log.Refusal, agency.fed.hub.world.signer.public_key, signing.verify_ed25519)


def test_an_unknown_field_gets_a_refusal(agency: Agency) -> None:
    good = agency.batch(agency.award())
    envelope = Envelope(payload_type=signing.payload_type(log.Batch), payload=signing.encode(good) + b"\xf8\x07\x01")
    signing.add_signature(envelope, agency.signer)
    assert refusal_reason(agency.send(envelope)) == log.REFUSAL_REASON_NOT_CANONICAL


def test_a_batch_of_a_thousand_and_one_updates_gets_a_refusal(agency: Agency) -> None:
    full = [agency.award(1) for _ in range(batch_form.UPDATES_MAX)]
    assert refusal_reason(agency.send(agency.sign(agency.batch(*full, agency.award())))) == (
        log.REFUSAL_REASON_OVER_LIMIT
    )
    assert len(outcomes(agency.send(agency.sign(agency.batch(*full))))) == batch_form.UPDATES_MAX


def test_after_a_refusal_the_same_seq_is_taken_anew(agency: Agency) -> None:
    agency.send(agency.sign(agency.batch(updates=[])))
    assert outcomes(agency.send(agency.sign(agency.batch(agency.award())))) == [(log.OUTCOME_KIND_APPLIED, 0)]


def test_the_same_batch_again_gets_the_same_receipt_byte_for_byte(agency: Agency) -> None:
    envelope = agency.sign(agency.batch(agency.award()))
    first = agency.send(envelope)
    before = state_of(agency.fed)
    agency.fed.clock.now_ms += 86_400_000
    assert agency.send(envelope).SerializeToString() == first.SerializeToString()
    assert state_of(agency.fed) == before


def test_twice_in_one_group_commit_is_once_in_the_log(agency: Agency) -> None:
    hub = agency.fed.hub
    envelope = agency.sign(agency.batch(agency.award()))
    submission = intake.verify(hub, "mpc", envelope)
    size = state_of(agency.fed)[1]
    one, two = intake.append(hub, [submission, submission])
    assert one == two
    assert state_of(agency.fed)[1] == size + 1


def test_a_gap_is_to_be_filled_and_a_fork_is_none_to_be_filled(agency: Agency) -> None:
    before = state_of(agency.fed)
    with pytest.raises(Unavailable) as gap:
        agency.send(agency.sign(agency.batch(agency.award(), seq=9)))
    assert (gap.value.code, gap.value.values["head"]) == ("chain_gap", 1)
    for forked in (agency.batch(agency.award(), previous=b"x" * 32), agency.batch(agency.award(), seq=1)):
        with pytest.raises(Unproven) as fork:
            agency.send(agency.sign(forked))
        assert fork.value.code == "chain_fork"
    assert state_of(agency.fed) == before


def test_bad_updates_are_declined_one_by_one(agency: Agency) -> None:
    unknown = log.Update(op_id=agency.op_id(), award=log.Award(account_id=b"?" * 16, credits=1))
    updates = [agency.award(0), agency.award(-1), agency.award(501), unknown, agency.award(7)]
    assert outcomes(agency.send(agency.sign(agency.batch(*updates)))) == [
        (log.OUTCOME_KIND_DECLINED, log.DECLINE_REASON_CREDITS_NOT_POSITIVE),
        (log.OUTCOME_KIND_DECLINED, log.DECLINE_REASON_CREDITS_NOT_POSITIVE),
        (log.OUTCOME_KIND_DECLINED, log.DECLINE_REASON_CREDITS_OVER_CAP),
        (log.OUTCOME_KIND_DECLINED, log.DECLINE_REASON_NOT_LINKED),
        (log.OUTCOME_KIND_APPLIED, 0),
    ]


def test_the_business_clock_never_goes_back(agency: Agency) -> None:
    first = log.Receipt.FromString(agency.send(agency.sign(agency.batch(agency.award()))).payload)
    agency.fed.clock.now_ms -= 3_600_000
    second = log.Receipt.FromString(agency.send(agency.sign(agency.batch(agency.award()))).payload)
    assert second.appended_at == first.appended_at
    assert second.log_index == first.log_index + 1


def test_after_the_last_unlink_nothing_ties_the_account_to_anybody(agency: Agency) -> None:
    unlink = log.Update(op_id=agency.op_id(), unlink=log.Unlink(account_id=agency.account_id))
    agency.send(agency.sign(agency.batch(unlink)))
    assert open_account(agency.fed) != agency.account_id, "the same person later gets a new account"
    hub = agency.fed.hub
    assert audit.audit(hub, hub.world.signer.public_key).problems == []


def test_totals_are_read_only_with_ones_own_link_to_redeem(agency: Agency) -> None:
    def ask(name: str) -> hub_pb2.AccountTotals:
        request = hub_pb2.GetTotalsRequest(request_id=b"q" * 16, account_ids=[agency.account_id])
        return hub_pb2.Totals.FromString(agency.fed.ask_hub(name, "totals", request).payload).accounts[0]

    assert ask("mpc").earned == ask("mpc").available == 10
    assert (ask("nhco").declined, ask("nhco").earned) == (log.DECLINE_REASON_NOT_LINKED, 0)


def test_on_either_database_the_log_folds_to_the_tables(fed_on_each: Federation) -> None:
    agency = Agency(fed_on_each)
    agency.send(agency.sign(agency.batch(agency.link(), agency.award(3), agency.award(4))))
    agency.send(agency.sign(agency.batch(agency.award(5))))
    hub = fed_on_each.hub
    report = audit.audit(hub, hub.world.signer.public_key)
    assert (report.batches, report.updates, report.problems) == (6, 9, [])
