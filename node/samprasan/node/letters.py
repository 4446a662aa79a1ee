"""Letters between nodes: a signed message, sealed so that only its reader opens it and the hub learns a length."""

from dataclasses import dataclass

from samprasan.edge.database import Store
from samprasan.keys import documents, sealing, signing
from samprasan.node.identity import Identity
from samprasan.node.store import documents as documents_store
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope


@dataclass(frozen=True, slots=True)
class Letter:
    """A signed message for the agency ``to``."""

    to: str
    envelope: Envelope


def seal(store: Store, identity: Identity, letter: Letter) -> bytes:
    """The letter as the hub carries it."""
    with store.read() as tx:
        reader = documents.member(documents_store.agreed_on(tx).required_roster, letter.to)
        context = _context(documents_store.agreed_on(tx).federation_id, identity.agency, letter.to)
    return sealing.seal_for(reader.sealing_key, letter.envelope.SerializeToString(), context)


def unseal(store: Store, identity: Identity, mail: hub_pb2.Mail) -> Envelope:
    """The signed message in a piece of mail; Unproven ``mail_unopenable``, Malformed ``not_canonical``."""
    with store.read() as tx:
        context = _context(documents_store.agreed_on(tx).federation_id, mail.sender, identity.agency)
    return signing.read_envelope(identity.open_mail(mail.sealed, context))


def _context(federation_id: bytes, sender: str, reader: str) -> bytes:
    return b"samprasan/v1/mail/" + federation_id + f"/{sender}/{reader}".encode()
