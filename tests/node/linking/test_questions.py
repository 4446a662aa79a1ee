"""Linking: one account a person whoever asks; answers are checked, peers limited, and nobody learns an id."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from samprasan.edge.world import in_threads
from samprasan.hub.members import documents
from samprasan.keys import pseudonym, ristretto, sealing, signing
from samprasan.keys.errors import Malformed, SamprasanError, Unproven
from samprasan.node import store
from samprasan.node.documents import accepted as node_agreeing
from samprasan.node.linking import letters, questions
from samprasan.node.linking.letters import Letter
from samprasan.node.rows import present
from samprasan.node.session import mail
from samprasan.v1 import hub_pb2, linking_pb2, log_pb2
from samprasan.v1.envelope_pb2 import Envelope, Parcel

from tests import federation
from tests.federation import SAMPLES, Federation, deed
from tests.linking import asked, evaluate, question


def accounts(fed: Federation, agency: str) -> set[bytes]:
    with fed.nodes[agency].db.read() as tx:
        return {present(row.account_id) for row in store.subjects.of_ids(tx, range(1, 100))}


def test_two_agencies_that_know_a_person_meet_in_one_account(fed: Federation) -> None:
    fed.give("mpc", *(deed(number, number) for number in range(6)))
    fed.give("nhco", *(deed(number, number) for number in range(3, 9)))
    fed.run()
    assert len(accounts(fed, "mpc")) == len(accounts(fed, "nhco")) == 6
    assert len(accounts(fed, "mpc") & accounts(fed, "nhco")) == 3


def take(fed: Federation, letter: Letter, answer: Envelope) -> int:
    """Give mpc the answer; how many subjects have a key afterwards."""
    node = fed.nodes["mpc"]
    questions.accept_answer(node, letter.to, answer)
    with node.db.read() as tx:
        return len(store.subjects.without_account(tx, 100, fed.clock()))


def test_a_question_is_answered_once_and_remembered(fed: Federation) -> None:
    letter = question(fed)
    first = evaluate(fed, letter)
    assert evaluate(fed, letter).envelope == first.envelope
    with fed.nodes[letter.to].db.read() as tx:
        assert store.questions.evaluated_on(tx, "mpc", 20261123) == 4
    assert take(fed, letter, first.envelope) == 4
    assert take(fed, letter, first.envelope) == 4, "again it changes nothing"


def changed(fed: Federation, letter: Letter, answer: Letter, **changes: object) -> Envelope:
    body = linking_pb2.EvalResponse.FromString(answer.envelope.payload)
    for name, value in changes.items():
        setattr(body, name, value)
    return fed.nodes[letter.to].world.sign(body)


WRONG: dict[str, dict[str, object]] = {
    "another point": {"evaluated": ristretto.multiply_base(5) * 4},
    "too few": {"evaluated": ristretto.multiply_base(5)},
    "the identity": {"evaluated": bytes(128)},
    "a broken proof": {"proof": bytes(64)},
    "no proof": {"proof": b""},
    "another request": {"request_digest": b"x" * 32},
    "another epoch": {"key_epoch": 9},
    "another share": {"share_version": 9},
    "another evaluator": {"evaluator": "hub"},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_answer_is_not_used(fed: Federation, wrong: str) -> None:
    letter = question(fed)
    answer = evaluate(fed, letter)
    with pytest.raises(SamprasanError) as refused:
        take(fed, letter, changed(fed, letter, answer, **WRONG[wrong]))
    assert isinstance(refused.value, Malformed | Unproven)
    assert take(fed, letter, answer.envelope) == 4


def test_an_answer_signed_by_another_agency_is_unproven(fed: Federation) -> None:
    letter = question(fed)
    answer = evaluate(fed, letter)
    other = next(agency for agency in fed.nodes if agency not in (letter.to, "mpc"))
    forged = Envelope(payload_type=answer.envelope.payload_type, payload=answer.envelope.payload)
    signing.add_signature(forged, fed.nodes[other].world.signer)
    with pytest.raises(Unproven):
        take(fed, letter, forged)


def refusal(fed: Federation, letter: Letter) -> linking_pb2.EvalRefusal:
    answer = evaluate(fed, letter)
    assert answer.envelope.payload_type.endswith("eval-refusal")
    return linking_pb2.EvalRefusal.FromString(answer.envelope.payload)


@pytest.mark.parametrize("bad", [bytes(32), b"\xff" * 32, b"\x01" + bytes(31)])
def test_a_bad_element_is_named_by_its_index(fed: Federation, bad: bytes) -> None:
    letter = question(fed)
    good = pseudonym.blind(b"x", 3)
    found = refusal(fed, asked(fed, letter, blinded=good + good + bad))
    assert (found.reason, found.index) == (linking_pb2.EVAL_REFUSAL_REASON_BAD_ELEMENT, 2)


def test_expired_replayed_and_foreign_requests_are_refused(fed: Federation) -> None:
    letter = question(fed)
    evaluate(fed, letter)
    good = pseudonym.blind(b"x", 3)
    replayed = refusal(fed, asked(fed, letter, blinded=good))
    assert replayed.reason == linking_pb2.EVAL_REFUSAL_REASON_REPLAY
    fresh = {"request_id": b"n" * 16}
    assert refusal(fed, asked(fed, letter, **fresh, key_epoch=2)).reason == linking_pb2.EVAL_REFUSAL_REASON_EPOCH
    late = asked(fed, letter, **fresh, expires_at=fed.clock.now_ms)
    assert refusal(fed, late).reason == linking_pb2.EVAL_REFUSAL_REASON_EXPIRED
    wrongs: tuple[dict[str, object], ...] = (
        {"requester": "codi"},
        {"evaluator": "mpc"},
        {"blinded": b""},
        {"blinded": good * 4097},
    )
    for wrong in wrongs:
        with pytest.raises(Malformed):
            evaluate(fed, asked(fed, letter, **fresh, **wrong))


def sealed_mail(fed: Federation, sender: str, reader: str, envelope: Envelope) -> hub_pb2.Mail:
    node = fed.nodes[sender]
    sealed = letters.seal(node, Letter(reader, envelope))
    return hub_pb2.Mail(number=1, sender=sender, sealed=sealed)


@pytest.mark.parametrize(
    "message",
    [
        linking_pb2.EvalRefusal(reason=linking_pb2.EvalRefusalReason.ValueType(99)),
        linking_pb2.EvalRefusal(request_id=b"x", retry_at=-(2**63)),
        linking_pb2.EvalRequest(purpose=linking_pb2.EvalPurpose.ValueType(100_000)),
        linking_pb2.EvalResponse(),
        log_pb2.Batch(),
    ],
)
def test_whatever_a_peer_signs_is_answered_with_an_error_of_ours(fed: Federation, message: Any) -> None:
    mpc = fed.nodes["mpc"]
    piece = sealed_mail(fed, "nhco", "mpc", fed.nodes["nhco"].world.sign(message))
    try:
        assert mail.read_letter(mpc, piece) is None
    except SamprasanError as problem:
        assert problem.text("th")  # noqa: PT017


def test_bytes_that_are_no_letter_are_dropped(fed: Federation) -> None:
    mpc, nhco = fed.nodes["mpc"], fed.nodes["nhco"]
    with nhco.db.read() as tx:
        federation_id = store.documents.agreed_on(tx).federation_id
    sealed = sealing.seal_for(
        sealing.sealing_public_key(mpc.identity.mail_key),
        b"\xff\xff\xff",
        b"samprasan/v1/mail/" + federation_id + b"/nhco/mpc",
    )
    with pytest.raises(Malformed):
        mail.read_letter(mpc, hub_pb2.Mail(number=1, sender="nhco", sealed=sealed))


def test_serve_and_a_command_may_answer_the_same_letter_at_once(fed_on_each: Federation) -> None:
    fed = fed_on_each
    letter = question(fed)
    node = fed.nodes[letter.to]
    listing = documents.list_documents(fed.hub.db)

    def both(_number: int) -> bytes:
        node_agreeing.accept_listing(node, listing)
        return evaluate(fed, letter).envelope.SerializeToString()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(both, range(12)))) == 1
    with node.db.read() as tx:
        assert store.questions.evaluated_on(tx, "mpc", 20261123) == 4


def test_a_request_that_was_charged_before_a_crash_is_answered_and_charged_once(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = question(fed)

    def crash(*_: object) -> bytes:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(pseudonym, "evaluate", crash)
        with pytest.raises(MemoryError):
            evaluate(fed, letter)
    first = evaluate(fed, letter)
    assert first.envelope.payload_type.endswith("eval-response")
    assert evaluate(fed, letter).envelope == first.envelope
    with fed.nodes[letter.to].db.read() as tx:
        assert store.questions.evaluated_on(tx, "mpc", 20261123) == 4


@pytest.mark.parametrize("count", [1, 7, 8, 9, 1000])
def test_in_threads_the_results_keep_their_order(count: int) -> None:
    assert in_threads(lambda value: value * 2, range(count)) == [value * 2 for value in range(count)]


def test_half_the_daily_allowance_at_each_peer_and_the_rest_waits_for_tomorrow() -> None:
    fed = federation.make()
    text = (SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2", 1)
    federation.propose_policy(fed, text.replace("linking_elements_per_day = 20_000", "linking_elements_per_day = 6"))
    letter = question(fed)
    found = refusal(fed, letter)
    assert found.reason == linking_pb2.EVAL_REFUSAL_REASON_QUOTA
    assert found.retry_at == fed.clock.now_ms + 14 * 3_600_000, "midnight in Bangkok"
    fed.close()


def test_mail_to_another_reader_cannot_be_opened(fed: Federation) -> None:
    letter = question(fed)
    sealed = letters.seal(fed.nodes["mpc"], letter)
    other = next(agency for agency in fed.nodes if agency not in (letter.to, "mpc"))
    for reader, sender in ((other, "mpc"), (letter.to, other)):
        piece = hub_pb2.Mail(number=1, sender=sender, sealed=sealed)
        with pytest.raises(Unproven):
            letters.unseal(fed.nodes[reader], piece)


def test_nobody_puts_another_checkpoint_beside_a_letter_or_sends_it_to_somebody_else(fed: Federation) -> None:
    letter = question(fed)
    mpc, reader = fed.nodes["mpc"], fed.nodes[letter.to]
    other = next(agency for agency in fed.nodes if agency not in (letter.to, "mpc"))
    with mpc.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
    parcel = Parcel(federation_id=agreed.federation_id, reader=letter.to, letter=letter.envelope, checkpoint=b"another")
    signed = mpc.world.sign(parcel)
    not_signed = Envelope(payload_type=signed.payload_type, payload=signed.payload)
    misdirected = mpc.world.sign(Parcel(federation_id=agreed.federation_id, reader=other, letter=letter.envelope))
    by_another = fed.nodes[other].world.sign(parcel)
    for envelope in (not_signed, misdirected, by_another, letter.envelope):
        sealed = sealing.seal_for(
            sealing.sealing_public_key(reader.identity.mail_key),
            envelope.SerializeToString(),
            letters.context_of(agreed.federation_id, "mpc", letter.to),
        )
        with pytest.raises(SamprasanError):
            letters.unseal(reader, hub_pb2.Mail(number=1, sender="mpc", sealed=sealed))
    piece = hub_pb2.Mail(number=1, sender="mpc", sealed=letters.seal(mpc, letter))
    assert letters.unseal(reader, piece).letter == letter.envelope


def test_a_peer_that_does_not_answer_is_passed_over(fed: Federation) -> None:
    letter = question(fed)
    node = fed.nodes["mpc"]
    questions.ask_peers(node)
    assert len(questions.unposted_letters(node)) == 1, "the same subjects are not asked about twice"
    fed.clock.now_ms += 130_000
    questions.ask_peers(node)
    ((_, second),) = questions.unposted_letters(node)
    assert second.to != letter.to
