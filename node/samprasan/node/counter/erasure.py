"""Erasing a subject: its deeds, its name and all that was told of it go at once, its id once the hub has forgotten it.

Of each record a keyed hash stays, so that an export that still has it brings nothing back.  What the hub holds of the
account is not reversed: after the last agency's Unlink it is nobody's.
"""

from typing import Any

from samprasan.keys.errors import Refused
from samprasan.keys.identifiers import Identifier
from samprasan.node import store
from samprasan.node.deeds.awards import AwardQueue
from samprasan.node.identity import NAME_COLUMN, Node


def deeds_of(node: Node, identifier: Identifier) -> int:
    """How many deeds would go.  Raises Refused ``subject_unknown``."""
    with node.db.read() as tx:
        row = store.subjects.find(tx, node.identity.index(identifier))
        if row is None:
            raise Refused("subject_unknown")
        return len(store.deeds.of_subject(tx, row.subject_id))


def erase(node: Node, identifier: Identifier) -> dict[str, Any]:
    """Delete all of the subject that the hub need not hear of first; again, it goes on waiting.

    Raises Refused ``subject_unknown``.
    """
    now = node.world.now()
    with node.db.begin() as tx:
        store.awards.lock(tx)
        row = store.subjects.find(tx, node.identity.index(identifier))
        if row is None:
            raise Refused("subject_unknown")
        deeds = store.deeds.of_subject(tx, row.subject_id)
        store.redemptions.drop(tx, store.redemptions.asked_by(tx, row.subject_id))
        store.moves.forget(tx, row.subject_id, row.id_index)
        store.orphans.keep_erased(tx, row.subject_id)
        store.deeds.erase(tx, row.subject_id, [node.identity.tombstone(each.source, each.record_id) for each in deeds])
        others = store.deeds.of_ids(tx, store.awards.erase(tx, row.subject_id))
        store.subjects.begin_erasing(tx, row.subject_id, node.identity.seal(node.world, NAME_COLUMN, b""), now)
        AwardQueue(tx, node.world, now).correct(others)
        store.subjects.remove(tx, store.subjects.erased(tx))
    return {"deeds": len(deeds), "done": is_done(node, identifier)}


def is_done(node: Node, identifier: Identifier) -> bool:
    """Whether nothing of the subject is left."""
    with node.db.read() as tx:
        return store.subjects.find(tx, node.identity.index(identifier)) is None
