"""Joint documents at a node: believe what enough agencies signed, show what waits, approve, propose.

The node checks every signature itself; the hub only carries.  Roster 1 is believed if it names this node's own key and
the hub that the invite pinned, and it is approved only with the digest that the agencies read to each other.
"""

from collections.abc import Iterable, Mapping

from samprasan.edge.database import Database, Tx, take_turn
from samprasan.keys import dissents, documents, rosters, sealing, signing
from samprasan.keys.documents import Body
from samprasan.keys.errors import SamprasanError, Unproven
from samprasan.ledger import benefits, policy
from samprasan.ledger.agreement import Agreed
from samprasan.node import store
from samprasan.node.deeds import moves
from samprasan.node.identity import Node
from samprasan.node.recovery import cut
from samprasan.v1 import hub_pb2
from samprasan.v1.documents_pb2 import Catalogue, Cut, Grant, Move, Policy, Roster
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DOCUMENT_KIND_ROSTER


def is_in_force(db: Database, digest: bytes) -> bool:
    """Whether the document with that digest counts now."""
    with db.read() as tx:
        return digest in store.documents.agreed_on(tx).digests


def accept_listing(node: Node, listing: hub_pb2.ListDocumentsResponse) -> None:
    """Believe what the hub says is in force, if the signatures hold, and renew the inbox.

    Raises Unproven if a document that is said to be in force does not hold: the operator must look.
    """
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: documents")
        agreed, is_early = store.documents.agreed_on(tx), False
        for envelope in listing.active:
            if signing.digest(envelope) in agreed.digests:
                continue
            is_early = is_early or _is_early(tx, envelope, agreed.roster)
            if not is_early or envelope.payload_type == signing.payload_type(Cut):
                _activate(tx, node, envelope, agreed)  # the others are judged by the roster that is early
                if envelope.payload_type != signing.payload_type(Move):  # of which there are many, and none changes it
                    agreed = store.documents.agreed_on(tx)
        store.documents.clear_proposed(tx)
        store.dissents.forget_all(tx)
        agreed = store.documents.agreed_on(tx)
        waiting: dict[bytes, tuple[int, int]] = {}
        for envelope in listing.proposed:
            try:
                body = documents.read(envelope)
                documents.check_texts(body)
                _check_content(body)
                _check_federation(body, agreed.federation_id)
                found = documents.check_signatures(envelope, body, agreed.roster, node.world.verify)
            except SamprasanError:
                continue  # not for any inbox; the hub will not get it into force either
            in_force = store.documents.version_in_force(tx, found.kind, found.series)
            is_next = found.version == in_force + 1  # else it would be compared with what it does not follow
            if is_next and not store.dissents.is_over(tx, found.digest):
                store.documents.save(tx, found, envelope.SerializeToString(), active=False)
                waiting[found.digest] = (found.kind, found.version)
        _note_dissents(tx, node, listing.dissents, waiting)


def _note_dissents(tx: Tx, node: Node, envelopes: Iterable[Envelope], waiting: Mapping[bytes, tuple[int, int]]) -> None:
    """Keep what was said against proposals that wait (digest → kind and version); what nobody signed is left."""
    agreed = store.documents.agreed_on(tx)
    for envelope in envelopes:
        try:
            said = dissents.check(envelope, agreed.federation_id, agreed.signing_keys, node.world.verify)
        except SamprasanError:
            continue
        is_new = said.agency not in store.dissents.reasons_against(tx, said.digest)
        if is_new and waiting.get(said.digest) == (said.document, said.version):
            store.dissents.note(tx, said.digest, said.agency, dissents.reason_of(said))


def lost_by_hub(node: Node, listing: hub_pb2.ListDocumentsResponse) -> list[Envelope]:
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


def lacks_roster(db: Database) -> bool:
    """Whether the log, as far as it is kept here, puts a roster into force that is not in force here yet."""
    with db.read() as tx:
        newest = store.documents.newest_activated(tx, DOCUMENT_KIND_ROSTER)
        return newest > store.documents.version_in_force(tx, DOCUMENT_KIND_ROSTER)


