"""Backfill grants: agreed on by the agencies, charged element by element, for one agency and a limited time."""

from collections.abc import Iterator

import pytest
from samprasan.hub.members import documents as members_documents
from samprasan.keys import documents
from samprasan.keys.errors import Malformed
from samprasan.node import store
from samprasan.node.documents import accepted as node_agreeing
from samprasan.node.documents import inbox, proposals
from samprasan.node.linking.letters import Letter
from samprasan.node.process import status as process_status
from samprasan.node.sync import outbox
from samprasan.v1 import linking_pb2
from samprasan.v1.envelope_pb2 import Envelope

from tests import federation
from tests.federation import SAMPLES, Federation, deed
from tests.linking import asked, evaluate, question

DAY_MS = 86_400_000


@pytest.fixture
def narrow() -> Iterator[Federation]:
    """A federation in which every peer evaluates three ids a day for an agency."""
    fed = federation.make()
    text = (SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2", 1)
    federation.propose_policy(fed, text.replace("linking_elements_per_day = 20_000", "linking_elements_per_day = 6"))
    yield fed
    fed.close()


def grant(fed: Federation, agency: str, elements: int, days: int = 30) -> None:
    """``agency`` proposes, another approves from its inbox."""
    node = fed.nodes[agency]
    proposal = proposals.propose_grant(node, elements, days)
    members_documents.submit_document(fed.hub, agency, proposal)
    federation.share_documents(fed)
    other = fed.nodes["codi" if agency != "codi" else "nhco"]
    (waiting,) = inbox.inbox(other)
    signed = inbox.approve(other, waiting, "")
    members_documents.submit_document(fed.hub, other.name, signed)
    federation.share_documents(fed)


def reason(fed: Federation, letter: Letter) -> str:
    envelope: Envelope = evaluate(fed, letter).envelope
    if envelope.payload_type.endswith("eval-response"):
        return ""
    refusal = linking_pb2.EvalRefusal.FromString(envelope.payload)
    return linking_pb2.EvalRefusalReason.Name(refusal.reason).removeprefix("EVAL_REFUSAL_REASON_").lower()


def charged(fed: Federation, peer: str) -> int:
    with fed.nodes[peer].db.read() as tx:
        return store.questions.charged_to(tx, "mpc", 1)


def test_what_passes_the_daily_allowance_is_charged_to_the_grant_to_the_last_element(narrow: Federation) -> None:
    letter = question(narrow)  # four elements; three are today's
    assert reason(narrow, letter) == "quota"
    grant(narrow, "mpc", 6)
    for number, expected in ((0, ""), (1, "quota")):
        request_id = bytes([number]) * 16
        assert reason(narrow, asked(narrow, letter, request_id=request_id)) == expected
    assert charged(narrow, letter.to) == 1
    two = linking_pb2.EvalRequest.FromString(letter.envelope.payload).blinded[:64]
    assert reason(narrow, asked(narrow, letter, request_id=b"2" * 16, blinded=two)) == ""
    assert reason(narrow, asked(narrow, letter, request_id=b"3" * 16, blinded=two[:32])) == "quota"
    assert charged(narrow, letter.to) == 3
    narrow.clock.now_ms += DAY_MS
    late = {"expires_at": narrow.clock.now_ms + 1000}
    three = linking_pb2.EvalRequest.FromString(letter.envelope.payload).blinded[:96]
    assert reason(narrow, asked(narrow, letter, request_id=b"4" * 16, blinded=three, **late)) == ""
    assert charged(narrow, letter.to) == 3, "a new day's allowance comes first"


def test_a_backfill_goes_through_at_once_when_the_grant_is_there(narrow: Federation) -> None:
    narrow.give("mpc", *(deed(number, number) for number in range(20)))
    narrow.run()
    mpc = narrow.nodes["mpc"]
    assert outbox.outbox(mpc.db, narrow.clock()).waiting_for_link == 20
    grant(narrow, "mpc", 100)
    narrow.run()
    assert outbox.outbox(mpc.db, narrow.clock()).is_empty
    status = process_status.status(mpc, None)["linking"]["grants"]
    assert [(each["agency"], each["elements"], each["charged_here"]) for each in status] == [("mpc", 100, None)]
    assert charged(narrow, "nhco") + charged(narrow, "codi") == 17


@pytest.mark.parametrize(("agency", "later"), [("nhco", 0), ("mpc", 2 * DAY_MS)])
def test_anothers_grant_or_one_that_has_ended_counts_for_nothing(narrow: Federation, agency: str, later: int) -> None:
    letter = question(narrow)
    grant(narrow, agency, 100, days=1)
    narrow.clock.now_ms += later
    late = asked(narrow, letter, expires_at=narrow.clock.now_ms + 1000)
    assert reason(narrow, late) == "quota"


def test_one_agency_alone_grants_itself_nothing(narrow: Federation) -> None:
    letter = question(narrow)
    node = narrow.nodes["mpc"]
    proposal = proposals.propose_grant(node, 100, 30)
    members_documents.submit_document(narrow.hub, "mpc", proposal)
    federation.share_documents(narrow)
    assert reason(narrow, letter) == "quota"


@pytest.mark.parametrize(
    ("elements", "days", "problem"),
    [
        (0, 30, "elements"),
        (-5, 30, "elements"),
        (documents.GRANT_ELEMENTS_MAX + 1, 30, "elements"),
        (10**30, 30, "elements"),
        (5, 0, "valid_until"),
        (5, 367, "valid_until"),
        (5, 10**30, "valid_until"),
    ],
)
def test_a_grant_has_a_size_and_an_end(fed: Federation, elements: int, days: int, problem: str) -> None:
    node = fed.nodes["mpc"]
    with pytest.raises(Malformed) as refused:
        proposals.propose_grant(node, elements, days)
    assert refused.value.values["problem"] == problem


def test_the_largest_grant_is_taken(fed: Federation) -> None:
    grant(fed, "mpc", documents.GRANT_ELEMENTS_MAX, days=366)
    node = fed.nodes["nhco"]
    status = process_status.status(node, None)["linking"]["grants"]
    assert status[0]["elements"] == documents.GRANT_ELEMENTS_MAX


def test_a_peer_that_hears_of_the_grant_a_moment_later_is_asked_again_soon(narrow: Federation) -> None:
    narrow.give("mpc", *(deed(number, number) for number in range(20)))
    mpc, nhco = narrow.nodes["mpc"], narrow.nodes["nhco"]
    proposal = proposals.propose_grant(mpc, 100, 5)
    members_documents.submit_document(narrow.hub, "mpc", proposal)
    federation.share_documents(narrow)
    (waiting,) = inbox.inbox(nhco)
    signed = inbox.approve(nhco, waiting, "")
    members_documents.submit_document(narrow.hub, "nhco", signed)
    node_agreeing.accept_listing(mpc, members_documents.list_documents(narrow.hub.db))
    peers = {name: node for name, node in narrow.nodes.items() if name != "mpc"}
    for node in (mpc, *peers.values()):
        messages = node.tick()
        narrow.deliver(message for message in messages if message.kind != "hello" or node is mpc)
    federation.share_documents(narrow)
    for _ in range(4):
        narrow.run()
        narrow.clock.now_ms += 130_000
    assert outbox.outbox(mpc.db, narrow.clock()).is_empty
