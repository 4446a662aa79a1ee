"""The alarm against probing: who has ids evaluated and does nothing with them is shown to everybody after 30 days."""

import json
from datetime import timedelta
from typing import Any

import pytest
from samprasan.hub import limits
from samprasan.hub.accounts import opening as hub_opening
from samprasan.hub.members import hello
from samprasan.hub.process import status
from samprasan.keys import ristretto
from samprasan.keys.errors import SamprasanError
from samprasan.ledger import calendar
from samprasan.node.linking import evaluation, questions
from samprasan.node.process import status as node_overview
from samprasan.v1 import hub_pb2, linking_pb2

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
        peer = fed.nodes[request.evaluator]
        answer = evaluation.answer_question(peer, "mpc", mpc.world.sign(request))
        assert answer.envelope.payload_type.endswith("eval-response")
        if opening:
            keys = [(number + each).to_bytes(32, "big") for each in range(ELEMENTS)]
            subjects = [hub_pb2.SubjectRef(subject_key=key, kind=1) for key in keys]  # type: ignore[arg-type]
            wanted = hub_pb2.OpenAccountsRequest(request_id=bytes(16), subjects=subjects)
            assert len(hub_opening.open_accounts(fed.hub, "mpc", wanted)) == ELEMENTS


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
    assert found["mpc"] == {"evaluated": 10_001, "used": 1, "unused": 10_000, "probing": True}
    assert [found[agency]["probing"] for agency in ("nhco", "codi")] == [False, False]
    for agency in fed.nodes:
        assert at_node(fed, agency) == found
    assert status.probers(fed.hub.db, fed.hub.world.now()) == [("mpc", 10_000)]


def test_who_awards_to_those_it_asked_for_is_not(fed: Federation) -> None:
    fed.give("mpc", *(deed(number, number) for number in range(150)))
    fed.run()
    fed.clock.now_ms += 30 * DAY_MS
    fed.run()
    assert at_hub(fed)["mpc"] == {"evaluated": 150, "used": 150, "unused": 0, "probing": False}


@pytest.mark.parametrize(("unused", "probing"), [(99, False), (100, True)])
def test_up_to_a_hundred_may_change_their_minds(fed: Federation, unused: int, probing: bool) -> None:
    today = calendar.packed(calendar.day_of(fed.clock()))
    report(fed, [("mpc", today, unused)])
    fed.clock.now_ms += 30 * DAY_MS
    assert at_hub(fed)["mpc"]["probing"] is probing


def report(fed: Federation, rows: list[tuple[str, int, int]], agency: str = "nhco") -> str:
    evaluated = [hub_pb2.Evaluated(requester=name, day=day, elements=count) for name, day, count in rows]
    request = hub_pb2.HelloRequest(evaluated=evaluated)
    try:
        hello.answer_hello(fed.hub, agency, request)
    except SamprasanError as problem:
        return problem.code
    return ""


def test_a_report_that_comes_again_counts_once_and_never_gets_smaller(fed: Federation) -> None:
    today = calendar.packed(calendar.day_of(fed.clock()))
    for count in (500, 500, 200):
        assert report(fed, [("mpc", today, count)]) == ""
    assert report(fed, [("mpc", today, 300)], "codi") == ""
    fed.clock.now_ms += 30 * DAY_MS
    assert at_hub(fed)["mpc"]["evaluated"] == 800


def test_a_report_that_cannot_be_is_refused_or_passed_over(fed: Federation) -> None:
    today = calendar.day_of(fed.clock())
    day = calendar.packed(today)
    old = calendar.packed(today - timedelta(days=limits.EVALUATED_DAYS_MAX + 1))
    later = calendar.packed(today + timedelta(days=2))
    for row in (("mpc", day, 0), ("mpc", day, limits.EVALUATED_MAX + 1)):
        assert report(fed, [("codi", day, 7), row]) == "request", row
    for row in (
        ("nhco", day, 5),  # of itself
        ("stranger", day, 5),
        ("mpc", old, 5),
        ("mpc", later, 5),
        ("mpc", 0, 5),
    ):
        assert report(fed, [row]) == "", row
    fed.clock.now_ms += 30 * DAY_MS
    assert [each["evaluated"] for each in at_hub(fed).values()] == [0, 0, 0]
