"""Letters between nodes: a signed message, sealed so that only its reader opens it and the hub learns a length.

With it goes the newest checkpoint of the hub's log that the sender knows, under a signature over both: else a hub that
had the message from somebody could put another checkpoint beside it.
"""

from dataclasses import dataclass

from samprasan.keys import rosters, sealing, signing
from samprasan.keys.errors import Malformed
from samprasan.node import store
from samprasan.node.identity import Node
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope, Parcel


@dataclass(frozen=True, slots=True)
class Letter:
    """A signed message for the agency ``to``; ``at_no_charge`` if it could have as many of them as it likes."""

    to: str
    envelope: Envelope
    at_no_charge: bool = False


def seal(node: Node, letter: Letter) -> bytes:
    """The letter as the hub carries it."""
    with node.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
        parcel = Parcel(
            federation_id=agreed.federation_id,
            reader=letter.to,
            letter=letter.envelope,
            checkpoint=store.log_views.newest(tx),
        )
    reader = rosters.member(agreed.required_roster, letter.to)
    context = context_of(agreed.federation_id, node.identity.agency, letter.to)
    return sealing.seal_for(reader.sealing_key, node.world.sign(parcel).SerializeToString(), context)


def unseal(node: Node, mail: hub_pb2.Mail) -> Parcel:
    """What is in a piece of mail, if its sender has signed all of it for this node.

    Raises Unproven ``mail_unopenable`` or ``signature``, Malformed ``not_canonical`` or ``mail_unreadable``.
    """
    with node.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
    context = context_of(agreed.federation_id, mail.sender, node.identity.agency)
    envelope = signing.read_envelope(node.identity.open_mail(mail.sealed, context))
    sender = rosters.member(agreed.required_roster, mail.sender)
    parcel = node.world.open(envelope, Parcel, sender.signing_key)
    if (parcel.federation_id, parcel.reader) != (agreed.federation_id, node.identity.agency):
        raise Malformed("mail_unreadable", agency=mail.sender)
    return parcel


def context_of(federation_id: bytes, sender: str, reader: str) -> bytes:
    """What a sealed letter is bound to (HPKE's ``info``, RFC 9180, 5.1): no other reader, no other sender."""
    return b"samprasan/v1/mail/" + federation_id + f"/{sender}/{reader}".encode()
