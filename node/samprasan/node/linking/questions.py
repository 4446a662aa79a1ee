"""Linking: from an id to an account, without anybody else learning the id.

A question to a peer is stored before it is sent; its answer is checked against the peer's commitment before it is
used.  Peers are asked in turn; one that does not answer in time is passed over.  Public ids need no peer.
"""

from collections.abc import Iterable, Sequence

from samprasan.edge.database import Database, Tx, take_turn
from samprasan.edge.world import World
from samprasan.keys import pseudonym, ristretto, rosters, sharing, signing
from samprasan.keys.errors import Refused, Unproven
from samprasan.keys.identifiers import Scheme
from samprasan.node import limits, store
from samprasan.node.identity import KEY_COLUMN, Identity, Node
from samprasan.node.linking import evaluation_totals, shares
from samprasan.node.linking.letters import Letter
from samprasan.node.rows import QuestionRow, SubjectRow
from samprasan.node.states import QuestionState
from samprasan.v1 import linking_pb2
from samprasan.v1.documents_pb2 import LinkingKey, ShareCommitment
from samprasan.v1.envelope_pb2 import Envelope

_SOON_AGAIN = {linking_pb2.EVAL_REFUSAL_REASON_EPOCH, linking_pb2.EVAL_REFUSAL_REASON_UNACKNOWLEDGED}
_NOT_EVALUATED = {  # an honest evaluator gives these reasons before it counts the question
    linking_pb2.EVAL_REFUSAL_REASON_QUOTA,
    linking_pb2.EVAL_REFUSAL_REASON_BAD_ELEMENT,
    linking_pb2.EVAL_REFUSAL_REASON_UNACKNOWLEDGED,
}
_PLAN = "questions.sealed_plan"
_PLAN_ROW = 8 + ristretto.SCALAR_BYTES


def ask_peers(node: Node) -> None:
    """Store a question about every subject that needs a key; public ids get theirs at once.

    While the linking key is rotated, subjects with an account are asked about under the next key, too.
    """
    now = node.world.now()
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: ask")
        store.questions.expire_questions(tx, now)
        keys = _keys_held(tx, node.identity)
        open_questions = _close_stale(tx, keys, now)
        asked_about = {who for row in open_questions for who, _ in _plan(node.identity, row.sealed_plan)}
        if len(open_questions) >= limits.QUESTIONS_OPEN_MAX:
            return
        rows = store.subjects.without_key(tx, limits.ELEMENTS_PER_QUESTION, asked_about)
        public = [(row.subject_id, node.identity.identifier(row)) for row in rows if _is_public(row.scheme)]
        sealed = [(who, _sealed_key(node.world, node.identity, each.public_subject_key())) for who, each in public]
        store.subjects.set_keys(tx, sealed, store.subjects.PUBLIC)
        secret = [row for row in rows if not _is_public(row.scheme)]
        in_force, coming = keys
        if secret and in_force is not None and not store.rotation.is_closing(tx, now):
            awarding = any(row.share for row in secret)
            purpose = linking_pb2.EVAL_PURPOSE_AWARD if awarding else linking_pb2.EVAL_PURPOSE_BALANCE
            _ask_about(tx, node, in_force, purpose, secret)
        elif coming is not None:
            behind = store.subjects.to_rekey(tx, coming.key_epoch, limits.ELEMENTS_PER_QUESTION, asked_about)
            _ask_about(tx, node, coming, linking_pb2.EVAL_PURPOSE_REKEY, behind)


