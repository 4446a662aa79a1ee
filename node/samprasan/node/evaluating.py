"""Evaluating for peers: the quota first, then every element, then one proof; and every request remembered.

What passes a day's allowance is charged to a grant, if the agencies agreed on one.  A request that comes again gets the
remembered answer at no charge.  What is kept names no id: the requester, a digest, a purpose and a count.
"""

from dataclasses import dataclass

from samprasan.edge.database import Store, Tx, take_turn
from samprasan.edge.world import World
from samprasan.keys import documents, pseudonym, ristretto, signing
from samprasan.keys.errors import Malformed
from samprasan.keys.sharing import Share
from samprasan.ledger import calendar, policy
from samprasan.node import limits, shares
from samprasan.node.identity import Identity
from samprasan.node.letters import Letter
from samprasan.node.store import documents as documents_store
from samprasan.node.store import linking as linking_store
from samprasan.v1 import linking_pb2
from samprasan.v1.envelope_pb2 import Envelope

_DAY_MS = 86_400_000
_PURPOSES = (linking_pb2.EVAL_PURPOSE_AWARD, linking_pb2.EVAL_PURPOSE_BALANCE)


def answer(store: Store, world: World, identity: Identity, sender: str, envelope: Envelope) -> Letter:
    """The signed answer or refusal to a peer's request, stored before it is sent.

    Raises Unproven or Malformed for a request that ``sender`` did not sign for this node: it is dropped.
    """
    now = world.now()
    with store.begin() as tx:
        take_turn(tx, "samprasan: evaluate")
        public_key = documents.member(documents_store.agreed_on(tx).required_roster, sender).signing_key
        request = world.open(envelope, linking_pb2.EvalRequest, public_key)
        _check_addressed(tx, identity, sender, request)
        digest = signing.digest(envelope)
        linking_store.forget_answers(tx, now)
        remembered = linking_store.evaluation(tx, sender, request.request_id)
        if remembered is not None:
            if remembered.digest != digest:
                return _refusal(world, identity, request, digest, linking_pb2.EVAL_REFUSAL_REASON_REPLAY)
            if remembered.answer:
                return Letter(sender, Envelope.FromString(remembered.answer))
            return _refusal(world, identity, request, digest, linking_pb2.EVAL_REFUSAL_REASON_EXPIRED)
        if request.expires_at <= now:
            return _refusal(world, identity, request, digest, linking_pb2.EVAL_REFUSAL_REASON_EXPIRED)
        blinded = ristretto.elements(request.blinded)
        share = _share(tx, identity, request)
        if share is None:
            return _refusal(world, identity, request, digest, linking_pb2.EVAL_REFUSAL_REASON_EPOCH)
        room = _room(tx, sender, now)
        if len(blinded) > room.in_all:
            return _refusal(
                world, identity, request, digest, linking_pb2.EVAL_REFUSAL_REASON_QUOTA, retry_at=_tomorrow(now)
            )
        for index, element in enumerate(blinded):
            if not _readable(element):
                reason = linking_pb2.EVAL_REFUSAL_REASON_BAD_ELEMENT
                return _refusal(world, identity, request, digest, reason, index=index)
        evaluated = [pseudonym.evaluate(share.scalar, element) for element in blinded]
        nonce = pseudonym.random_scalar(world.random_bytes(64))
        response = world.sign(
            linking_pb2.EvalResponse(
                federation_id=request.federation_id,
                request_id=request.request_id,
                request_digest=digest,
                evaluator=identity.agency,
                key_epoch=request.key_epoch,
                share_version=request.share_version,
                evaluated=b"".join(evaluated),
                proof=pseudonym.prove(share.scalar, nonce, blinded, evaluated).encode(),
                quota_remaining=room.in_all - len(blinded),
            )
        )
        linking_store.add_evaluation(
            tx,
            requester=sender,
            request_id=request.request_id,
            digest=digest,
            purpose=request.purpose,
            elements=len(blinded),
            day=calendar.packed(calendar.day_of(now)),
            answer=response.SerializeToString(),
            expires_at=request.expires_at,
            granted=max(0, len(blinded) - room.today),
            grant_version=room.grant_version if len(blinded) > room.today else 0,
        )
    return Letter(sender, response)


def _check_addressed(tx: Tx, identity: Identity, sender: str, request: linking_pb2.EvalRequest) -> None:
    named = (request.requester, request.evaluator, request.federation_id)
    size = len(request.blinded)
    whole = size % ristretto.ELEMENT_BYTES == 0 and 0 < size // ristretto.ELEMENT_BYTES <= limits.ELEMENTS_ANSWERED_MAX
    if (
        named != (sender, identity.agency, documents_store.agreed_on(tx).federation_id)
        or len(request.request_id) != 16
        or request.purpose not in _PURPOSES
        or not whole
    ):
        raise Malformed("eval_request")


def _share(tx: Tx, identity: Identity, request: linking_pb2.EvalRequest) -> Share | None:
    """The share of the key and version that the request names, if that is in force and this node holds it."""
    wanted = (request.key_epoch, request.share_version)
    keys = documents.linking_keys(documents_store.agreed_on(tx).required_roster)
    key = next((each for each in keys if (each.key_epoch, each.share_version) == wanted), None)
    return shares.held(tx, identity, key) if key else None


@dataclass(frozen=True, slots=True)
class Room:
    """How many elements a requester may still have evaluated here: of today's allowance, and of its newest grant."""

    today: int
    granted: int
    grant_version: int

    @property
    def in_all(self) -> int:
        """Both together."""
        return self.today + self.granted


def _room(tx: Tx, requester: str, now: int) -> Room:
    today = calendar.packed(calendar.day_of(now))
    left = max(0, _allowance(tx, now) - linking_store.evaluated_on(tx, requester, today))
    grant = documents_store.agreed_on(tx).grant_of(requester, now)
    if grant is None:
        return Room(left, 0, 0)
    charged = linking_store.charged_to(tx, requester, grant.version)
    return Room(left, max(0, grant.elements // limits.QUOTA_SHARE - charged), grant.version)


def _allowance(tx: Tx, now: int) -> int:
    current = policy.in_force(list(documents_store.agreed_on(tx).policies.values()), calendar.day_of(now))
    return current.linking_elements_per_day // limits.QUOTA_SHARE if current else 0


def _tomorrow(now: int) -> int:
    bangkok_offset = 7 * 3_600_000
    return ((now + bangkok_offset) // _DAY_MS + 1) * _DAY_MS - bangkok_offset


def _readable(element: bytes) -> bool:
    try:
        ristretto.decode_element(element)
    except Malformed:
        return False
    return True


def _refusal(
    world: World,
    identity: Identity,
    request: linking_pb2.EvalRequest,
    digest: bytes,
    reason: linking_pb2.EvalRefusalReason.ValueType,
    retry_at: int = 0,
    index: int = 0,
) -> Letter:
    refusal = linking_pb2.EvalRefusal(
        federation_id=request.federation_id,
        request_id=request.request_id,
        request_digest=digest,
        evaluator=identity.agency,
        reason=reason,
        retry_at=retry_at,
        index=index,
    )
    return Letter(request.requester, world.sign(refusal))
