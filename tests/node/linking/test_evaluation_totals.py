"""Totals that requester and evaluator both sign: what is counted, what is owed, and what is not believed."""

from typing import Any

import pytest
from samprasan.hub import store as hub_store
from samprasan.keys import signing
from samprasan.keys.errors import Unproven
from samprasan.node import limits, store
from samprasan.node.linking import evaluation, evaluation_totals, questions
from samprasan.node.sync import hello
from samprasan.node.tables import evaluation_totals as totals_table
from samprasan.v1 import linking_pb2
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.linking_pb2 import EvaluationTotal

from tests.evaluating import evaluated
from tests.federation import Federation, NodeParty, deed


def in_chain(fed: Federation) -> dict[tuple[str, str], int]:
    with fed.hub.db.read() as tx:
        return {pair: each.total for pair, each in hub_store.evaluations.totals(tx).items()}


def row(node: NodeParty, requester: str, evaluator: str) -> Any:
    with node.db.read() as tx:
        return store.evaluation_totals.of_pair(tx, requester, evaluator)


def new_question(fed: Federation, number: int) -> tuple[NodeParty, Envelope]:
    """What mpc asks about one more person, and whom."""
    fed.give("mpc", deed(number, number))
    mpc = fed.nodes["mpc"]
    questions.ask_peers(mpc)
    letter = questions.unposted_letters(mpc)[-1][1]
    return fed.nodes[letter.to], letter.envelope


def test_what_is_asked_is_counted_signed_by_both_and_told_to_all(fed: Federation) -> None:
    fed.give("mpc", *(deed(number, number) for number in range(3)))
    fed.run()
    fed.give("mpc", *(deed(number, number) for number in range(3, 5)))
    fed.run()
    assert sum(in_chain(fed).values()) == 5
    for (requester, evaluator), total in in_chain(fed).items():
        assert requester == "mpc"
        for node in fed.nodes.values():
            assert row(node, requester, evaluator).heard == total
        assert row(fed.nodes["mpc"], "mpc", evaluator).elements == total
        assert row(fed.nodes[evaluator], "mpc", evaluator).elements == total


def test_who_opens_nothing_is_shown_by_who_evaluated(fed: Federation) -> None:
    peer, first = new_question(fed, 1)
    mpc = fed.nodes["mpc"]
    answer = evaluation.answer_question(peer, "mpc", first)
    questions.accept_answer(mpc, peer.name, answer.envelope)
    with mpc.db.read() as tx:
        signed = evaluation_totals.acknowledged_to(tx, mpc, peer.name)
    assert signed is not None
    with peer.db.begin() as tx:
        evaluation_totals.hear_acknowledged(tx, peer, "mpc", signed)
    assert hello.compose_hello(peer).request.evaluated == [signed]
    fed.deliver(peer.tick())
    assert in_chain(fed) == {("mpc", peer.name): 1}
    fed.run()
    assert not hello.compose_hello(peer).request.evaluated, "what the chain says is not said again"


def test_who_signs_for_nothing_gets_no_more_answers_and_goes_on_once_it_has(fed: Federation) -> None:
    """As if none of the answers had come."""
    peer = fed.nodes["nhco"]
    request = linking_pb2.EvalRequest.FromString(new_question(fed, 1)[1].payload)
    request.evaluator = "nhco"
    kinds = []
    for number in range(limits.TOTALS_UNACKNOWLEDGED_MAX + 2):
        request.request_id = number.to_bytes(16, "big")
        letter = evaluation.answer_question(peer, "mpc", fed.nodes["mpc"].world.sign(request))
        kinds.append(letter.envelope.payload_type.rpartition(".")[2])
    assert kinds == ["eval-response"] * limits.TOTALS_UNACKNOWLEDGED_MAX + ["eval-refusal"] * 2
    refusal = linking_pb2.EvalRefusal.FromString(letter.envelope.payload)
    assert refusal.reason == linking_pb2.EVAL_REFUSAL_REASON_UNACKNOWLEDGED
    mpc = fed.nodes["mpc"]
    with mpc.db.begin() as tx:
        evaluation_totals.count_asked(tx, mpc, "nhco", limits.TOTALS_UNACKNOWLEDGED_MAX)
    questions.accept_refusal(mpc, "nhco", letter.envelope)
    request.request_id = b"n" * 16
    request.acknowledged.ParseFromString(row(mpc, "mpc", "nhco").acknowledged)
    letter = evaluation.answer_question(peer, "mpc", mpc.world.sign(request))
    assert letter.envelope.payload_type.endswith("eval-response")
    assert row(peer, "mpc", "nhco").elements == limits.TOTALS_UNACKNOWLEDGED_MAX + 1


def test_an_evaluator_that_counts_more_than_was_asked_is_not_believed(fed: Federation) -> None:
    peer, question = new_question(fed, 1)
    with peer.db.begin() as tx:
        evaluation_totals.count_evaluated(tx, peer, "mpc", 1)  # one that nobody asked for
    answer = evaluation.answer_question(peer, "mpc", question)
    mpc = fed.nodes["mpc"]
    with pytest.raises(Unproven) as unproven:
        questions.accept_answer(mpc, peer.name, answer.envelope)
    assert unproven.value.code == "evaluation_overstated"
    assert row(mpc, "mpc", peer.name).acknowledged == b""


