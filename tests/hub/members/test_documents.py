"""Joint documents: enough different signatures, in order, in time; the hub only carries."""

from typing import Any

import pytest
from samprasan.hub import limits
from samprasan.hub import store as hub_store
from samprasan.hub.integrators import approval
from samprasan.hub.integrators.approval import Proposal
from samprasan.hub.members import documents as members_documents
from samprasan.keys import documents, signing
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unproven
from samprasan.keys.signing import KeySigner
from samprasan.node import store as node_store
from samprasan.node.documents import accepted as node_agreeing
from samprasan.node.documents import inbox
from samprasan.node.identity import Node
from samprasan.v1 import hub_pb2
from samprasan.v1.documents_pb2 import Policy, Roster
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DOCUMENT_KIND_MOVE

from tests import federation
from tests.federation import Federation
from tests.moving import joint_move
from tests.policies import proposal

MOVES = 3_400


def submit(fed: Federation, agency: str, envelope: Envelope) -> None:
    members_documents.submit_document(fed.hub, agency, envelope)


def versions(fed: Federation) -> tuple[int, int]:
    with fed.hub.db.read() as tx:
        agreed = hub_store.documents.agreed_on(tx)
    return (agreed.roster.version if agreed.roster else 0, max(agreed.policies, default=0))


def signed_by(fed: Federation, envelope: Envelope, *agencies: str) -> Envelope:
    made = Envelope(payload_type=envelope.payload_type, payload=envelope.payload)
    for agency in agencies:
        signing.add_signature(made, fed.nodes[agency].world.signer)
    return made


def test_a_second_policy_takes_effect_with_the_second_signature(fed: Federation) -> None:
    submit(fed, "mpc", proposal(fed))
    assert versions(fed) == (2, 1)
    federation.share_documents(fed)
    codi = fed.nodes["codi"]
    (waiting,) = inbox.inbox(codi)
    assert (waiting.standing.signed, waiting.standing.missing) == (frozenset({"mpc"}), frozenset({"nhco", "codi"}))
    approved = inbox.approve(codi, waiting, "")
    submit(fed, "codi", approved)
    assert versions(fed) == (2, 2)
    federation.share_documents(fed)
    assert inbox.inbox(codi) == []


def changed_policy(fed: Federation, **changes: Any) -> Envelope:
    body = Policy.FromString(proposal(fed).payload)
    for name, value in changes.items():
        setattr(body, name, value)
    return fed.nodes["mpc"].world.sign(body)


@pytest.mark.parametrize(
    ("changes", "kind", "code"),
    [
        ({"version": 3}, Refused, "document_version"),
        ({"version": 1, "title_en": "Another"}, Refused, "document_version"),
        ({"federation_id": b"x" * 16}, Unproven, "federation"),
        ({"expires_at": federation.START_MS - 1, "created_at": 1}, Refused, "document_expired"),
        ({"expires_at": 1}, Malformed, "document_form"),
        ({"valid_from": 20251340}, Malformed, "entry_value"),
    ],
)
def test_a_document_out_of_order_time_or_place_is_refused(
    fed: Federation, changes: dict[str, Any], kind: type[SamprasanError], code: str
) -> None:
    with pytest.raises(kind) as refused:
        submit(fed, "mpc", changed_policy(fed, **changes))
    assert refused.value.code == code
    assert members_documents.list_documents(fed.hub.db).proposed == []


def test_one_key_twice_is_no_second_signature(fed: Federation) -> None:
    with pytest.raises(Unproven) as refused:
        submit(fed, "mpc", signed_by(fed, proposal(fed), "mpc", "mpc"))
    assert refused.value.code == "key_twice"
    assert versions(fed) == (2, 1)


def test_nobody_brings_anothers_signature(fed: Federation) -> None:
    with pytest.raises(Unproven) as refused:
        submit(fed, "nhco", signed_by(fed, proposal(fed), "mpc"))
    assert refused.value.code == "approval_not_ones_own"


def test_a_forged_signature_beside_a_good_one_is_told(fed: Federation) -> None:
    envelope = signed_by(fed, proposal(fed), "mpc", "nhco")
    envelope.signatures[1].signature = bytes(64)
    with pytest.raises(Unproven) as refused:
        submit(fed, "mpc", envelope)
    assert refused.value.code == "signature"
    assert versions(fed) == (2, 1)


def test_signatures_that_count_for_nothing_are_not_kept(fed: Federation) -> None:
    envelope = proposal(fed)
    for number in range(signing.SIGNATURES_MAX - 1):
        signing.add_signature(envelope, KeySigner(bytes([number]) * 32))
    submit(fed, "mpc", envelope)
    submit(fed, "nhco", signed_by(fed, envelope, "nhco"))
    assert len(members_documents.list_documents(fed.hub.db).active[-1].signatures) == 2
    federation.share_documents(fed)
    assert versions(fed) == (2, 2)


