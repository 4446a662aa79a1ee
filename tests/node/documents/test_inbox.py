"""What a member could lay before the others, and what an officer's yes is bound to."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message
from samprasan.hub import store as hub_store
from samprasan.hub.members import documents as members_documents
from samprasan.keys import documents, rosters, sealing, signing, spoken_digest
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unproven
from samprasan.keys.identifiers import check_digit
from samprasan.keys.signing import KeySigner
from samprasan.node import store
from samprasan.node.documents import accepted, differences, inbox, proposals
from samprasan.v1 import hub_pb2
from samprasan.v1.documents_pb2 import Integrator, IntegratorQuotas, Policy, Roster, Scope
from samprasan.v1.envelope_pb2 import Envelope

from tests import federation
from tests.federation import Federation
from tests.moving import joint_move
from tests.policies import proposal, twins

THIEF = "codi"
VICTIM = "mpc"


def take_mail_of(victim: str, roster: Roster) -> None:
    """Letters to the victim are sealed for a key of the thief's."""
    rosters.member(roster, victim).sealing_key = bytes([7]) * 32


def refresh_with(fed: Federation, change: Callable[[Roster], None], *signers: str) -> Envelope:
    """The thief's proposal of a refresh, with something else changed beside it."""
    roster = Roster.FromString(proposals.propose_ceremony(fed.nodes[THIEF], proposals.REFRESH).payload)
    change(roster)
    return signing.seal(roster, *(fed.nodes[each].world.signer for each in signers))


def listing(**envelopes: list[Envelope]) -> hub_pb2.ListDocumentsResponse:
    return hub_pb2.ListDocumentsResponse(**envelopes)


def test_a_refresh_that_takes_anothers_mail_is_refused_by_the_hub_and_by_every_node(fed: Federation) -> None:
    stolen = refresh_with(fed, lambda roster: take_mail_of(VICTIM, roster), THIEF, "nhco")
    with pytest.raises(Refused) as refused:
        members_documents.submit_document(fed.hub, THIEF, stolen)
    assert refused.value.code == "roster_mixed"
    for agency in ("mpc", "nhco"):  # whose hub is the thief's friend
        node = fed.nodes[agency]
        accepted.accept_listing(node, listing(proposed=[stolen]))
        assert inbox.inbox(node) == []
        with pytest.raises(Refused) as believed:
            accepted.accept_listing(node, listing(active=[stolen]))
        assert believed.value.code == "roster_mixed"


def test_a_list_that_was_on_its_way_takes_nothing_out_of_force(fed: Federation) -> None:
    """``sync`` fetched it before the document took effect, and keeps it after ``serve`` has kept two newer ones."""
    envelope = proposal(fed)
    members_documents.submit_document(fed.hub, "mpc", envelope)
    late = members_documents.list_documents(fed.hub.db)
    federation.share_documents(fed)
    node = fed.nodes["codi"]
    (waiting,) = inbox.inbox(node)
    members_documents.submit_document(fed.hub, "codi", inbox.approve(node, waiting, ""))
    federation.share_documents(fed)
    accepted.accept_listing(node, late)
    assert accepted.is_in_force(node.db, waiting.standing.digest)
    assert inbox.inbox(node) == []
    federation.share_documents(fed)