def _ask_about(
    tx: Tx,
    node: Node,
    key: LinkingKey,
    purpose: linking_pb2.EvalPurpose.ValueType,
    rows: Sequence[SubjectRow],
) -> None:
    now = node.world.now()
    peer = _peer_in_turn(tx, node.identity, key, now) if rows else None
    if peer is None:
        return
    blinds = [pseudonym.random_scalar(node.world.random_bytes(64)) for _ in rows]
    values = [node.identity.identifier(row).domain_bytes() for row in rows]
    blinded = node.world.each(lambda pair: pseudonym.blind(*pair), list(zip(values, blinds, strict=True)))
    tries = min(store.questions.unanswered_since_last_answer(tx, now), limits.QUESTION_DOUBLINGS_MAX)
    request = linking_pb2.EvalRequest(
        federation_id=store.documents.agreed_on(tx).federation_id,
        request_id=node.world.random_bytes(limits.REQUEST_ID_BYTES),
        requester=node.identity.agency,
        evaluator=peer,
        expires_at=now + (limits.QUESTION_LIFETIME_MS << tries),
        purpose=purpose,
        key_epoch=key.key_epoch,
        share_version=key.share_version,
        blinded=b"".join(blinded),
        acknowledged=evaluation_totals.acknowledged_to(tx, node, peer),
    )
    evaluation_totals.count_asked(tx, node, peer, len(rows))
    envelope = node.world.sign(request)
    plan = b"".join(
        row.subject_id.to_bytes(8, "big") + ristretto.encode_scalar(blind)
        for row, blind in zip(rows, blinds, strict=True)
    )
    store.questions.add_question(
        tx,
        request_id=request.request_id,
        asked_at=now,
        evaluator=peer,
        purpose=request.purpose,
        elements=len(rows),
        digest=signing.digest(envelope),
        envelope=envelope.SerializeToString(),
        sealed_plan=node.identity.seal(node.world, _PLAN, plan),
        expires_at=request.expires_at,
    )


def unposted_letters(node: Node) -> list[tuple[bytes, Letter]]:
    """Questions that wait to be posted, (request id, letter) each; a process may have died before it could."""
    with node.db.read() as tx:
        rows = store.questions.unposted(tx, node.world.now())
    return [(row.request_id, Letter(row.evaluator, Envelope.FromString(row.envelope))) for row in rows]


def mark_posted(db: Database, request_id: bytes) -> None:
    """The hub has the question durably."""
    with db.begin() as tx:
        store.questions.mark_posted(tx, request_id)


def accept_answer(node: Node, sender: str, envelope: Envelope) -> None:
    """Take a peer's answer: check it, and keep the subject keys it makes.  Unknown and old answers change nothing.

    Raises Unproven or Malformed if the answer does not hold; the question then runs out and the other peer is asked.
    """
    with node.db.read() as tx:
        current = store.documents.agreed_on(tx).required_roster
        public_key = rosters.member(current, sender).signing_key
        answer = node.world.open(envelope, linking_pb2.EvalResponse, public_key)
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: ask")
        evaluation_totals.accept_total(tx, node, sender, answer.total)  # also of one that nobody waits for any more
    with node.db.read() as tx:
        question = store.questions.question(tx, answer.request_id)
        if question is None or question.state != QuestionState.OPEN:
            return
        linking = next((key for key in rosters.linking_keys(current) if _is_of(key, question)), None)
        if linking is None:
            return
        plan = _plan(node.identity, question.sealed_plan)
        rows = {row.subject_id: row for row in store.subjects.of_ids(tx, (who for who, _ in plan))}
        share = shares.share_held(tx, node.identity, linking)
    if share is None:
        raise Refused("no_share")
    request = _asked(question)
    evaluated = _checked(node.world, linking, sender, request, question.digest, answer)
    peer_index = _commitment(linking, sender).index
    known = [  # the import that brought a subject may have been undone meanwhile
        (who, node.identity.identifier(rows[who]).domain_bytes(), blind, element)
        for (who, blind), element in zip(plan, evaluated, strict=True)
        if who in rows
    ]

    def combined(each: tuple[int, bytes, int, bytes]) -> tuple[int, bytes]:
        who, value, blind, element = each
        return who, sharing.combine(share, peer_index, value, blind, element)

    keys = [(who, _sealed_key(node.world, node.identity, key)) for who, key in node.world.each(combined, known)]
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: documents")
        now_in_force = store.documents.agreed_on(tx).required_roster
        if linking == now_in_force.linking:
            store.subjects.set_keys(tx, keys, linking.key_epoch)
        elif linking == now_in_force.next:
            store.subjects.set_next_keys(tx, keys, linking.key_epoch)
        else:
            return  # a roster without that key, or with other shares of it, came meanwhile: the question is stale
        store.questions.close_question(tx, answer.request_id, QuestionState.ANSWERED)