def test_what_was_not_approved_in_time_makes_room(fed: Federation) -> None:
    submit(fed, "mpc", proposal(fed))
    fed.clock.now_ms += 31 * 86_400_000
    submit(fed, "nhco", signed_by(fed, changed_policy(fed, title_en="Another"), "nhco"))
    (waiting,) = members_documents.list_documents(fed.hub.db).proposed
    assert Policy.FromString(waiting.payload).title_en == "Another"


def test_a_proposal_may_not_wait_for_years(fed: Federation) -> None:
    with pytest.raises(Malformed):
        submit(fed, "mpc", changed_policy(fed, expires_at=fed.clock.now_ms + 400 * 86_400_000))


def test_a_node_believes_no_document_with_too_few_signatures(fed: Federation) -> None:
    node = fed.nodes["codi"]
    listing = hub_pb2.ListDocumentsResponse(active=[signed_by(fed, proposal(fed), "mpc")])
    with pytest.raises(Unproven) as refused:
        node_agreeing.accept_listing(node, listing)
    assert refused.value.code == "document_signatures"


def test_a_node_believes_no_policy_that_skips_a_version(fed: Federation) -> None:
    node = fed.nodes["codi"]
    skipped = signed_by(fed, changed_policy(fed, version=3), "mpc", "nhco")
    with pytest.raises(Unproven) as refused:
        node_agreeing.accept_listing(node, hub_pb2.ListDocumentsResponse(active=[skipped]))
    assert refused.value.code == "document_skipped"


def test_a_node_believes_no_other_document_in_the_place_of_one_it_believed(fed: Federation) -> None:
    node = fed.nodes["codi"]
    other = signed_by(fed, changed_policy(fed, version=1, title_en="Another"), "mpc", "nhco")
    with pytest.raises(Unproven) as refused:
        node_agreeing.accept_listing(node, hub_pb2.ListDocumentsResponse(active=[other]))
    assert refused.value.code == "document_replaced"


def test_who_fills_its_own_share_of_the_inbox_keeps_nobody_else_out(fed: Federation) -> None:
    for number in range(limits.PROPOSALS_OF_ONE_MAX):
        submit(fed, "mpc", changed_policy(fed, title_en=f"Policy {number}"))
    with pytest.raises(Refused) as refused:
        submit(fed, "mpc", changed_policy(fed, title_en="One more"))
    assert refused.value.code == "inbox_full"
    submit(fed, "nhco", signed_by(fed, changed_policy(fed, title_en="Of another"), "nhco"))
    wanted = Proposal("app", "App", "Shows credits", (), streams=1, snapshots_per_day=1, days=30)
    approval.propose(fed.hub, wanted)
    federation.share_documents(fed)
    assert len(inbox.inbox(fed.nodes["codi"])) == limits.PROPOSALS_OF_ONE_MAX + 2


def test_what_one_lays_before_the_others_is_limited_in_bytes_too_and_told_in_pages(fed: Federation) -> None:
    taken = 0
    for number in range(limits.PROPOSALS_OF_ONE_MAX):
        envelope = large_policy(fed, number)
        taken += envelope.ByteSize()
        if taken > limits.PROPOSALS_OF_ONE_BYTES_MAX:
            with pytest.raises(Refused) as refused:
                submit(fed, "mpc", envelope)
            assert refused.value.code == "inbox_full"
            break
        submit(fed, "mpc", envelope)
    else:
        pytest.fail("nothing was refused")
    listing = members_documents.list_documents(fed.hub.db)
    pages = members_documents.document_pages(fed.hub.db)
    joined = hub_pb2.ListDocumentsResponse()
    for page in pages:
        joined.MergeFrom(page)
    assert joined == listing
    assert len(pages) > 3
    assert max(page.ByteSize() for page in pages) < limits.DOCUMENTS_PAGE_BYTES + limits.DOCUMENT_BYTES_MAX // 8


