"""Mail between nodes: a signed message, sealed so that only its reader opens it and the hub learns a length."""

from samprasan.edge.database import Store
from samprasan.edge.world import World
from samprasan.keys import documents, sealing, signing
from samprasan.keys.errors import Malformed, SamprasanError
from samprasan.node import evaluating, linking, roster
from samprasan.node.identity import Identity
from samprasan.node.linking import Letter
from samprasan.v1 import hub_pb2, linking_pb2
from samprasan.v1.envelope_pb2 import Envelope


def seal(store: Store, identity: Identity, letter: Letter) -> bytes:
    """The letter as the hub carries it."""
    with store.read() as tx:
        current = roster.required(tx)
        context = _context(roster.federation_id(tx), identity.agency, letter.to)
    return sealing.seal_for(
        documents.member(current, letter.to).sealing_key, letter.envelope.SerializeToString(), context
    )


def read(store: Store, world: World, identity: Identity, mail: hub_pb2.Mail) -> Letter | None:
    """Deal with a piece of mail; the letter that answers it, if any.

    Raises Malformed or Unproven for mail that does not hold: it is dropped, and the operator told.
    """
    with store.read() as tx:
        context = _context(roster.federation_id(tx), mail.sender, identity.agency)
    try:
        envelope = Envelope.FromString(identity.open_mail(mail.sealed, context))
    except ValueError as problem:
        raise Malformed("mail_unreadable", agency=mail.sender) from problem
    if envelope.payload_type == signing.payload_type(linking_pb2.EvalRequest):
        return evaluating.answer(store, world, identity, mail.sender, envelope)
    if envelope.payload_type == signing.payload_type(linking_pb2.EvalResponse):
        linking.answered(store, world, identity, mail.sender, envelope)
        return None
    if envelope.payload_type == signing.payload_type(linking_pb2.EvalRefusal):
        refusal = linking.refused(store, world, mail.sender, envelope)
        raise refusal_error(refusal)
    raise Malformed("mail_unreadable", agency=mail.sender)


def refusal_error(refusal: linking_pb2.EvalRefusal) -> SamprasanError:
    """A peer's refusal as an error to log: an exhausted quota waits, everything else needs somebody."""
    name = linking_pb2.EvalRefusalReason.Name(refusal.reason).removeprefix("EVAL_REFUSAL_REASON_").lower()
    return Malformed("peer_refused", agency=refusal.evaluator, reason=name)


def _context(federation_id: bytes, sender: str, reader: str) -> bytes:
    return b"samprasan/v1/mail/" + federation_id + f"/{sender}/{reader}".encode()