def accept_refusal(node: Node, sender: str, envelope: Envelope) -> linking_pb2.EvalRefusal:
    """Take a peer's refusal: the question is closed, and that peer not asked again before it said.

    Raises Unproven or Malformed if the refusal does not hold.
    """
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: ask")
        public_key = rosters.member(store.documents.agreed_on(tx).required_roster, sender).signing_key
        refusal = node.world.open(envelope, linking_pb2.EvalRefusal, public_key)
        question = store.questions.question(tx, refusal.request_id)
        is_ours = question is not None and (question.digest, question.evaluator) == (refusal.request_digest, sender)
        if question is not None and is_ours and question.state == QuestionState.OPEN:
            if refusal.reason in _NOT_EVALUATED:
                evaluation_totals.count_refused(tx, node, sender, question.elements)
            is_behind = refusal.reason in _SOON_AGAIN
            pause = limits.EPOCH_RETRY_MS if is_behind else limits.QUESTION_LIFETIME_MS
            granted = store.documents.agreed_on(tx).grant_of(_asked(question).requester, node.world.now())
            told = 0 if granted else refusal.retry_at  # the peer may not have heard of the grant yet
            retry_at = max(told, node.world.now() + pause)
            store.questions.close_question(tx, refusal.request_id, QuestionState.REFUSED, retry_at)
        if refusal.reason == linking_pb2.EVAL_REFUSAL_REASON_UNACKNOWLEDGED:
            evaluation_totals.accept_total(tx, node, sender, refusal.total)
    return refusal


def _checked(
    world: World,
    linking: LinkingKey,
    sender: str,
    request: linking_pb2.EvalRequest,
    digest: bytes,
    answer: linking_pb2.EvalResponse,
) -> list[bytes]:
    """The evaluated elements, once everything about the answer holds."""
    ours = (answer.evaluator, answer.request_digest, answer.key_epoch, answer.share_version, answer.federation_id)
    asked = (request.evaluator, digest, request.key_epoch, request.share_version, request.federation_id)
    if sender != request.evaluator or ours != asked or len(answer.evaluated) != len(request.blinded):
        raise Unproven("answer_foreign", kind="EvalResponse")
    evaluated = ristretto.elements(answer.evaluated)
    point = _commitment(linking, sender).point
    proof = pseudonym.Proof.decode(answer.proof)
    pseudonym.verify(point, ristretto.elements(request.blinded), evaluated, proof, each=world.each)
    return evaluated


def _keys_held(tx: Tx, identity: Identity) -> tuple[LinkingKey | None, LinkingKey | None]:
    """The key in force and the one that takes its place, each if there is one and this node holds its share of it."""
    current = store.documents.agreed_on(tx).required_roster
    in_force = current.linking if shares.share_held(tx, identity, current.linking) is not None else None
    coming = current.next if shares.share_held(tx, identity, current.next) is not None else None
    return in_force, coming


def _close_stale(tx: Tx, keys: Iterable[LinkingKey | None], now: int) -> list[QuestionRow]:
    """Close questions of earlier shares, which cannot be used any more; those that may still be answered."""
    live = [key for key in keys if key is not None]
    found = store.questions.open_questions(tx, now)
    stale = [row for row in found if live and not any(_is_of(key, row) for key in live)]
    for row in stale:
        store.questions.close_question(tx, row.request_id, "stale")
    return [row for row in found if row not in stale]


def _asked(question: QuestionRow) -> linking_pb2.EvalRequest:
    return linking_pb2.EvalRequest.FromString(Envelope.FromString(question.envelope).payload)


def _is_of(linking: LinkingKey, question: QuestionRow) -> bool:
    request = _asked(question)
    return (request.key_epoch, request.share_version) == (linking.key_epoch, linking.share_version)


def _peer_in_turn(tx: Tx, identity: Identity, linking: LinkingKey, now: int) -> str | None:
    peers = [entry.agency for entry in linking.commitments if entry.agency != identity.agency]
    willing = [peer for peer in peers if store.questions.retry_at(tx, peer) <= now]
    return willing[store.questions.asked(tx) % len(willing)] if willing else None


def _commitment(linking: LinkingKey, agency: str) -> ShareCommitment:
    for entry in linking.commitments:
        if entry.agency == agency:
            return entry
    raise Unproven("answer_foreign", kind="EvalResponse")


def _plan(identity: Identity, sealed: bytes) -> Sequence[tuple[int, int]]:
    plan = identity.vault.open(_PLAN, sealed)
    rows = (plan[start : start + _PLAN_ROW] for start in range(0, len(plan), _PLAN_ROW))
    return [(int.from_bytes(row[:8], "big"), ristretto.decode_scalar(row[8:])) for row in rows]


def _is_public(scheme: str) -> bool:
    return scheme in (Scheme.REGISTRY, Scheme.AREA)


def _sealed_key(world: World, identity: Identity, key: bytes) -> bytes:
    return identity.seal(world, KEY_COLUMN, key)
