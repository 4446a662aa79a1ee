"""What this agency lays before the others, signed: a policy, a grant, a cut, a ceremony; and its own catalogue."""

from samprasan.keys import documents, signing
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Refused
from samprasan.ledger import benefits, policy
from samprasan.node import limits, store
from samprasan.node.documents.inbox import Waiting
from samprasan.node.identity import Node
from samprasan.node.linking import shares
from samprasan.node.recovery import cut
from samprasan.v1.documents_pb2 import Grant, LinkingPlan, Roster
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DOCUMENT_KIND_CATALOGUE, DOCUMENT_KIND_GRANT, DOCUMENT_KIND_POLICY

REFRESH, REPAIR, ROTATE = "refresh", "repair", "rotate"


def propose_policy(node: Node, text: str) -> Envelope:
    """A policy file as a signed proposal.  Raises Malformed, naming the key; Refused ``document_version``."""
    now = node.world.now()
    with node.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
        expected = store.documents.version_in_force(tx, DOCUMENT_KIND_POLICY) + 1
    if agreed.roster is None:
        raise Refused("no_roster")
    document = policy.from_toml(text, agreed.federation_id, now, now + limits.DOCUMENT_LIFETIME_MS)
    if document.version != expected:
        raise Refused("document_version", kind="policy", version=document.version, expected=expected)
    return node.world.sign(document)


def propose_grant(node: Node, elements: int, days: int) -> Envelope:
    """A grant for this agency as a signed proposal: ``elements`` ids more than its allowance, within ``days`` days.

    Raises Refused ``no_roster``, Malformed ``document_form``.
    """
    now = node.world.now()
    with node.db.read() as tx:
        federation_id = store.documents.agreed_on(tx).federation_id
        version = store.documents.version_in_force(tx, DOCUMENT_KIND_GRANT) + 1
    if not federation_id:
        raise Refused("no_roster")
    grant = Grant(
        federation_id=federation_id,
        version=version,
        created_at=now,
        expires_at=now + limits.DOCUMENT_LIFETIME_MS,
        agency=node.identity.agency,
        elements=max(0, min(elements, documents.GRANT_ELEMENTS_MAX + 1)),
        valid_until=now + max(0, min(days, documents.GRANT_DAYS_MAX + 1)) * DAY_MS,
    )
    envelope = node.world.sign(grant)
    documents.read(envelope)
    return envelope


def compose_cut(node: Node, rest: bytes) -> Waiting:
    """The document, which nobody has signed yet, that goes on with what is left of the log; to be shown first.

    Raises as :func:`samprasan.node.recovery.cut.compose_cut`.
    """
    with node.db.read() as tx:
        body = cut.compose_cut(tx, node.world, rest)
        roster = store.documents.agreed_on(tx).roster
    envelope = signing.seal(body)
    return Waiting(documents.check_signatures(envelope, body, roster, node.world.verify), body, envelope, {})


def publish(node: Node, text: str) -> Envelope:
    """What this agency offers, as its file says it, signed.  Refused ``no_roster``; Malformed, naming the key."""
    now = node.world.now()
    with node.db.read() as tx:
        federation_id = store.documents.agreed_on(tx).federation_id
        version = store.documents.version_in_force(tx, DOCUMENT_KIND_CATALOGUE, node.identity.agency) + 1
    if not federation_id:
        raise Refused("no_roster")
    expires_at = now + limits.DOCUMENT_LIFETIME_MS
    envelope = node.world.sign(benefits.from_toml(text, node.identity.agency, federation_id, version, now, expires_at))
    documents.read(envelope)
    return envelope


def propose_ceremony(node: Node, purpose: str) -> Envelope:
    """The next roster with a plan for a ceremony, signed.

    To ``refresh`` the shares, to ``repair`` this node's, or to ``rotate`` the key.  Raises Refused ``no_linking_key``
    while there is no key yet, ``rotation_runs`` while the last rotation is not at its end.
    """
    now = node.world.now()
    with node.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
        proposal = Roster()
        proposal.CopyFrom(agreed.required_roster)
        has_next = proposal.HasField("next") and shares.share_held(tx, node.identity, proposal.next) is not None
    if not proposal.HasField("linking"):
        raise Refused("no_linking_key")
    if purpose == ROTATE and proposal.HasField("next"):
        raise Refused("rotation_runs")
    holders = sorted(entry.agency for entry in proposal.linking.commitments)
    proposal.federation_id = agreed.federation_id
    proposal.version += 1
    proposal.created_at, proposal.expires_at = now, now + limits.DOCUMENT_LIFETIME_MS
    lost_next = purpose == REPAIR and proposal.HasField("next") and not has_next
    key = proposal.next if lost_next else proposal.linking
    proposal.plan.CopyFrom(
        LinkingPlan(
            key_epoch=key.key_epoch + (purpose == ROTATE),
            share_version=1 if purpose == ROTATE else key.share_version + 1,
            dealers=[each for each in holders if purpose != REPAIR or each != node.identity.agency],
        )
    )
    return node.world.sign(proposal)