@pytest.mark.rest
def test_thousands_of_moves_in_force_are_told_in_pages_and_believed(fed: Federation) -> None:
    """Years of corrections, or one member's zeal: the list was one message, and too large for it."""
    with fed.hub.db.begin() as tx:
        roster = hub_store.documents.agreed_on(tx).required_roster
        body = joint_move(fed.nodes["mpc"])
        for number in range(1, MOVES + 1):
            body.version, body.move_id = number, number.to_bytes(16, "big")
            envelope = signing.seal(body, *(fed.nodes[each].world.signer for each in ("mpc", "nhco")))
            found = documents.check_signatures(envelope, body, roster, lambda *_: True)
            hub_store.documents.save(tx, found, envelope.SerializeToString(), fed.clock(), active=True)
    pages = members_documents.document_pages(fed.hub.db)
    assert sum(page.ByteSize() for page in pages) > 1 << 20
    assert max(page.ByteSize() for page in pages) < limits.DOCUMENTS_PAGE_BYTES + limits.DOCUMENT_BYTES_MAX // 8
    submit(fed, "mpc", proposal(fed))
    joined, node = hub_pb2.ListDocumentsResponse(), fed.nodes["codi"]
    for page in members_documents.document_pages(fed.hub.db):
        joined.MergeFrom(page)
    node_agreeing.accept_listing(node, joined)
    with node.db.read() as tx:
        assert node_store.documents.version_in_force(tx, DOCUMENT_KIND_MOVE) == MOVES
    assert len(inbox.inbox(node)) == 1


def large_policy(fed: Federation, number: int) -> Envelope:
    """As many categories as there may be."""
    body = Policy.FromString(proposal(fed).payload)
    first = body.categories[0]
    del body.categories[:]
    for index in range(documents.CATEGORIES_MAX):
        body.categories.add().CopyFrom(first)
        body.categories[-1].code = f"large.{number:02}-{index:03}"
        body.categories[-1].title_th = "ก" * 100
    return fed.nodes["mpc"].world.sign(body)


class Newborn:
    """A node that has joined and believes nothing yet."""

    def __init__(self, fed: Federation) -> None:
        from samprasan.edge import database
        from samprasan.node import home as node_homes

        mpc = fed.nodes["mpc"]
        self.node = Node(federation.empty_database(""), mpc.world, mpc.identity, mpc.tls_ca)
        database.migrate(self.node.db, node_homes.MIGRATIONS)
        (self.roster_1, *_rest) = members_documents.list_documents(fed.hub.db).active

    def take(self, **listing: list[Envelope]) -> None:
        node_agreeing.accept_listing(self.node, hub_pb2.ListDocumentsResponse(**listing))

    def approve(self, spoken: str) -> Envelope:
        unsigned = Envelope(payload_type=self.roster_1.payload_type, payload=self.roster_1.payload)
        self.take(proposed=[unsigned])
        (waiting,) = inbox.inbox(self.node)
        return inbox.approve(self.node, waiting, spoken)


def test_roster_1_is_approved_with_the_digest_that_was_spoken_and_no_other(fed: Federation) -> None:
    newborn = Newborn(fed)
    digest = signing.digest(newborn.roster_1).hex()
    with pytest.raises(Refused) as unspoken:
        newborn.approve("")
    assert unspoken.value.code == "digest_needed"
    with pytest.raises(Unproven) as wrong:
        newborn.approve(digest[:-1] + ("0" if digest[-1] != "0" else "1"))
    assert wrong.value.code == "digest_differs"
    assert len(newborn.approve(digest.upper()).signatures) == 1


def test_roster_1_needs_every_agency_it_names(fed: Federation) -> None:
    newborn = Newborn(fed)
    with pytest.raises(Unproven) as refused:
        newborn.take(active=[signed_by(fed, newborn.roster_1, "mpc", "nhco")])
    assert refused.value.code == "document_signatures"
    newborn.take(active=[newborn.roster_1])
    with newborn.node.db.read() as tx:
        assert node_store.documents.agreed_on(tx).federation_id == documents.federation_id(newborn.roster_1)


def test_roster_1_with_a_key_that_somebody_dealt_is_not_read(fed: Federation) -> None:
    newborn = Newborn(fed)
    roster = Roster.FromString(newborn.roster_1.payload)
    with fed.nodes["mpc"].db.read() as tx:
        roster.linking.CopyFrom(node_store.documents.agreed_on(tx).required_roster.linking)
    with pytest.raises(Malformed) as refused:
        newborn.take(active=[signed_by(fed, signing.seal(roster), *fed.nodes)])
    assert (refused.value.code, refused.value.values["problem"]) == ("document_form", "linking")


@pytest.mark.parametrize("lie", ["key", "hub"])
def test_a_roster_that_lies_about_this_node_or_its_hub_is_not_believed(fed: Federation, lie: str) -> None:
    newborn = Newborn(fed)
    roster = Roster.FromString(newborn.roster_1.payload)
    if lie == "key":
        index = next(i for i, member in enumerate(roster.members) if member.agency == "mpc")
        roster.members[index].signing_key = b"\x07" * 32
    else:
        roster.hub.tls_ca = b"another hub"
    newborn.roster_1 = signing.seal(roster)
    with pytest.raises(SamprasanError) as refused:
        newborn.approve(signing.digest(newborn.roster_1).hex())
    assert refused.value.code == "roster_not_ours"
