"""Evaluating for peers: the quota first, then every element, then one proof; and every request remembered.

What passes a day's allowance is charged to a grant, if the agencies agreed on one.  A request that comes again gets the
remembered answer at no charge.  What is kept names no id: the requester, a digest, a purpose and a count.
"""

from dataclasses import dataclass
from typing import Any

from samprasan.edge.database import Tx, take_turn
from samprasan.keys import pseudonym, ristretto, rosters, signing
from samprasan.keys.errors import Malformed
from samprasan.keys.sharing import Share
from samprasan.ledger import calendar
from samprasan.node import limits, store
from samprasan.node.identity import Identity, Node
from samprasan.node.linking import allowance, evaluation_totals, shares
from samprasan.node.linking.allowance import Room
from samprasan.node.linking.letters import Letter
from samprasan.v1 import linking_pb2
from samprasan.v1.envelope_pb2 import Envelope

_PURPOSES = (linking_pb2.EVAL_PURPOSE_AWARD, linking_pb2.EVAL_PURPOSE_BALANCE, linking_pb2.EVAL_PURPOSE_REKEY)


def answer_question(node: Node, sender: str, envelope: Envelope) -> Letter:
    """The signed answer or refusal to a peer's request, stored before it is sent.

    The request is charged before it is evaluated, and evaluated without keeping others from the database.
    Raises Unproven or Malformed for a request that ``sender`` did not sign for this node: it is dropped.
    """
    with node.db.read() as tx:
        public_key = rosters.member(store.documents.agreed_on(tx).required_roster, sender).signing_key
        request = node.world.open(envelope, linking_pb2.EvalRequest, public_key)
        _check_addressed(tx, node.identity, sender, request)
        share = _share(tx, node.identity, request)
    blinded = ristretto.elements(request.blinded)
    bad_index = next((index for index, element in enumerate(blinded) if not _readable(element)), None)
    asked = _Asked(request, signing.digest(envelope), blinded, bad_index)
    charged = _charge(node, asked, share)
    if isinstance(charged, Letter):
        return charged
    assert share is not None
    scalar = share.scalar
    evaluated = list(node.world.each(lambda element: pseudonym.evaluate(scalar, element), asked.blinded))
    nonce = pseudonym.random_scalar(node.world.random_bytes(64))
    response = node.world.sign(
        linking_pb2.EvalResponse(
            federation_id=request.federation_id,
            request_id=request.request_id,
            request_digest=asked.digest,
            evaluator=node.identity.agency,
            key_epoch=request.key_epoch,
            share_version=request.share_version,
            evaluated=b"".join(evaluated),
            proof=pseudonym.prove(scalar, nonce, asked.blinded, evaluated, each=node.world.each).encode(),
            quota_remaining=charged,
            total=_total(node, sender),
        )
    )
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: evaluate")
        first = store.questions.evaluation(tx, sender, request.request_id)
        if first is not None and first.answer:
            return Letter(sender, Envelope.FromString(first.answer))  # the same request was answered meanwhile
        store.questions.keep_answer(tx, sender, request.request_id, response.SerializeToString())
    return Letter(sender, response)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, its digest, its elements, and the index of the first that is none."""

    request: linking_pb2.EvalRequest
    digest: bytes
    blinded: list[bytes]
    bad_index: int | None


def _charge(node: Node, asked: _Asked, share: Share | None) -> Letter | int:
    """Charge the request, once; the remembered answer or a refusal, or else how many elements are left to ask for."""
    now = node.world.now()
    request, blinded = asked.request, asked.blinded

    def refusal(reason: linking_pb2.EvalRefusalReason.ValueType, **more: Any) -> Letter:
        return compose_refusal(node, request, asked.digest, reason, **more)

    with node.db.begin() as tx:
        take_turn(tx, "samprasan: evaluate")
        remembered = store.questions.evaluation(tx, request.requester, request.request_id)
        store.questions.forget_answers(tx, now)
        if remembered is not None and remembered.digest != asked.digest:
            return refusal(linking_pb2.EVAL_REFUSAL_REASON_REPLAY)
        if request.expires_at <= now:
            return refusal(linking_pb2.EVAL_REFUSAL_REASON_EXPIRED)
        if remembered is not None and remembered.answer:
            return Letter(request.requester, Envelope.FromString(remembered.answer), at_no_charge=True)
        evaluation_totals.hear_acknowledged(tx, node, request.requester, request.acknowledged)
        if share is None:
            return refusal(linking_pb2.EVAL_REFUSAL_REASON_EPOCH)
        room = allowance.room_left(tx, request.requester, now)
        if remembered is not None:
            return room.in_all  # it was charged, and the process died before it had answered
        if refused := _refused_for_good(tx, node, asked, room, now):
            return refused
        evaluation_totals.count_evaluated(tx, node, request.requester, len(blinded))
        granted = max(0, len(blinded) - room.today)
        _remember(
            tx,
            asked,
            now,
            elements=len(blinded),
            answer=b"",
            expires_at=request.expires_at,
            granted=granted,
            grant_version=room.grant_version if granted else 0,
        )
        return room.in_all - len(blinded)


def _refused_for_good(tx: Tx, node: Node, asked: _Asked, room: Room, now: int) -> Letter | None:
    """A refusal that the requester takes off what it asked for; so the question is refused again if it comes again."""
    request = asked.request
    if evaluation_totals.is_owing(tx, node, request.requester):
        owed = evaluation_totals.total_for(tx, node, request.requester)
        said: dict[str, Any] = {"reason": linking_pb2.EVAL_REFUSAL_REASON_UNACKNOWLEDGED, "total": owed}
    elif len(asked.blinded) > room.in_all:
        said = {"reason": linking_pb2.EVAL_REFUSAL_REASON_QUOTA, "retry_at": allowance.tomorrow(now)}
    elif asked.bad_index is not None:
        said = {"reason": linking_pb2.EVAL_REFUSAL_REASON_BAD_ELEMENT, "index": asked.bad_index}
    else:
        return None
    letter = compose_refusal(node, request, asked.digest, **said)
    until = min(request.expires_at, now + limits.REFUSAL_KEPT_MS)
    refused = letter.envelope.SerializeToString()
    _remember(tx, asked, now, elements=0, answer=refused, expires_at=until, granted=0, grant_version=0)
    return letter


def _remember(tx: Tx, asked: _Asked, now: int, **what_came_of_it: Any) -> None:
    store.questions.add_evaluation(
        tx,
        requester=asked.request.requester,
        request_id=asked.request.request_id,
        digest=asked.digest,
        purpose=asked.request.purpose,
        day=calendar.packed(calendar.day_of(now)),
        **what_came_of_it,
    )


def _total(node: Node, requester: str) -> Envelope:
    with node.db.read() as tx:
        return evaluation_totals.total_for(tx, node, requester)


def _check_addressed(tx: Tx, identity: Identity, sender: str, request: linking_pb2.EvalRequest) -> None:
    named = (request.requester, request.evaluator, request.federation_id)
    size = len(request.blinded)
    whole = size % ristretto.ELEMENT_BYTES == 0 and 0 < size // ristretto.ELEMENT_BYTES <= limits.ELEMENTS_ANSWERED_MAX
    if (
        named != (sender, identity.agency, store.documents.agreed_on(tx).federation_id)
        or len(request.request_id) != 16
        or request.purpose not in _PURPOSES
        or not whole
    ):
        raise Malformed("eval_request")


def _share(tx: Tx, identity: Identity, request: linking_pb2.EvalRequest) -> Share | None:
    """The share of the key and version that the request names, if that is in force and this node holds it."""
    wanted = (request.key_epoch, request.share_version)
    keys = rosters.linking_keys(store.documents.agreed_on(tx).required_roster)
    key = next((each for each in keys if (each.key_epoch, each.share_version) == wanted), None)
    return shares.share_held(tx, identity, key) if key else None


def _readable(element: bytes) -> bool:
    try:
        ristretto.decode_element(element)
    except Malformed:
        return False
    return True


def compose_refusal(
    node: Node,
    request: linking_pb2.EvalRequest,
    digest: bytes,
    reason: linking_pb2.EvalRefusalReason.ValueType,
    **more: Any,
) -> Letter:
    """A letter to who asked: this agency does not answer the question with that digest."""
    refusal = linking_pb2.EvalRefusal(
        federation_id=request.federation_id,
        request_id=request.request_id,
        request_digest=digest,
        evaluator=node.identity.agency,
        reason=reason,
        **more,
    )
    return Letter(request.requester, node.world.sign(refusal), at_no_charge=True)
