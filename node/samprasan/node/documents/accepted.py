"""Joint documents at a node: believe what enough agencies signed, show what waits, approve, propose.

The node checks every signature itself; the hub only carries.  Roster 1 is believed if it names this node's own key and
the hub that the invite pinned, and it is approved only with the digest that the agencies read to each other.
"""

from dataclasses import dataclass

from samprasan.edge.database import Database, Tx, take_turn
from samprasan.edge.world import World
from samprasan.keys import documents, signing
from samprasan.keys.documents import Body, Standing
from samprasan.keys.errors import Refused, SamprasanError, Unproven
from samprasan.ledger import benefits, policy
from samprasan.node import limits, store
from samprasan.node.deeds import moves
from samprasan.node.identity import Identity, Node
from samprasan.node.linking import shares
from samprasan.node.recovery import cut
from samprasan.v1 import hub_pb2
from samprasan.v1.documents_pb2 import Catalogue, Cut, Grant, LinkingPlan, Move, Policy, Roster
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DOCUMENT_KIND_CATALOGUE, DOCUMENT_KIND_GRANT, DOCUMENT_KIND_POLICY

REFRESH, REPAIR, ROTATE = "refresh", "repair", "rotate"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A document in the inbox."""

    standing: Standing
    body: Body
    envelope: Envelope

    @property
    def short_id(self) -> str:
        """What ``approvals show`` and ``approve`` take."""
        return short_id(self.standing.digest)


def short_id(digest: bytes) -> str:
    """A document as people name it: the first 12 hexadecimal digits of its digest."""
    return digest.hex()[:12]


def is_in_force(db: Database, digest: bytes) -> bool:
    """Whether the document with that digest counts now."""
    with db.read() as tx:
        return digest in store.documents.agreed_on(tx).digests


def take(node: Node, listing: hub_pb2.ListDocumentsResponse) -> None:
    """Believe what the hub says is in force, if the signatures hold, and renew the inbox.

    Raises Unproven if a document that is said to be in force does not hold: the operator must look.
    """
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: documents")
        for envelope in listing.active:
            _activate(tx, node, envelope)
        store.documents.clear_proposed(tx)
        current = store.documents.agreed_on(tx).roster
        for envelope in listing.proposed:
            try:
                found = documents.standing(envelope, documents.read(envelope), current, node.world.verify)
            except SamprasanError:
                continue  # not for any inbox; the hub will not get it into force either
            store.documents.put(tx, found, envelope.SerializeToString(), active=False)


def unknown_to(node: Node, listing: hub_pb2.ListDocumentsResponse) -> list[Envelope]:
    """Documents that are in force here by this agency's signature and that the hub has lost, oldest first."""
    newest: dict[tuple[int, str], int] = {}
    for envelope in listing.active:
        body = documents.read(envelope)
        newest[documents.kind_of(body), documents.series_of(body)] = body.version
    with node.db.read() as tx:
        mine = [Envelope.FromString(data) for data in store.documents.active(tx)]
    own_id = signing.key_id(node.world.signer.public_key)
    found = []
    for envelope in mine:
        body = documents.read(envelope)
        is_signed = any(each.key_id == own_id for each in envelope.signatures)
        is_lost = body.version > newest.get((documents.kind_of(body), documents.series_of(body)), 0)
        if is_signed and is_lost and documents.owner_of(body) in {"", node.identity.agency}:
            found.append(envelope)
    return found


def has_roster(db: Database) -> bool:
    """Whether roster 1 is in force here."""
    with db.read() as tx:
        return store.documents.agreed_on(tx).roster is not None


def inbox(node: Node) -> list[Waiting]:
    """What waits, with who signed it so far."""
    with node.db.read() as tx:
        current = store.documents.agreed_on(tx).roster
        found = [Envelope.FromString(data) for data in store.documents.proposed(tx)]
    waiting = []
    for envelope in found:
        body = documents.read(envelope)
        waiting.append(Waiting(documents.standing(envelope, body, current, node.world.verify), body, envelope))
    return waiting


def find(node: Node, short_id: str) -> Waiting:
    """The one document in the inbox whose digest starts so; Refused ``approval_unknown``."""
    found = [each for each in inbox(node) if each.standing.digest.hex().startswith(short_id.lower())]
    if len(found) != 1 or len(short_id) < 6:
        raise Refused("approval_unknown", id=short_id)
    return found[0]


