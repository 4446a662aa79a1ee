"""A no to a proposal: signed, told to all, and in the log where it decides; nothing brings the proposal back."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from samprasan.edge.texts import Words
from samprasan.hub import limits
from samprasan.hub import store as hub_store
from samprasan.hub import tables as hub_tables
from samprasan.hub.log import audit, intake, recall
from samprasan.hub.members import dissent, documents
from samprasan.keys import dissents, rosters, signing
from samprasan.keys import documents as joint
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unproven
from samprasan.node import tables as node_tables
from samprasan.node.commands.approvals import Reason
from samprasan.node.documents import accepted, inbox
from samprasan.node.documents.inbox import Waiting
from samprasan.node.session import documents as session_documents
from samprasan.node.sync import hub_chain
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Cut, Dissent, Roster
from samprasan.v1.envelope_pb2 import Envelope

from tests import federation, rotating
from tests.disaster import is_sound, replace_hub, standing
from tests.federation import AGENCIES, Federation, deed
from tests.policies import proposal


def proposed(fed: Federation) -> Envelope:
    """A policy that mpc has proposed and every agency has heard of."""
    envelope = proposal(fed)
    documents.submit_document(fed.hub, "mpc", envelope)
    federation.share_documents(fed)
    return envelope


def waiting(fed: Federation, agency: str) -> Waiting:
    (found,) = inbox.inbox(fed.nodes[agency])
    return found


def decline(fed: Federation, agency: str, reason: str = "mistake") -> bool:
    is_over = dissent.submit_dissent(fed.hub, agency, inbox.decline(fed.nodes[agency], waiting(fed, agency), reason))
    federation.share_documents(fed)
    return is_over


def withdraw(fed: Federation, agency: str = "mpc") -> bool:
    is_over = dissent.submit_dissent(fed.hub, agency, inbox.withdraw(fed.nodes[agency], waiting(fed, agency)))
    federation.share_documents(fed)
    return is_over


def approve(fed: Federation, agency: str) -> Envelope:
    return inbox.approve(fed.nodes[agency], waiting(fed, agency), "")


def refused_with(step: Callable[[], Any]) -> str:
    with pytest.raises(SamprasanError) as refused:
        step()
    return refused.value.code


def policy_in_force(fed: Federation) -> int:
    with fed.hub.db.read() as tx:
        return max(hub_store.documents.agreed_on(tx).policies)


def test_a_proposal_is_over_once_too_few_are_left_to_sign_it(fed: Federation) -> None:
    envelope = proposed(fed)
    assert not decline(fed, "nhco", "later"), "two of three can still sign"
    assert [dict(waiting(fed, each).dissents) for each in AGENCIES] == [{"nhco": "later"}] * len(AGENCIES)
    signed = approve(fed, "codi")  # somebody keeps it
    assert decline(fed, "codi")
    assert [inbox.inbox(node) for node in fed.nodes.values()] == [[]] * len(AGENCIES)
    for agency, late in (("codi", signed), ("mpc", envelope)):
        assert refused_with(lambda: documents.submit_document(fed.hub, agency, late)) == "document_withdrawn"  # noqa: B023
    assert policy_in_force(fed) == 1
    fed.run()
    for node in fed.nodes.values():
        (told,) = inbox.ended(node)
        assert (told.kind, told.version, dict(told.dissents)) == ("policy", 2, {"codi": "mistake", "nhco": "later"})
    assert is_sound(fed.hub)
    documents.submit_document(fed.hub, "mpc", proposed_later(fed))  # the version is free for another one


def proposed_later(fed: Federation) -> Envelope:
    fed.clock.now_ms += 1_000
    return proposal(fed)


def test_its_proposer_withdraws_it_whoever_has_signed(fed: Federation) -> None:
    envelope = proposed(fed)
    signed = approve(fed, "codi")
    assert withdraw(fed)
    assert refused_with(lambda: documents.submit_document(fed.hub, "codi", signed)) == "document_withdrawn"
    assert refused_with(lambda: documents.submit_document(fed.hub, "mpc", envelope)) == "document_withdrawn"
    fed.run()
    assert [dict(each.dissents) for each in inbox.ended(fed.nodes["nhco"])] == [{"mpc": "withdrawn"}]
    assert is_sound(fed.hub)


def test_who_changes_their_mind_approves(fed: Federation) -> None:
    proposed(fed)
    decline(fed, "nhco")
    late = signed_no(fed, "codi", waiting(fed, "codi"))
    documents.submit_document(fed.hub, "nhco", approve(fed, "nhco"))
    federation.share_documents(fed)
    assert policy_in_force(fed) == 2
    assert refused_with(lambda: dissent.submit_dissent(fed.hub, "codi", late)) == "approval_unknown"
    assert inbox.inbox(fed.nodes["mpc"]) == []
    assert inbox.ended(fed.nodes["mpc"]) == []


def test_a_second_no_of_one_agency_changes_nothing(fed: Federation) -> None:
    proposed(fed)
    for reason in ("mistake", "later", "mistake"):
        assert not decline(fed, "nhco", reason)
    assert dict(waiting(fed, "codi").dissents) == {"nhco": "mistake"}
    with fed.hub.db.read() as tx:
        before = hub_store.documents.changed(tx)
    decline(fed, "nhco", "unclear")
    with fed.hub.db.read() as tx:
        assert hub_store.documents.changed(tx) == before, "nobody has to list them again"


def test_who_signed_cannot_decline_and_who_did_not_propose_cannot_withdraw(fed: Federation) -> None:
    proposed(fed)
    assert refused_with(lambda: decline(fed, "mpc")) == "approval_given"
    assert refused_with(lambda: withdraw(fed, "nhco")) == "not_its_proposal"
    for agency, reason, code in (("mpc", "later", "approval_given"), ("nhco", dissents.WITHDRAWN, "not_its_proposal")):
        said = signed_no(fed, agency, waiting(fed, agency), reason)
        assert refused_with(lambda: dissent.submit_dissent(fed.hub, agency, said)) == code  # noqa: B023


def signed_no(fed: Federation, agency: str, proposal: Waiting, reason: str = "mistake") -> Envelope:
    """Whatever its own node thinks of it."""
    with fed.hub.db.read() as tx:
        federation_id = hub_store.documents.agreed_on(tx).federation_id
    return dissents.compose(federation_id, proposal.standing, agency, reason, fed.nodes[agency].world.signer)


FORGED: dict[str, Callable[[Federation, Dissent], Envelope]] = {
    "anothers": lambda fed, body: signing.seal(body, fed.nodes["codi"].world.signer),
    "by two": lambda fed, body: signing.seal(body, *(fed.nodes[each].world.signer for each in ("nhco", "codi"))),
    "by nobody": lambda fed, body: signing.seal(body),
    "of another federation": lambda fed, body: changed(fed, body, federation_id=bytes(16)),
    "of no kind": lambda fed, body: changed(fed, body, document=0),
    "without a reason": lambda fed, body: changed(fed, body, reason=0),
    "with a reason that is not known": lambda fed, body: changed(fed, body, reason=77),
    "of another kind": lambda fed, body: changed(fed, body, document=log.DOCUMENT_KIND_ROSTER),
    "of another version": lambda fed, body: changed(fed, body, version=3),
    "of a proposal that is not there": lambda fed, body: changed(fed, body, digest=bytes(32)),
    "in another's name": lambda fed, body: changed(fed, body, agency="codi"),
    "of the hub": lambda fed, body: changed(fed, body, agency="hub"),
    "with something else beside it": lambda fed, body: stuffed(changed(fed, body)),
}


def changed(fed: Federation, body: Dissent, **changes: Any) -> Envelope:
    for name, value in changes.items():
        setattr(body, name, value)
    return fed.nodes["nhco"].world.sign(body)


def stuffed(envelope: Envelope) -> Envelope:
    return Envelope.FromString(envelope.SerializeToString() + b"\x7a\x03abc")


@pytest.mark.parametrize("what", FORGED)
def test_nothing_but_ones_own_no_counts(fed: Federation, what: str) -> None:
    proposed(fed)
    own = inbox.decline(fed.nodes["nhco"], waiting(fed, "nhco"), "mistake")
    forged = FORGED[what](fed, Dissent.FromString(own.payload))
    with pytest.raises((Malformed, Unproven, Refused)):
        dissent.submit_dissent(fed.hub, "nhco", forged)
    for node in fed.nodes.values():  # nor at a node whose hub passes it on
        listing = documents.list_documents(fed.hub.db)
        listing.dissents.append(forged)
        accepted.accept_listing(node, listing)
        assert not waiting(fed, node.name).dissents
    assert dissent.submit_dissent(fed.hub, "nhco", own) is False


def test_what_nodes_confirm_themselves_nobody_declines(fed: Federation) -> None:
    rotating.start(fed)
    with fed.hub.db.read() as tx:
        planned = hub_store.documents.agreed_on(tx).required_roster
    made = Roster()
    made.CopyFrom(planned)
    made.version, made.expires_at = planned.version + 1, planned.created_at + rosters.RESULT_LIFETIME_MS
    made.ClearField("plan")
    made.next.CopyFrom(planned.linking)
    made.next.key_epoch, made.next.share_version = planned.plan.key_epoch, 1
    documents.submit_document(fed.hub, "mpc", fed.nodes["mpc"].world.sign(made))
    federation.share_documents(fed)
    assert refused_with(lambda: decline(fed, "codi")) == "confirmed_by_ceremony"
    assert refused_with(lambda: withdraw(fed)) == "confirmed_by_ceremony"


def test_what_was_said_against_a_document_in_force_is_forgotten(fed: Federation) -> None:
    proposed(fed)
    decline(fed, "nhco")
    documents.submit_document(fed.hub, "codi", approve(fed, "codi"))
    assert policy_in_force(fed) == 2
    assert list(documents.list_documents(fed.hub.db).dissents) == []
    with fed.hub.db.read() as tx:
        assert tx.execute(sa.select(hub_tables.dissents)).all() == []


def test_catalogues_that_others_publish_are_nobodys_to_decline(fed: Federation) -> None:
    federation.publish(fed, "codi")
    (first,) = [each for each in documents.list_documents(fed.hub.db).active if each.payload_type.endswith("catalogue")]
    federation.publish(fed, "codi", federation.CATALOGUE.replace("credits = 10", "credits = 11"))
    with fed.hub.db.read() as tx:
        roster = hub_store.documents.agreed_on(tx).required_roster
    standing = joint.check_signatures(first, joint.read(first), roster, signing.verify_ed25519)
    said = signed_no(fed, "mpc", Waiting(standing, joint.read(first), first, {}))
    assert refused_with(lambda: dissent.submit_dissent(fed.hub, "mpc", said)) == "approval_unknown"


def test_roster_1_and_a_cut_are_not_declined(fed: Federation) -> None:
    with fed.hub.db.read() as tx:
        roster = hub_store.documents.agreed_on(tx).required_roster
    first, cut = Roster(version=1), Cut(version=1)
    for body in (first, cut):
        assert refused_with(lambda: dissents.check_declinable(body, roster)) == "not_declinable"  # noqa: B023
    later = Roster()
    later.CopyFrom(roster)
    later.version += 1
    dissents.check_declinable(later, roster)


def test_a_no_whose_answer_was_lost_comes_again_and_one_that_comes_late_is_refused(fed: Federation) -> None:
    proposed(fed)
    withdrawal, late = (
        signed_no(fed, *each)
        for each in (("mpc", waiting(fed, "mpc"), dissents.WITHDRAWN), ("nhco", waiting(fed, "nhco"), "later"))
    )
    assert dissent.submit_dissent(fed.hub, "mpc", withdrawal)
    assert dissent.submit_dissent(fed.hub, "mpc", withdrawal)
    assert refused_with(lambda: dissent.submit_dissent(fed.hub, "nhco", late)) == "document_withdrawn"


def test_a_node_that_lost_everything_hears_again_what_is_over(fed: Federation) -> None:
    proposed(fed)
    withdraw(fed)
    fed.run()
    with fed.nodes["nhco"].db.begin() as tx:
        for table in (node_tables.ended, node_tables.activations, node_tables.hub_entries):
            tx.execute(table.delete())
    fed.run()
    assert [dict(each.dissents) for each in inbox.ended(fed.nodes["nhco"])] == [{"mpc": "withdrawn"}]


def test_a_no_with_a_key_that_a_node_has_not_heard_of_comes_behind_the_roster(fed: Federation) -> None:
    """A node that was away gets the log first; it looks at the documents, and then again."""
    node = fed.nodes["nhco"]
    proposed(fed)
    withdraw(fed)
    entries = recall.recalled(fed.hub.db, "nhco", True, hub_chain.kept_up_to(node.db))
    session = FakeSession(node, FakeHub(fed))
    real = signing.open_by_any
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing, "open_by_any", lambda *told: real(*told) if session.hub.listed else unknown())
        asyncio.run(session_documents.keep_entries(session, entries))  # type: ignore[arg-type]
    assert [dict(each.dissents) for each in inbox.ended(node)] == [{"mpc": "withdrawn"}]
    assert session.hub.listed == 1


def unknown() -> None:
    raise Unproven("signature", kind="Dissent")


@dataclass
class FakeHub:
    """It lists what the real one has, and counts."""

    fed: Federation
    listed: int = 0

    async def list_documents(self) -> hub_pb2.ListDocumentsResponse:
        self.listed += 1
        return documents.list_documents(self.fed.hub.db)


@dataclass
class FakeSession:
    node: federation.NodeParty
    hub: FakeHub

    async def step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        return step(*arguments)


def test_an_agency_withdraws_so_many_a_day(fed: Federation) -> None:
    for _ in range(limits.WITHDRAWN_PER_DAY_MAX):
        documents.submit_document(fed.hub, "mpc", proposed_later(fed))
        federation.share_documents(fed)
        withdraw(fed)
    documents.submit_document(fed.hub, "mpc", proposed_later(fed))
    federation.share_documents(fed)
    assert refused_with(lambda: withdraw(fed)) == "withdrawals_over_limit"
    fed.clock.now_ms += DAY_MS
    assert withdraw(fed)


def test_a_hub_that_lost_the_end_of_a_proposal_has_it_back(busy_fed: Federation) -> None:
    fed = busy_fed
    proposed(fed)
    yesterday = federation.copy_of(fed, federation.memory_database, 5)  # it waits there
    signed, late = approve(fed, "codi"), signed_no(fed, "nhco", waiting(fed, "nhco"))
    withdraw(fed)
    fed.give("nhco", deed(100, 4))
    fed.run()
    replace_hub(fed, yesterday)
    assert refused_with(lambda: dissent.submit_dissent(fed.hub, "nhco", late)) == "hub_recovering"
    fed.run()
    assert standing(fed.hub) is None
    assert is_sound(fed.hub)
    assert refused_with(lambda: documents.submit_document(fed.hub, "codi", signed)) == "document_withdrawn"
    assert documents.list_documents(fed.hub.db).proposed == []


# A hub that is a member's friend.


def test_a_node_does_not_believe_what_its_log_says_is_over(fed: Federation) -> None:
    envelope = proposed(fed)
    signed = approve(fed, "codi")
    withdraw(fed)
    fed.run()
    signing.add_signature(signed, fed.nodes["mpc"].world.signer)
    assert signing.digest(signed) == signing.digest(envelope)
    for node in fed.nodes.values():
        listing = hub_pb2.ListDocumentsResponse(proposed=[signed])
        accepted.accept_listing(node, listing)
        assert inbox.inbox(node) == []
        code = refused_with(lambda: accepted.accept_listing(node, hub_pb2.ListDocumentsResponse(active=[signed])))  # noqa: B023
        assert code == "document_revived"


def test_the_end_of_what_is_in_force_or_nobody_declined_is_not_kept(fed: Federation) -> None:
    envelope = proposed(fed)
    own = inbox.decline(fed.nodes["nhco"], waiting(fed, "nhco"), "mistake")
    digest = signing.digest(envelope)
    documents.submit_document(fed.hub, "codi", approve(fed, "codi"))
    federation.share_documents(fed)
    fed.run()
    with fed.hub.db.begin() as tx:
        withdrawn = log.Withdrawn(digest=digest, dissents=[own])
        intake.append_own(tx, fed.hub.world, [log.Update(withdrawn=withdrawn)])
    fed.run()
    assert {each.code for each in fed.nodes["mpc"].errors} == {"document_revived"}
    found = audit.audit(fed.hub, fed.hub.world.signer.public_key).problems
    assert any("ends a proposal that took effect" in each for each in found)


def put_in_force(fed: Federation, envelope: Envelope, **said: Any) -> None:
    """Whatever the hub's own code thinks of it; its log may say something else of it."""
    with fed.hub.db.begin() as tx:
        roster = hub_store.documents.agreed_on(tx).required_roster
        found = joint.check_signatures(envelope, joint.read(envelope), roster, signing.verify_ed25519)
        hub_store.documents.save(tx, found, envelope.SerializeToString(), fed.clock(), active=True)
        fields: dict[str, Any] = {"document": found.kind, "version": found.version, "digest": found.digest} | said
        intake.append_own(tx, fed.hub.world, [log.Update(activate=log.Activate(**fields))])