def test_an_evaluator_that_refuses_cannot_say_that_it_evaluated(fed: Federation) -> None:
    """Else it could make another look as if it tried ids out, which the next evaluator is asked about again."""
    mpc = fed.nodes["mpc"]
    peer, question = new_question(fed, 1)
    request = linking_pb2.EvalRequest.FromString(question.payload)
    reason, total = linking_pb2.EVAL_REFUSAL_REASON_UNACKNOWLEDGED, evaluated(fed, 1, "mpc", peer.name, peer.name)
    said = evaluation.compose_refusal(peer, request, signing.digest(question), reason, total=total)
    with pytest.raises(Unproven) as unproven:
        questions.accept_refusal(mpc, peer.name, said.envelope)
    assert unproven.value.code == "evaluation_overstated"
    refused = evaluation.compose_refusal(peer, request, signing.digest(question), linking_pb2.EVAL_REFUSAL_REASON_QUOTA)
    for _ in range(2):
        questions.accept_refusal(mpc, peer.name, refused.envelope)
    assert row(mpc, "mpc", peer.name) == row(mpc, "mpc", peer.name)._replace(elements=0, acknowledged=b"")


def test_what_was_refused_is_refused_again_whatever_has_come_meanwhile(fed: Federation) -> None:
    """A letter may come twice; the requester has taken the question off what it asked for."""
    peer = fed.nodes["nhco"]
    request = linking_pb2.EvalRequest.FromString(new_question(fed, 1)[1].payload)
    request.evaluator = "nhco"
    envelope = fed.nodes["mpc"].world.sign(request)
    with peer.db.begin() as tx:
        for _ in range(limits.TOTALS_UNACKNOWLEDGED_MAX):
            evaluation_totals.count_evaluated(tx, peer, "mpc", 1)
    refused = evaluation.answer_question(peer, "mpc", envelope).envelope
    with peer.db.begin() as tx:
        tx.execute(totals_table.delete())
    assert evaluation.answer_question(peer, "mpc", envelope).envelope == refused
    fed.clock.now_ms = request.expires_at
    late = evaluation.answer_question(peer, "mpc", envelope).envelope
    reason = linking_pb2.EvalRefusal.FromString(late.payload).reason
    assert reason in {linking_pb2.EVAL_REFUSAL_REASON_EXPIRED, linking_pb2.EVAL_REFUSAL_REASON_UNACKNOWLEDGED}
    assert row(peer, "mpc", "nhco").elements == 0


def test_a_total_of_another_is_not_signed(fed: Federation) -> None:
    mpc = fed.nodes["mpc"]
    with mpc.db.begin() as tx:
        evaluation_totals.count_asked(tx, mpc, "nhco", 100)
    for wrong in (evaluated(fed, 1, "codi", "nhco", "nhco"), evaluated(fed, 1, "mpc", "nhco", "codi")):
        with pytest.raises(Unproven), mpc.db.begin() as tx:
            evaluation_totals.accept_total(tx, mpc, "nhco", wrong)
    assert row(mpc, "mpc", "nhco").acknowledged == b""


def test_the_total_of_an_answer_that_comes_too_late_is_signed_too(fed: Federation) -> None:
    peer, question = new_question(fed, 1)
    answer = evaluation.answer_question(peer, "mpc", question)
    fed.clock.now_ms += limits.QUESTION_LIFETIME_MS
    mpc = fed.nodes["mpc"]
    questions.ask_peers(mpc)
    questions.accept_answer(mpc, peer.name, answer.envelope)
    assert row(mpc, "mpc", peer.name).acknowledged


def test_who_was_restored_goes_on_with_what_others_know(fed: Federation) -> None:
    """The database of both is older than their letters: neither remembers the first question."""
    fed.give("mpc", deed(1, 1))
    fed.run()
    ((_, evaluator),) = in_chain(fed)
    mpc, peer = fed.nodes["mpc"], fed.nodes[evaluator]
    signed = Envelope.FromString(row(mpc, "mpc", evaluator).acknowledged)
    for node in (mpc, peer):
        with node.db.begin() as tx:
            tx.execute(totals_table.delete())
    with peer.db.begin() as tx:
        evaluation_totals.hear_acknowledged(tx, peer, "mpc", signed)
    assert row(peer, "mpc", evaluator).elements == 1
    with mpc.db.begin() as tx:
        evaluation_totals.allow_for_forgotten(tx, "mpc")
        evaluation_totals.count_asked(tx, mpc, evaluator, 1)
        evaluation_totals.accept_total(tx, mpc, evaluator, evaluated(fed, 3, "mpc", evaluator, evaluator))
    assert row(mpc, "mpc", evaluator).acknowledged


def test_an_evaluator_that_was_restored_counts_on_from_what_the_chain_says(fed: Federation) -> None:
    fed.give("mpc", *(deed(number, number) for number in range(1, 4)))
    fed.run()
    ((_, evaluator),) = in_chain(fed)
    peer = fed.nodes[evaluator]
    with peer.db.begin() as tx:
        tx.execute(totals_table.update().values(elements=0))
        evaluation_totals.count_evaluated(tx, peer, "mpc", 1)
        said = evaluation_totals.total_for(tx, peer, "mpc")
    assert EvaluationTotal.FromString(said.payload).total == in_chain(fed)["mpc", evaluator] + 1