def test_what_is_in_force_is_looked_at_once_however_many_there_are(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be thousands of moves, and every approval makes every node read the list."""
    mpc, before = fed.nodes["mpc"], members_documents.list_documents(fed.hub.db)
    moves = []
    for version in range(1, 101):
        number = version.to_bytes(16, "big")
        body = joint_move(fed.nodes["codi"], version=version, account=number, move_id=number)
        moves.append(signing.seal(body, fed.nodes["codi"].world.signer, fed.nodes["nhco"].world.signer))
    asked: list[None] = []
    agreed_on = store.documents.agreed_on

    def counted(tx: Any) -> Any:
        asked.append(None)
        return agreed_on(tx)

    monkeypatch.setattr(store.documents, "agreed_on", counted)
    for most in (5, 5):
        accepted.accept_listing(mpc, listing(active=[*before.active, *moves]))
        assert len(asked) <= most
        asked.clear()
    with mpc.db.read() as tx:
        assert {signing.digest(each) for each in moves} <= agreed_on(tx).digests


def test_only_what_comes_next_is_laid_before_people(fed: Federation) -> None:
    mpc = fed.nodes["mpc"]
    policy = Policy.FromString(proposal(fed).payload)
    policy.version += 1
    skipping = mpc.world.sign(policy)
    accepted.accept_listing(mpc, listing(active=[], proposed=[skipping]))
    assert inbox.inbox(mpc) == []


def test_keys_are_taken_over_by_nobody_but_their_owner(fed: Federation) -> None:
    def change(roster: Roster) -> None:
        roster.ClearField("plan")
        take_mail_of(VICTIM, roster)

    stolen = refresh_with(fed, change, THIEF, "nhco")
    with pytest.raises(Unproven) as refused:
        accepted.accept_listing(fed.nodes["nhco"], listing(active=[stolen]))
    assert refused.value.code == "document_signatures"
    victim = fed.nodes[VICTIM]
    accepted.accept_listing(victim, listing(proposed=[stolen]))
    (waiting,) = inbox.inbox(victim)
    with pytest.raises(Unproven) as own:
        inbox.approve(victim, waiting, waiting.standing.digest.hex())
    assert own.value.code == "roster_not_ours"
    before = inbox.predecessor(victim, waiting.body)
    assert before is not None
    shown = {each.path for each in differences.changes(before, waiting.body)}
    assert f"members[{VICTIM}].sealing_key" in shown


def test_what_is_signed_is_what_was_shown_whatever_comes_after(fed: Federation) -> None:
    node = fed.nodes["nhco"]
    members_documents.submit_document(fed.hub, "mpc", proposal(fed))
    federation.share_documents(fed)
    (waiting,) = inbox.inbox(node)
    other = Policy.FromString(waiting.envelope.payload)
    other.title_en = "Another"
    accepted.accept_listing(node, listing(proposed=[fed.nodes["mpc"].world.sign(other)]))
    signed = inbox.approve(node, waiting, "")
    assert (signed.payload, signed.payload_type) == (waiting.envelope.payload, waiting.envelope.payload_type)
    assert signing.digest(signed) == waiting.standing.digest


@pytest.mark.parametrize("kind", ["policy", "grant", "move", "integrator", "roster"])
def test_of_every_kind_just_what_was_printed_is_signed(fed: Federation, kind: str) -> None:
    """Others lie beside it that differ in one field only."""
    node, mpc = fed.nodes["nhco"], fed.nodes["mpc"]
    body = of_kind(fed, kind)
    others = [type(body).FromString(body.SerializeToString()) for _ in range(2)]
    others[0].created_at += 1
    others[1].expires_at -= 1
    made = [mpc.world.sign(each) for each in (others[0], body, others[1])]
    accepted.accept_listing(node, listing(proposed=made))
    assert len(inbox.inbox(node)) == len(made)
    for envelope in made:
        waiting = inbox.find(node, signing.digest(envelope).hex()[:12])
        assert list(differences.lines(waiting.body)) == list(differences.lines(documents.read(envelope)))
        signed = inbox.approve(node, waiting, "")
        assert (signed.payload_type, signed.payload) == (envelope.payload_type, envelope.payload)
        (key,) = [each.key_id for each in signed.signatures]
        assert key == signing.key_id(node.world.signer.public_key)


def of_kind(fed: Federation, kind: str) -> Any:
    node = fed.nodes["mpc"]
    grant = documents.read(proposals.propose_grant(node, 5, 5))
    common = {each: getattr(grant, each) for each in ("federation_id", "version", "created_at", "expires_at")}
    if kind == "move":
        return joint_move(node)
    if kind == "integrator":
        scope, quotas = Scope(agencies=["mpc"], balances=True), IntegratorQuotas(streams=1, snapshots_per_day=1)
        until = grant.expires_at
        return Integrator(
            **common, name="app", title="App", purpose="Shows", scope=scope, quotas=quotas, valid_until=until
        )
    if kind == "roster":
        return documents.read(proposals.propose_ceremony(node, proposals.REFRESH))
    return documents.read(proposal(fed)) if kind == "policy" else grant


def test_of_two_documents_with_one_short_id_neither_is_taken_for_the_other(fed: Federation) -> None:
    """Six digits are found alike in a blink, twelve in seconds."""
    node = fed.nodes["nhco"]
    for version in range(20):  # each try draws others
        harmless, harmful = (Policy.FromString(proposal(fed).payload) for _ in range(2))
        harmless.title_th = harmful.title_th = f"เกณฑ์ {version}"
        harmful.limits.credits_per_update_max += 1
        if pair := twins(harmless, harmful):
            break
    assert pair is not None
    signed = [fed.nodes[THIEF].world.sign(each) for each in pair]
    for envelope in signed:
        members_documents.submit_document(fed.hub, THIEF, envelope)
    federation.share_documents(fed)
    digests = [signing.digest(each).hex() for each in signed]
    assert digests[0][: inbox.SHORTEST_ID] == digests[1][: inbox.SHORTEST_ID]
    with pytest.raises(Refused) as ambiguous:
        inbox.find(node, digests[0][: inbox.SHORTEST_ID])
    assert ambiguous.value.code == "approval_ambiguous"
    for envelope, digest in zip(signed, digests, strict=True):
        assert inbox.approve(node, inbox.find(node, digest), "").payload == envelope.payload
    for unknown in ("", digests[0][: inbox.SHORTEST_ID - 1], "0" * 64):
        with pytest.raises(Refused) as refused:
            inbox.find(node, unknown)
        assert refused.value.code == "approval_unknown"


def test_a_digest_is_taken_in_words_and_never_that_of_another(fed: Federation) -> None:
    node = fed.nodes["nhco"]
    members_documents.submit_document(fed.hub, "mpc", proposal(fed))
    federation.share_documents(fed)
    (waiting,) = inbox.inbox(node)
    digest = waiting.standing.digest
    near = bytes([digest[0] ^ 1]) + digest[1:]
    for language in ("th", "en"):
        said = " ".join(spoken_digest.words_of(digest, language))
        assert inbox.approve(node, waiting, said).payload == waiting.envelope.payload
        with pytest.raises(Unproven) as wrong:
            inbox.approve(node, waiting, " ".join(spoken_digest.words_of(near, language)))
        assert wrong.value.code == "digest_differs"
    with pytest.raises(Malformed):
        inbox.approve(node, waiting, digest.hex()[:12])


@pytest.mark.parametrize("text", ["\x1b[2K\x1b[1Afake", "ศูนย์ \u202e0000 tsegid", "one\ntwo"])
def test_a_text_that_speaks_to_the_terminal_reaches_no_inbox(fed: Federation, text: str) -> None:
    body = Policy.FromString(proposal(fed).payload)
    body.title_en = text
    envelope = fed.nodes["mpc"].world.sign(body)
    with pytest.raises(SamprasanError) as refused:
        members_documents.submit_document(fed.hub, "mpc", envelope)
    assert refused.value.code == "document_text"
    accepted.accept_listing(fed.nodes["nhco"], listing(proposed=[envelope]))
    assert inbox.inbox(fed.nodes["nhco"]) == []


def test_no_entry_changes_without_the_key_that_it_had(fed: Federation) -> None:
    """The thief gives its victim both keys of its own, signs as the victim, and talks one officer into it."""
    own = KeySigner(bytes([9]) * 32)
    roster = Roster.FromString(proposals.propose_ceremony(fed.nodes[THIEF], proposals.REFRESH).payload)
    roster.ClearField("plan")
    entry = rosters.member(roster, VICTIM)
    entry.signing_key, entry.sealing_key = own.public_key, sealing.sealing_public_key(bytes([77]) * 32)
    signers = (fed.nodes[THIEF].world.signer, own, fed.nodes["nhco"].world.signer)
    stolen = signing.seal(roster, *signers)
    members_documents.submit_document(fed.hub, THIEF, stolen)
    federation.share_documents(fed)
    for node in fed.nodes.values():
        (waiting,) = inbox.inbox(node)
        assert VICTIM not in waiting.standing.signed, "it is not named by a key that it is only to get"
        with pytest.raises(Unproven) as refused:
            accepted.accept_listing(node, listing(active=[stolen]))
        assert refused.value.code == "document_signatures"
    signing.add_signature(stolen, fed.nodes[VICTIM].world.signer)  # a planned change: old and new key both sign
    with fed.hub.db.read() as tx:
        before = hub_store.documents.agreed_on(tx).roster
    assert documents.check_signatures(stolen, roster, before, signing.verify_ed25519).complete


STUFFED: dict[str, Callable[[Envelope], None]] = {
    "beside a signature": lambda envelope: stuff(envelope.signatures[0]),
    "beside the payload": lambda envelope: stuff(envelope),
    "behind a signature": lambda envelope: lengthen(envelope, "signature"),
    "in the name of a key": lambda envelope: lengthen(envelope, "key_id"),
}


def stuff(message: Message) -> None:
    """A field that nobody knows, with something to read in it."""
    message.MergeFromString(b"\x7a\x05hello")


def lengthen(envelope: Envelope, field: str) -> None:
    setattr(envelope.signatures[0], field, getattr(envelope.signatures[0], field) + b"hello")


@pytest.mark.parametrize("where", STUFFED)
def test_nothing_rides_along_with_a_signature(fed: Federation, where: str) -> None:
    """It would be stored and carried to everybody, and no digest, list or audit would show it."""
    envelope = proposals.publish(fed.nodes["codi"], federation.CATALOGUE)
    STUFFED[where](envelope)
    with pytest.raises(Malformed):
        members_documents.submit_document(fed.hub, "codi", envelope)
    with pytest.raises(Malformed):
        accepted.accept_listing(fed.nodes["mpc"], listing(active=[envelope]))


@pytest.mark.parametrize("key", [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_a_mail_key_for_which_nothing_can_be_sealed_is_refused(fed: Federation, key: bytes) -> None:
    roster = Roster.FromString(proposals.propose_ceremony(fed.nodes[THIEF], proposals.REFRESH).payload)
    roster.ClearField("plan")
    rosters.member(roster, THIEF).sealing_key = key
    with pytest.raises(Malformed) as refused:
        members_documents.submit_document(fed.hub, THIEF, fed.nodes[THIEF].world.sign(roster))
    assert refused.value.values["problem"] == "sealing_key"
    with pytest.raises(Malformed):
        sealing.seal_for(key, b"letter", b"")


WRITTEN = ("ของ 1-1017-00230-70-{}", "110170023070{}", "เลข ๑๑๐๑๗๐๐๒๓๐๗๐{} ครับ", "1 1017 00230 70 {}")


@pytest.mark.parametrize("written", WRITTEN)
def test_no_id_stands_in_a_document(fed: Federation, written: str) -> None:
    text = written.format(check_digit("110170023070"))
    body = Policy.FromString(proposal(fed).payload)
    body.title_th = text
    with pytest.raises(Malformed) as refused:
        members_documents.submit_document(fed.hub, "mpc", fed.nodes["mpc"].world.sign(body))
    assert refused.value.code == "document_id"
    assert text not in refused.value.text("en")
    body.title_th = "โทร 02-141-9700, 081 234 5678"
    members_documents.submit_document(fed.hub, "mpc", fed.nodes["mpc"].world.sign(body))


def test_the_same_approval_again_is_told_nobody(fed: Federation) -> None:
    envelope = proposal(fed)
    members_documents.submit_document(fed.hub, "mpc", envelope)
    with fed.hub.db.read() as tx:
        before = hub_store.documents.changed(tx)
    members_documents.submit_document(fed.hub, "mpc", envelope)
    with fed.hub.db.read() as tx:
        assert hub_store.documents.changed(tx) == before