def _is_early(tx: Tx, envelope: Envelope, current: Roster | None) -> bool:
    """Whether it ends a rotation, and the log kept here does not say yet that it took effect, and when.

    This node forgets the old key with it, and could not take that back if the hub lost the newest of its log.
    """
    if envelope.payload_type != signing.payload_type(Roster):
        return False
    body = documents.read(envelope)
    if not isinstance(body, Roster) or current is None or body.version <= current.version:
        return False
    return _ends_rotation(body, current) and store.documents.activation(tx, signing.digest(envelope)) is None


def _ends_rotation(body: Roster, current: Roster) -> bool:
    return current.HasField("next") and body.linking == current.next


def _activate(tx: Tx, node: Node, envelope: Envelope, agreed: Agreed) -> None:
    body = documents.read(envelope)
    kind = documents.kind_of(body)
    in_force = store.documents.version_in_force(tx, kind, documents.series_of(body))
    if body.version < in_force and documents.series_of(body):
        return  # a listing that was on its way when a later one was taken
    if body.version <= in_force:
        raise Unproven("document_replaced", kind=documents.kind_name(kind), version=body.version)
    documents.believe(envelope, agreed.roster, node.world.verify)
    _check_log(tx, envelope, body, agreed.roster)
    if isinstance(body, Roster):
        check_roster_is_ours(body, node)
    elif body.version != in_force + 1 and not documents.series_of(body):
        raise Unproven("document_skipped", kind=documents.kind_name(kind), version=body.version)
    _check_content(body)
    _check_federation(body, agreed.federation_id)
    found = documents.check_signatures(envelope, body, agreed.roster, node.world.verify)
    _follow(tx, node, body, found.digest, agreed.roster)
    store.documents.save(tx, found, envelope.SerializeToString(), active=True)


def _check_log(tx: Tx, envelope: Envelope, body: Body, roster: Roster | None) -> None:
    """That the log, as far as it is kept here, says nothing else of the document; else Unproven."""
    kind, digest = documents.kind_of(body), signing.digest(envelope)
    if store.dissents.is_over(tx, digest):
        raise Unproven("document_revived", id=documents.short_id(digest))
    if documents.counts_alone(kind) and store.documents.is_another(tx, kind, body.version, digest):
        raise Unproven("document_replaced", kind=documents.kind_name(kind), version=body.version)
    said = store.documents.activation(tx, digest)
    if said is not None and (said.kind, said.version) != (kind, body.version):
        raise Unproven("document_replaced", kind=documents.kind_name(kind), version=body.version)
    if said is not None and not documents.is_in_time(body, roster, said.appended_at):
        raise Unproven("document_late", kind=documents.kind_name(kind), version=body.version)


def _follow(tx: Tx, node: Node, body: Body, digest: bytes, current: Roster | None) -> None:
    """Do what a document that comes into force brings with it here."""
    if isinstance(body, Grant) and body.agency == node.identity.agency:
        store.questions.ask_again(tx)  # peers that had enough of this node's questions
    if isinstance(body, Move) and body.agency == node.identity.agency:
        moves.carry_out_approved(tx, node.world, digest)
    if isinstance(body, Cut):
        cut.carry_out(tx, node, body)
    if isinstance(body, Roster) and current and _ends_rotation(body, current):
        _end_rotation(tx, body)


def _check_federation(body: Body, federation_id: bytes) -> None:
    if body.federation_id != federation_id:
        raise Unproven("federation", kind=documents.kind_name(documents.kind_of(body)))


def _check_content(body: Body) -> None:
    if isinstance(body, Policy):
        policy.from_document(body)
    elif isinstance(body, Catalogue):
        benefits.from_document(body)


def _end_rotation(tx: Tx, body: Roster) -> None:
    """``body`` names the next key alone."""
    store.awards.lock(tx)
    store.subjects.drop_other_keys(tx, body.linking.key_epoch)
    store.subjects.remove(tx, store.subjects.erased(tx))
    store.rotation.end_rotation(tx)


def check_roster_is_ours(body: Roster, node: Node) -> None:
    """Unproven ``roster_not_ours`` if the roster names other keys for this node, or another hub than the invite."""
    own = rosters.member(body, node.identity.agency)
    keys = (node.world.signer.public_key, sealing.sealing_public_key(node.identity.mail_key))
    if (own.signing_key, own.sealing_key) != keys or body.hub.tls_ca != node.tls_ca:
        raise Unproven("roster_not_ours")
