"""Mail from other nodes: which step deals with which letter, and the task that reads this node's box."""

import time

from samprasan.edge.logs import get_logger
from samprasan.edge.throttle import Allowance
from samprasan.keys import signing
from samprasan.keys.errors import Malformed, SamprasanError, Unavailable
from samprasan.node import limits
from samprasan.node.documents import accepted
from samprasan.node.identity import Node
from samprasan.node.linking import ceremony, evaluation, letters, questions
from samprasan.node.linking.letters import Letter
from samprasan.node.proof import witness
from samprasan.node.session import documents
from samprasan.node.session.session import Session
from samprasan.v1 import hub_pb2, linking_pb2
from samprasan.v1.ceremony_pb2 import Complaint, DealerCommitment, DealerValue

logger = get_logger("node")
_CEREMONY = {signing.payload_type(each) for each in (Complaint, DealerCommitment, DealerValue)}


def read_letter(node: Node, mail: hub_pb2.Mail) -> Letter | None:
    """Deal with a piece of mail; the letter that answers it, if any.

    Raises Malformed or Unproven for mail that does not hold: it is dropped, and the operator told.
    """
    parcel = letters.unseal(node, mail)
    if parcel.checkpoint:
        witness.note_heard(node, mail.sender, parcel.checkpoint)
    envelope = parcel.letter
    if envelope.payload_type == signing.payload_type(linking_pb2.EvalRequest):
        return evaluation.answer_question(node, mail.sender, envelope)
    if envelope.payload_type == signing.payload_type(linking_pb2.EvalResponse):
        questions.accept_answer(node, mail.sender, envelope)
        return None
    if envelope.payload_type == signing.payload_type(linking_pb2.EvalRefusal):
        refusal = questions.accept_refusal(node, mail.sender, envelope)
        names = {number: name for name, number in linking_pb2.EvalRefusalReason.items()}
        reason = names.get(refusal.reason, "unknown").removeprefix("EVAL_REFUSAL_REASON_").lower()
        raise Malformed("peer_refused", agency=refusal.evaluator, reason=reason)
    if envelope.payload_type in _CEREMONY:
        ceremony.accept_message(node, mail.sender, envelope)
        return None
    raise Malformed("mail_unreadable", agency=mail.sender)


async def run(session: Session) -> None:
    """Read the box, and fetch documents when they change, for ever."""
    async for news in session.hub.receive_mail(after=0):
        if news.HasField("documents_changed"):
            await documents.fetch_documents(session)
        else:
            await _deal_with(session, news.mail)
        session.live.wake_all()
    raise Unavailable("hub_unreachable", status="stream ended")


async def post_letter(session: Session, letter: Letter) -> bool:
    """Whether the letter is in its reader's box; one that it does not go into now is tried again later."""
    sealed = await session.step(letters.seal, session.node, letter)
    try:
        await session.hub.post_mail(letter.to, sealed)
    except Unavailable as problem:
        if problem.code not in {"mailbox_full", "calls_over_limit"}:
            raise
        logger.warning("letter not posted", reader=letter.to, code=problem.code)
        return False
    return True


def _may_be_answered(session: Session, agency: str) -> bool:
    """Whether an agency that is charged nothing for it gets another answer now."""
    most = Allowance(limits.FREE_ANSWERS_AT_ONCE, limits.FREE_ANSWERS_PER_SECOND)
    return session.free_answers.setdefault(agency, most).admit(time.monotonic())


async def _deal_with(session: Session, piece: hub_pb2.Mail) -> None:
    node = session.node
    letter = None
    try:
        if not await session.step(accepted.has_roster, node.db):
            await documents.fetch_documents(session)  # mail may come before the word that roster 1 is in force
        letter = await session.step(read_letter, node, piece)
    except Unavailable:
        raise
    except SamprasanError as problem:
        if problem.code in witness.LIES:
            raise
        logger.warning("mail dropped", sender=piece.sender, code=problem.code)
    except Exception:  # one bad letter must not come back for ever and stop everything else
        logger.error("mail dropped", sender=piece.sender, code="failed", exc_info=True)
    if letter is not None and letter.at_no_charge and not _may_be_answered(session, letter.to):
        letter = None  # the question ends by itself; it would keep others' letters waiting
    if letter is not None and not await post_letter(session, letter):
        return  # not acknowledged: it comes again with the next session
    await session.hub.acknowledge_mail(piece.number)
