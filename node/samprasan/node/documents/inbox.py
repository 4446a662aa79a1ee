"""The inbox of joint documents: what waits for this agency, and its approval."""

from dataclasses import dataclass

from samprasan.keys import documents, signing
from samprasan.keys.documents import Body, Standing
from samprasan.keys.errors import Refused, Unproven
from samprasan.node import store
from samprasan.node.documents.accepted import check_roster_is_ours
from samprasan.node.identity import Node
from samprasan.node.recovery import cut
from samprasan.v1.documents_pb2 import Cut, Roster
from samprasan.v1.envelope_pb2 import Envelope


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


def inbox(node: Node) -> list[Waiting]:
    """What waits, with who signed it so far."""
    with node.db.read() as tx:
        current = store.documents.agreed_on(tx).roster
        found = [Envelope.FromString(data) for data in store.documents.proposed(tx)]
    waiting = []
    for envelope in found:
        body = documents.read(envelope)
        waiting.append(Waiting(documents.check_signatures(envelope, body, current, node.world.verify), body, envelope))
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
        check_roster_is_ours(waiting.body, node)
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