def approve(node: Node, short_id: str, spoken_digest: str) -> Envelope:
    """The document with this agency's signature added, to be submitted.

    ``spoken_digest`` is what the agencies read to each other; roster 1 needs it (Refused ``digest_needed``), and a
    wrong one is Unproven ``digest_differs`` for any document.
    """
    waiting = find(node, short_id)
    spoken = "".join(spoken_digest.split()).replace(":", "").lower()
    if isinstance(waiting.body, Roster):
        _check_roster_is_ours(waiting.body, node.world, node.identity, node.tls_ca)
        with node.db.read() as tx:
            if node.identity.agency in documents.confirming(waiting.body, store.documents.agreed_on(tx).roster):
                raise Refused("confirmed_by_ceremony")
        if waiting.body.version == 1 and not spoken:
            raise Refused("digest_needed")
    if isinstance(waiting.body, Cut):
        with node.db.read() as tx:
            cut.check(tx, node.world, waiting.body)
    if spoken and spoken != waiting.standing.digest.hex():
        raise Unproven("digest_differs")
    if node.identity.agency in waiting.standing.signed:
        return waiting.envelope
    signed = Envelope(payload_type=waiting.envelope.payload_type, payload=waiting.envelope.payload)
    signing.add_signature(signed, node.world.signer)
    return signed


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
        valid_until=now + max(0, min(days, documents.GRANT_DAYS_MAX + 1)) * 86_400_000,
    )
    envelope = node.world.sign(grant)
    documents.read(envelope)
    return envelope


def propose_cut(node: Node, rest: bytes) -> Envelope:
    """As a signed proposal: to go on with what is left of the log.  Raises as :func:`cutting.proposal`."""
    with node.db.read() as tx:
        return node.world.sign(cut.proposal(tx, node.world, rest))


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
        has_next = proposal.HasField("next") and shares.held(tx, node.identity, proposal.next) is not None
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


def _activate(tx: Tx, node: Node, envelope: Envelope) -> None:
    body = documents.read(envelope)
    kind = documents.kind_of(body)
    agreed = store.documents.agreed_on(tx)
    in_force = store.documents.version_in_force(tx, kind, documents.series_of(body))
    if body.version < in_force and documents.series_of(body):
        return  # a listing that was on its way when a later one was taken
    if body.version <= in_force:
        if signing.digest(envelope) not in agreed.digests:
            raise Unproven("document_replaced", kind=documents.kind_name(kind), version=body.version)
        return
    documents.believe(envelope, agreed.roster, node.world.verify)
    if isinstance(body, Roster):
        _check_roster_is_ours(body, node.world, node.identity, node.tls_ca)
    elif body.version != in_force + 1 and not documents.series_of(body):
        raise Unproven("document_skipped", kind=documents.kind_name(kind), version=body.version)
    _check_content(body)
    if body.federation_id != agreed.federation_id:
        raise Unproven("federation", kind=documents.kind_name(kind))
    found = documents.standing(envelope, body, agreed.roster, node.world.verify)
    _follow(tx, node, body, found.digest)
    store.documents.put(tx, found, envelope.SerializeToString(), active=True)


def _follow(tx: Tx, node: Node, body: Body, digest: bytes) -> None:
    """Do what a document that comes into force brings with it here."""
    current = store.documents.agreed_on(tx).roster
    if isinstance(body, Grant) and body.agency == node.identity.agency:
        store.questions.ask_again(tx)  # peers that had enough of this node's questions
    if isinstance(body, Move) and body.agency == node.identity.agency:
        moves.approved(tx, node.world, digest)
    if isinstance(body, Cut):
        cut.carry_out(tx, node.world, body)
    if isinstance(body, Roster) and current and body.linking.key_epoch != current.linking.key_epoch:
        _end_rotation(tx, body)


def _check_content(body: Body) -> None:
    if isinstance(body, Policy):
        policy.from_document(body)
    elif isinstance(body, Catalogue):
        benefits.from_document(body)


def _end_rotation(tx: Tx, body: Roster) -> None:
    store.awards.lock(tx)
    store.subjects.drop_other_keys(tx, body.linking.key_epoch)
    store.subjects.remove(tx, store.subjects.erased(tx))
    store.rotation.over(tx)


def _check_roster_is_ours(body: Roster, world: World, identity: Identity, tls_ca: bytes) -> None:
    own = documents.member(body, identity.agency)
    if own.signing_key != world.signer.public_key or body.hub.tls_ca != tls_ca:
        raise Unproven("roster_not_ours")
