"""Mail from other nodes: which step deals with which letter."""

from samprasan.keys import signing
from samprasan.keys.errors import Malformed
from samprasan.node.identity import Node
from samprasan.node.linking import ceremony, evaluation, letters, questions
from samprasan.node.linking.letters import Letter
from samprasan.node.proof import witness
from samprasan.v1 import hub_pb2, linking_pb2
from samprasan.v1.ceremony_pb2 import Complaint, DealerCommitment, DealerValue

_CEREMONY = {signing.payload_type(each) for each in (Complaint, DealerCommitment, DealerValue)}


def read(node: Node, mail: hub_pb2.Mail) -> Letter | None:
    """Deal with a piece of mail; the letter that answers it, if any.

    Raises Malformed or Unproven for mail that does not hold: it is dropped, and the operator told.
    """
    parcel = letters.unseal(node, mail)
    if parcel.checkpoint:
        witness.heard(node, mail.sender, parcel.checkpoint)
    envelope = parcel.letter
    if envelope.payload_type == signing.payload_type(linking_pb2.EvalRequest):
        return evaluation.answer(node, mail.sender, envelope)
    if envelope.payload_type == signing.payload_type(linking_pb2.EvalResponse):
        questions.answered(node, mail.sender, envelope)
        return None
    if envelope.payload_type == signing.payload_type(linking_pb2.EvalRefusal):
        refusal = questions.refused(node, mail.sender, envelope)
        names = {number: name for name, number in linking_pb2.EvalRefusalReason.items()}
        reason = names.get(refusal.reason, "unknown").removeprefix("EVAL_REFUSAL_REASON_").lower()
        raise Malformed("peer_refused", agency=refusal.evaluator, reason=reason)
    if envelope.payload_type in _CEREMONY:
        ceremony.take(node, mail.sender, envelope)
        return None
    raise Malformed("mail_unreadable", agency=mail.sender)
