"""The alarm against probing: who has ids evaluated and does nothing with them is shown to everybody after 30 days."""

import json
from typing import Any

import pytest
from samprasan.hub.accounts import opening as hub_opening
from samprasan.hub.members import hello
from samprasan.hub.process import status
from samprasan.keys import ristretto
from samprasan.node.linking import evaluation, evaluation_totals, questions
from samprasan.node.process import status as node_overview
from samprasan.v1 import hub_pb2, linking_pb2

from tests.evaluating import evaluated
from tests.federation import Federation, deed

DAY_MS = 86_400_000
ELEMENTS = 1_000


def probe(fed: Federation, count: int, *, opening: bool) -> None:
    """Let mpc ask its two peers in turn for ``count`` ids, and perhaps open their accounts; it never awards."""
    fed.give("mpc", deed(0, 0))
    mpc = fed.nodes["mpc"]
    questions.ask_peers(mpc)
    ((_, letter),) = questions.unposted_letters(mpc)
    request = linking_pb2.EvalRequest.FromString(letter.envelope.payload)
    for number in range(0, count, ELEMENTS):
        request.evaluator = "nhco" if number // ELEMENTS % 2 else "codi"
        request.request_id = number.to_bytes(16, "big")
        request.blinded = ristretto.multiply_base(number + 1) * ELEMENTS
        ask(fed, request)
        if opening:
            keys = [(number + each).to_bytes(32, "big") for each in range(ELEMENTS)]
            subjects = [hub_pb2.SubjectRef(subject_key=key, kind=1, key_epoch=1) for key in keys]  # type: ignore[arg-type]
            with mpc.db.read() as tx:
                signed = evaluation_totals.every_acknowledged(tx, "mpc")
            wanted = hub_pb2.OpenAccountsRequest(request_id=bytes(16), subjects=subjects, evaluated=signed)
            assert len(hub_opening.open_accounts(fed.hub, "mpc", wanted)) == ELEMENTS


def ask(fed: Federation, request: linking_pb2.EvalRequest) -> None:
    """mpc asks, and signs for the answer."""
    mpc, peer = fed.nodes["mpc"], fed.nodes[request.evaluator]
    with mpc.db.begin() as tx:
        evaluation_totals.count_asked(tx, mpc, request.evaluator, len(request.blinded) // 32)
        request.ClearField("acknowledged")
        if before := evaluation_totals.acknowledged_to(tx, mpc, request.evaluator):
            request.acknowledged.CopyFrom(before)
    letter = evaluation.answer_question(peer, "mpc", mpc.world.sign(request))
    answer = linking_pb2.EvalResponse.FromString(letter.envelope.payload)
    assert letter.envelope.payload_type.endswith("eval-response")
    with mpc.db.begin() as tx:
        evaluation_totals.accept_total(tx, mpc, request.evaluator, answer.total)


def at_hub(fed: Federation) -> dict[str, dict[str, Any]]:
    document = status.status(fed.hub.db, fed.hub.world.now())
    return {each["agency"]: each["linking"] for each in document["agencies"]}


def at_node(fed: Federation, agency: str) -> dict[str, dict[str, Any]]:
    node = fed.nodes[agency]
    document = node_overview.status(node, None)
    json.dumps(document)
    return {each.pop("agency"): each for each in document["linking"]["use"]}


@pytest.mark.parametrize("opening", [False, True])
def test_who_asks_for_ten_thousand_ids_and_awards_nothing_is_shown_at_the_hub_and_at_every_agency(
    fed: Federation, opening: bool
) -> None:
    probe(fed, 10_000, opening=opening)
    fed.run()
    assert not any(each["probing"] for each in at_hub(fed).values())
    fed.clock.now_ms += 30 * DAY_MS
    fed.run()
    found = at_hub(fed)
    alone = {"alone": 1}
    assert found["mpc"] == {"evaluated": 10_001, "used": 1, "unused": 10_000, "probing": True} | alone
    assert [found[agency]["probing"] for agency in ("nhco", "codi")] == [False, False]
    unopened = 0 if opening else 10_000
    for agency in fed.nodes:
        seen = at_node(fed, agency)
        assert seen["mpc"] == {
            "evaluated": 10_001,
            "admitted": 10_001 - unopened,
            "unopened": unopened,
            "probing": not opening,
            "hub": found["mpc"],
        }, "what the chain shows, and what is the hub's word alone"
        assert not seen["nhco"]["probing"]
    assert status.probers(fed.hub.db, fed.hub.world.now()) == [("mpc", 10_000)]


def test_who_awards_to_those_it_asked_for_is_not(fed: Federation) -> None:
    fed.give("mpc", *(deed(number, number) for number in range(150)))
    fed.run()
    fed.clock.now_ms += 30 * DAY_MS
    fed.run()
    assert at_hub(fed)["mpc"] == {"evaluated": 150, "used": 150, "unused": 0, "probing": False, "alone": 150}
    assert at_node(fed, "codi")["mpc"]["unopened"] == 0
    fed.give("nhco", *(deed(200 + number, number) for number in range(50)))
    fed.run()
    assert at_hub(fed)["mpc"]["alone"] == 100


@pytest.mark.parametrize(("unused", "probing"), [(99, False), (100, True)])
def test_up_to_a_hundred_may_change_their_minds(fed: Federation, unused: int, probing: bool) -> None:
    say(fed, unused)
    fed.clock.now_ms += 30 * DAY_MS
    fed.run()
    assert at_hub(fed)["mpc"]["probing"] is probing
    assert at_node(fed, "codi")["mpc"]["probing"] is probing


def say(fed: Federation, total: int) -> None:
    """nhco says what it evaluated for mpc, as both have signed."""
    request = hub_pb2.HelloRequest(evaluated=[evaluated(fed, total)])
    hello.answer_hello(fed.hub, "nhco", request)


def test_who_counts_less_than_before_is_not_heard(fed: Federation) -> None:
    for total in (500, 500, 200):
        say(fed, total)
    fed.clock.now_ms += 30 * DAY_MS
    assert at_hub(fed)["mpc"]["evaluated"] == 500
