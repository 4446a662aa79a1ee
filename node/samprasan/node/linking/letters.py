"""Letters between nodes: a signed message, sealed so that only its reader opens it and the hub learns a length.

With it goes the newest checkpoint of the hub's log that the sender knows.
"""

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from samprasan.keys import rosters, sealing
from samprasan.keys.errors import Malformed
from samprasan.node import store
from samprasan.node.identity import Node
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope, Parcel


@dataclass(frozen=True, slots=True)
class Letter:
    """A signed message for the agency ``to``."""

    to: str
    envelope: Envelope


def seal(node: Node, letter: Letter) -> bytes:
    """The letter as the hub carries it."""
    with node.db.read() as tx:
        reader = rosters.member(store.documents.agreed_on(tx).required_roster, letter.to)
        context = _context(store.documents.agreed_on(tx).federation_id, node.identity.agency, letter.to)
        parcel = Parcel(letter=letter.envelope, checkpoint=store.log_views.newest(tx))
    return sealing.seal_for(reader.sealing_key, parcel.SerializeToString(), context)


def unseal(node: Node, mail: hub_pb2.Mail) -> Parcel:
    """What is in a piece of mail; Unproven ``mail_unopenable``, Malformed ``not_canonical``."""
    with node.db.read() as tx:
        context = _context(store.documents.agreed_on(tx).federation_id, mail.sender, node.identity.agency)
    try:
        return Parcel.FromString(node.identity.open_mail(mail.sealed, context))
    except DecodeError as problem:
        raise Malformed("not_canonical", kind="Parcel") from problem


def _context(federation_id: bytes, sender: str, reader: str) -> bytes:
    return b"samprasan/v1/mail/" + federation_id + f"/{sender}/{reader}".encode()