@pytest.mark.parametrize("log_first", [False, True])
@pytest.mark.parametrize(
    ("days", "said", "code"),
    [
        (400, {}, "document_late"),
        (0, {"document": log.DOCUMENT_KIND_CATALOGUE}, "document_replaced"),
        (0, {"version": 9}, "document_replaced"),
        (0, {"document": 99}, "document_replaced"),
    ],
)
def test_what_the_log_says_of_a_document_has_to_be_so(
    fed: Federation, days: int, said: dict[str, Any], code: str, log_first: bool
) -> None:
    """A friend of the operator signs it when everybody has forgotten it, or the log names it as another one."""
    proposed(fed)
    signed, late = approve(fed, "codi"), fed.nodes["nhco"]
    signing.add_signature(signed, fed.nodes["mpc"].world.signer)
    fed.clock.now_ms += days * DAY_MS
    put_in_force(fed, signed, **said)
    if log_first:
        hub_chain.keep_entries(late, recall.recalled(fed.hub.db, "nhco", True, hub_chain.kept_up_to(late.db)))
        listing = documents.list_documents(fed.hub.db)
        assert refused_with(lambda: accepted.accept_listing(late, listing)) == code
    else:
        federation.share_documents(fed)
        fed.run()
        assert {each.code for each in late.errors} == {code}
    found = audit.audit(fed.hub, fed.hub.world.signer.public_key).problems
    assert any("whose time was over, or as another one" in each for each in found)


