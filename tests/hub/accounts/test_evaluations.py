"""No more accounts by pseudonym than ids were evaluated, as both agencies signed it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from samprasan.hub import limits, store
from samprasan.hub.accounts import opening
from samprasan.hub.log import audit
from samprasan.hub.members import hello
from samprasan.hub.recovery import rebuild
from samprasan.hub.tables import evaluations
from samprasan.keys import signing
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Malformed, Refused, SamprasanError
from samprasan.ledger import calendar, probing, verify
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.linking_pb2 import EvaluationTotal

from tests.evaluating import evaluated
from tests.federation import Federation


def open_people(fed: Federation, count: int, *told: Envelope, first: int = 1) -> list[bytes]:
    request = hub_pb2.OpenAccountsRequest(request_id=b"r" * 16, evaluated=told)
    for number in range(first, first + count):
        request.subjects.add(subject_key=number.to_bytes(32, "big"), kind=1, key_epoch=1)
    answers = opening.open_accounts(fed.hub, "mpc", request)
    return [hub_pb2.AccountOpened.FromString(each.payload).account_id for each in answers]


def problems(fed: Federation) -> list[str]:
    return audit.audit(fed.hub, fed.hub.world.signer.public_key).problems


def test_as_many_are_opened_as_were_evaluated_by_all_together(fed: Federation) -> None:
    both = evaluated(fed, 3), evaluated(fed, 2, "mpc", "codi")
    with pytest.raises(Refused) as refused:
        open_people(fed, 6, *both)
    assert (refused.value.code, refused.value.values) == ("not_covered", {"asked": 6, "evaluated": 5})
    with fed.hub.db.read() as tx:
        assert store.ledger.load_all(tx).evaluated == {}, "what is refused leaves nothing"
        assert tx.execute(evaluations.select()).all() == []
    assert len(open_people(fed, 5, *both)) == 5
    assert len(open_people(fed, 5)) == 5, "again they are told the same, and nothing more is needed"
    with pytest.raises(Refused):
        open_people(fed, 1, *both, first=6)
    assert len(open_people(fed, 1, evaluated(fed, 4), first=6)) == 1
    assert problems(fed) == []


def test_what_was_evaluated_for_another_covers_nothing_of_ones_own(fed: Federation) -> None:
    with pytest.raises(Refused) as refused:
        open_people(fed, 1, evaluated(fed, 5, "nhco", "mpc"))
    assert refused.value.values == {"asked": 1, "evaluated": 0}
    assert len(open_people(fed, 1, evaluated(fed, 5, "nhco", "mpc"), evaluated(fed, 1))) == 1
    with pytest.raises(Refused):
        open_people(fed, 1, first=2)


def test_an_admission_that_lapsed_takes_another_evaluation(fed: Federation) -> None:
    open_people(fed, 1, evaluated(fed, 1))
    fed.clock.now_ms += limits.ADMISSION_LIFETIME_MS
    with pytest.raises(Refused):
        open_people(fed, 1)
    assert len(open_people(fed, 1, evaluated(fed, 2))) == 1


def _with_junk_in_a_signature(envelope: Envelope) -> bytes:
    envelope.signatures[0].MergeFromString(b"\xba\x3e\x01x")
    return envelope.SerializeToString()


UNSOUND: dict[str, Callable[[Federation], Envelope]] = {
    "signed by the evaluator alone": lambda fed: evaluated(fed, 9, "mpc", "nhco", "nhco"),
    "signed by the requester alone": lambda fed: evaluated(fed, 9, "mpc", "nhco", "mpc"),
    "signed by another": lambda fed: evaluated(fed, 9, "mpc", "nhco", "mpc", "codi"),
    "of another requester": lambda fed: evaluated(fed, 9, "codi", "nhco"),
    "of itself": lambda fed: evaluated(fed, 9, "mpc", "mpc", "mpc"),
    "of nothing": lambda fed: evaluated(fed, 0),
    "of another federation": lambda fed: signing.seal(
        EvaluationTotal(federation_id=b"x" * 16, requester="mpc", evaluator="nhco", total=9),
        *(fed.nodes[each].world.signer for each in ("mpc", "nhco")),
    ),
    "a third signature": lambda fed: evaluated(fed, 9, "mpc", "nhco", "mpc", "nhco", "codi"),
    "the same signature twice": lambda fed: evaluated(fed, 9, "mpc", "nhco", "mpc", "nhco", "nhco"),
    "a field of its own": lambda fed: Envelope.FromString(evaluated(fed, 9).SerializeToString() + b"\xba\x3e\x01x"),
    "another way of writing it": lambda fed: Envelope.FromString(_with_junk_in_a_signature(evaluated(fed, 9))),
    "something else": lambda fed: signing.seal(hub_pb2.Head(seq=1), fed.nodes["mpc"].world.signer),
}


@pytest.mark.parametrize("what", UNSOUND)
def test_what_not_both_signed_covers_nothing(fed: Federation, what: str) -> None:
    with pytest.raises(SamprasanError):
        open_people(fed, 1, UNSOUND[what](fed))
    with fed.hub.db.read() as tx:
        assert store.evaluations.totals(tx) == {}


def test_an_evaluator_shows_what_its_requester_keeps_back_and_cannot_make_it_up(fed: Federation) -> None:
    def show(*told: Envelope) -> None:
        hello.answer_hello(fed.hub, "nhco", hub_pb2.HelloRequest(evaluated=told))

    show(evaluated(fed, 7))
    show(evaluated(fed, 5))
    for wrong in (evaluated(fed, 9, "mpc", "nhco", "nhco"), evaluated(fed, 9, "mpc", "codi")):
        with pytest.raises(SamprasanError):
            show(wrong)
    with pytest.raises(Malformed):
        show(*[evaluated(fed, 7)] * (limits.EVALUATIONS_MAX + 1))
    with fed.hub.db.read() as tx:
        assert {pair: each.total for pair, each in store.evaluations.totals(tx).items()} == {("mpc", "nhco"): 7}
    assert len(open_people(fed, 7)) == 7


def test_tables_are_made_anew_from_the_log(fed: Federation) -> None:
    open_people(fed, 3, evaluated(fed, 4))
    with fed.hub.db.begin() as tx:
        tx.execute(evaluations.update().values(total=999))
    assert rebuild.rebuild(fed.hub).tables
    with fed.hub.db.read() as tx:
        assert store.evaluations.totals(tx)["mpc", "nhco"].total == 4


def test_days_that_the_alarm_does_not_look_at_are_forgotten(fed: Federation) -> None:
    today = calendar.day_of(fed.clock())
    for number in range(100):
        fed.clock.now_ms += DAY_MS
        hello.answer_hello(fed.hub, "nhco", hub_pb2.HelloRequest(evaluated=[evaluated(fed, number + 1)]))
    settled = calendar.packed(today + timedelta(days=100 - probing.UNUSED_AFTER_DAYS))
    with fed.hub.db.read() as tx:
        assert store.evaluations.up_to(tx, settled) == {"mpc": 100 - probing.UNUSED_AFTER_DAYS}
        assert store.evaluations.totals(tx)["mpc", "nhco"].total == 100
        assert len(tx.execute(evaluations.select()).all()) == probing.UNUSED_AFTER_DAYS + 1


def test_who_was_admitted_to_more_than_was_evaluated_is_found_by_an_audit(fed: Federation) -> None:
    open_people(fed, 3, evaluated(fed, 4))
    with fed.hub.db.read() as tx:
        state = store.ledger.load_all(tx)
    assert verify.breaches(state) == []
    state.agencies["mpc"] = state.agencies["mpc"]._replace(evaluated=2)
    assert verify.breaches(state) == ["mpc was admitted to 3 accounts, and had 2 ids evaluated"]
