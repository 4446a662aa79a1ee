"""Cutting: the agencies give up an entry that the hub has lost and nobody has, so that its log can go on without it.

What stood behind that entry goes into the log again with other receipts.  So this node forgets the receipts it has from
there on, and all that it was told of the log as it was: its batches count as sent and not answered, and what came of
them is what their next receipts say.
"""

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.keys import checkpoint, rosters
from samprasan.keys.checkpoint import Checkpoint
from samprasan.keys.errors import Refused, Unproven
from samprasan.node import limits, store
from samprasan.node.deeds import awards
from samprasan.node.identity import Node
from samprasan.node.linking import linking_use
from samprasan.v1.documents_pb2 import Cut
from samprasan.v1.log_pb2 import DOCUMENT_KIND_CUT


def compose_cut(tx: Tx, world: World, rest: bytes) -> Cut:
    """The document that leaves ``rest``, the checkpoint of what the hub has, and gives up what it lacks behind it.

    Raises Refused ``cut_unneeded`` if the hub lacks nothing, ``cut_held`` as :func:`check`.
    """
    if not rest:
        raise Refused("cut_unneeded")
    agreed = store.documents.agreed_on(tx)
    now = world.now()
    body = Cut(
        federation_id=agreed.federation_id,
        version=store.documents.version_in_force(tx, DOCUMENT_KIND_CUT) + 1,
        created_at=now,
        expires_at=now + limits.DOCUMENT_LIFETIME_MS,
        checkpoint=rest,
    )
    check(tx, world, body)
    return body


def check(tx: Tx, world: World, body: Cut) -> None:
    """That the hub signed what is to be left, and that nothing here speaks against it.

    No checkpoint of that size that is kept says otherwise, and this node does not hold what is to be given up.
    Raises Unproven ``checkpoint`` or ``log_forked``, Refused ``cut_held``.
    """
    left = _left(tx, world, body)
    size = left.size
    seen = [checkpoint.read(each).checkpoint for each in store.log_views.all_newest_first(tx)]
    if any(each != left and (each.origin, each.size) == (left.origin, size) for each in seen):
        raise Unproven("log_forked")
    if store.hub_chain.at_index(tx, size) is not None or store.batches.at_index(tx, size) is not None:
        raise Refused("cut_held", log_index=size)


def batches_affected(tx: Tx, body: Cut) -> tuple[int, int]:
    """Where the log is to end, and how many of this node's batches stood behind that."""
    size = checkpoint.read(body.checkpoint).checkpoint.size
    return size, store.batches.settled_seq(tx) - store.batches.settled_before(tx, size)


def carry_out(tx: Tx, node: Node, body: Cut) -> None:
    """Forget what was said of the log behind the cut, before the document counts as in force here."""
    store.awards.lock(tx)
    size = _left(tx, node.world, body).size
    first = store.batches.settled_before(tx, size) + 1
    store.batches.unsettle(tx, first)
    store.redemptions.unsettle(tx, first)
    deed_ids = store.awards.unsettle(tx, first)
    awards.AwardQueue(tx, node.world, node.world.now()).correct(store.deeds.of_ids(tx, deed_ids))
    store.hub_chain.forget_from(tx, size)
    for waits in (store.facts.RECEIPT_WAITS, store.facts.ENTRY_WAITS):
        store.facts.drop(tx, waits)
    store.documents.forget_activations(tx, size)
    linking_use.count_again(tx, node)
    store.log_views.forget_after(tx, size)
    store.log_views.note_heard(tx, rosters.HUB, body.checkpoint, node.world.now())  # the log is to go on from there


def _left(tx: Tx, world: World, body: Cut) -> Checkpoint:
    agreed = store.documents.agreed_on(tx)
    key = agreed.required_roster.hub.signing_key
    found = checkpoint.open_note(body.checkpoint, agreed.federation_id, key, world.verify).checkpoint
    if found.origin != agreed.origin:
        raise Unproven("checkpoint")
    return found
