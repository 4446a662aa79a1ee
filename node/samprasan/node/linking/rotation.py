"""Rotation of the linking key: every account gets a pseudonym under the next key, and then the old key goes.

A ceremony has put the next key into the roster, and both are answered.  This node looks its linked subjects up again
(:func:`samprasan.node.linking.questions.ask_peers`) and tells the hub.  Once the hub says that all have moved, each
node signs a roster without the old key.  That roster needs every holder, and from signing it until it is in force or
out of date a node opens and links nobody under the old key: so nobody is left behind.  It is soon out of date, or one
holder that does not sign would keep everybody waiting.
"""

from collections.abc import Sequence
from typing import Any

from samprasan.edge.database import Database, Tx, take_turn
from samprasan.edge.world import World
from samprasan.keys import documents, signing
from samprasan.keys.errors import Unproven
from samprasan.node import limits, store
from samprasan.node.identity import KEY_COLUMN, OPENED_COLUMN, Node
from samprasan.node.linking import accounts
from samprasan.node.rows import present
from samprasan.v1 import hub_pb2
from samprasan.v1.documents_pb2 import Roster
from samprasan.v1.envelope_pb2 import Envelope


def rekey_request(node: Node) -> hub_pb2.RekeyRequest | None:
    """What to tell the hub next: accounts and their next keys; None if there is nothing to tell now."""
    with node.db.read() as tx:
        coming = _next_epoch(tx)
        rows = store.subjects.to_move(tx, coming, limits.ACCOUNTS_PER_REQUEST, node.world.now()) if coming else []
    if not rows:
        return None
    return hub_pb2.RekeyRequest(
        request_id=node.world.random_bytes(limits.REQUEST_ID_BYTES),
        key_epoch=coming,
        accounts=[
            hub_pb2.Rekeyed(
                account_id=present(row.account_id),
                subject_key=node.identity.vault.open(KEY_COLUMN, present(row.sealed_key)),
            )
            for row in rows
        ],
    )


def accept_rekeyed(node: Node, request: hub_pb2.RekeyRequest, envelopes: Sequence[Envelope]) -> None:
    """Take the hub's answer: those it names have moved, the others are told of again in a while.

    Raises Unproven ``answer_foreign`` if it answers another.
    """
    now = node.world.now()
    opened = accounts.read_opened(node, request.request_id, envelopes)
    asked = {each.account_id: each.subject_key for each in request.accounts}
    if any(asked.get(each.account_id) != each.subject_key for each in opened):
        raise Unproven("answer_foreign", kind="AccountOpened")
    answers = {each.account_id: data for each, data in zip(opened, envelopes, strict=True)}
    with node.db.begin() as tx:
        rows = store.subjects.to_move(tx, request.key_epoch, limits.ACCOUNTS_PER_REQUEST, now)
        rows = [row for row in rows if row.account_id in asked]
        store.subjects.note_told_of_next_key(tx, [row.subject_id for row in rows], now + limits.REKEY_AGAIN_MS)
        sealed = [
            (row.subject_id, node.identity.seal(node.world, OPENED_COLUMN, answers[row.account_id].SerializeToString()))
            for row in rows
            if row.account_id in answers
        ]
        store.subjects.mark_moved(tx, request.key_epoch, sealed)


def close_rotation(node: Node) -> list[Envelope]:
    """Rosters without the old key, with this node's signature, to be submitted; none while anybody stays behind.

    This node's own, and those that others proposed, if they end in time.
    """
    with node.db.read() as tx:
        if not _everybody_moved(tx):
            return []
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: documents")
        store.awards.lock(tx)  # no batch is sealed between looking and closing
        if not _everybody_moved(tx):
            return []
        agreed = store.documents.agreed_on(tx)
        found = [Envelope.FromString(data) for data in store.documents.proposed(tx)]
        now = node.world.now()
        begun = _hour_of_signing(store.rotation.closing_hour(tx), now)
        if begun is None:
            return []
        expires_at = begun + limits.ROTATION_CLOSING_MS
        own = signing.seal(last_roster(agreed.required_roster, agreed.federation_id, begun, expires_at))
        others = [each for each in found if _is_last(each, agreed.required_roster, now, expires_at)]
        store.rotation.close_rotation(tx, begun)
    return [_signed(node.world, each) for each in [own, *(each for each in others if each.payload != own.payload)]]


def _hour_of_signing(before: int | None, now: int) -> int | None:
    """When the hour began in which this node signs now; None if it signs nothing.

    ``before`` is when the last one began.  The first begins now; the later ones are the same for all nodes, and four
    hours apart, so that nobody is kept waiting in the others.
    """
    if before is None or before > now + limits.CLOCK_OFF_MS_MAX:  # the clock was ahead
        return now
    aligned = now - now % limits.ROTATION_AGAIN_MS
    begun = aligned if aligned >= before + limits.ROTATION_AGAIN_MS else before
    return begun if now < begun + limits.ROTATION_CLOSING_MS else None


def is_running(db: Database) -> bool:
    """Whether the roster in force names a next key."""
    with db.read() as tx:
        return bool(_next_epoch(tx))


def rotation_status(tx: Tx) -> dict[str, Any] | None:
    """The next key, and how many subjects here stay behind; None if no key is rotated."""
    coming = _next_epoch(tx)
    return {"key_epoch": coming, "not_moved": store.subjects.staying_behind(tx, coming)} if coming else None


def _next_epoch(tx: Tx) -> int:
    """The epoch of the next key; 0 if none is rotated."""
    current = store.documents.agreed_on(tx).roster
    return current.next.key_epoch if current else 0


def _everybody_moved(tx: Tx) -> bool:
    """Whether the hub said so of all agencies, and nobody stays behind here."""
    coming = _next_epoch(tx)
    told = store.rotation.left_at_hub(tx, coming) if coming else None
    return told == 0 and not store.subjects.staying_behind(tx, coming)


def last_roster(current: Roster, federation_id: bytes, created_at: int, expires_at: int) -> Roster:
    """The roster that follows ``current`` and names the next key alone."""
    made = Roster()
    made.CopyFrom(current)
    made.linking.CopyFrom(current.next)
    made.ClearField("next")
    made.ClearField("plan")
    made.federation_id, made.version = federation_id, current.version + 1
    made.created_at, made.expires_at = created_at, expires_at
    return made


def _is_last(envelope: Envelope, current: Roster, now: int, expires_at: int) -> bool:
    """Whether it only drops the old key, and may be approved for a while yet, but not after ``expires_at``."""
    body = documents.read(envelope)
    if not isinstance(body, Roster) or not now + limits.CLOCK_OFF_MS_MAX < body.expires_at <= expires_at:
        return False
    return body == last_roster(current, body.federation_id, body.created_at, body.expires_at)


def _signed(world: World, envelope: Envelope) -> Envelope:
    signed = Envelope(payload_type=envelope.payload_type, payload=envelope.payload)
    signing.add_signature(signed, world.signer)
    return signed