def test_a_document_whose_time_runs_out_in_the_middle_does_not_take_effect(fed: Federation) -> None:
    """The log is ahead of the hub's clock, which was set back."""
    proposed(fed)
    signed = approve(fed, "codi")
    ends = joint.read(signed).expires_at
    before = fed.clock()
    fed.clock.now_ms = ends
    fed.give("mpc", deed(1, 1))
    fed.run()
    fed.clock.now_ms = max(before, ends - 1)
    assert refused_with(lambda: documents.submit_document(fed.hub, "codi", signed)) == "document_expired"
    assert policy_in_force(fed) == 1
    assert is_sound(fed.hub)


@pytest.mark.parametrize("log_first", [False, True])
def test_two_documents_of_one_version_are_found_out_by_the_log(fed: Federation, log_first: bool) -> None:
    """Both are signed by enough, one of whom signs everything; the hub shows nhco the one, and the others the other."""
    shown = signing.seal(joint.read(proposed(fed)), *(fed.nodes[each].world.signer for each in ("mpc", "codi")))
    fed.clock.now_ms += 1_000
    other = signing.seal(joint.read(proposal(fed)), *(fed.nodes[each].world.signer for each in ("mpc", "codi")))
    nhco = fed.nodes["nhco"]
    if log_first:
        documents.submit_document(fed.hub, "mpc", other)
        hub_chain.keep_entries(nhco, recall.recalled(fed.hub.db, "nhco", True, hub_chain.kept_up_to(nhco.db)))
        lie = hub_pb2.ListDocumentsResponse(active=[shown])
        assert refused_with(lambda: accepted.accept_listing(nhco, lie)) == "document_replaced"
        return
    accepted.accept_listing(nhco, hub_pb2.ListDocumentsResponse(active=[shown]))
    documents.submit_document(fed.hub, "mpc", other)
    fed.run()
    assert {each.code for each in nhco.errors} == {"document_replaced"}
    assert fed.nodes["mpc"].errors == []


def test_no_hub_ends_a_proposal_by_itself(fed: Federation) -> None:
    digest = signing.digest(proposed(fed))
    foreign = signing.seal(Dissent(digest=digest, agency="nhco"), fed.hub.world.signer)
    with fed.hub.db.begin() as tx:
        withdrawn = log.Withdrawn(digest=digest, dissents=[foreign])
        intake.append_own(tx, fed.hub.world, [log.Update(withdrawn=withdrawn)])
    fed.run()
    assert {each.code for each in fed.nodes["mpc"].errors} == {"dissent"}
    assert refused_with(lambda: dissents.check_end(digest, [], b"", {}, signing.verify_ed25519)) == "end_unproven"
    found = audit.audit(fed.hub, fed.hub.world.signer.public_key).problems
    assert any("nobody said no to" in each for each in found)


def test_every_reason_can_be_given_and_read() -> None:
    assert tuple(Reason) == dissents.REASONS_TO_DECLINE
    words = Words("samprasan.node")
    assert all(words(f"reason_{each}") for each in (*Reason, dissents.WITHDRAWN))
