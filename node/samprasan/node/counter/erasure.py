"""Erasing a subject: its deeds, its name and all that was told of it go at once, its id once the hub has forgotten it.

Of each record a keyed hash stays, so that an export that still has it brings nothing back.  What the hub holds of the
account is not reversed: after the last agency's Unlink it is nobody's.
"""

from typing import Any

from samprasan.edge.database import Store
from samprasan.edge.world import World
from samprasan.keys.errors import Refused
from samprasan.keys.identifiers import Identifier
from samprasan.node.deeds.awards import Awarding
from samprasan.node.identity import NAME_COLUMN, Identity
from samprasan.node.store import awards as awards_store
from samprasan.node.store import deeds as deeds_store
from samprasan.node.store import moves as moves_store
from samprasan.node.store import redemptions as redemptions_store
from samprasan.node.store import subjects as subjects_store


def deeds_of(store: Store, identity: Identity, identifier: Identifier) -> int:
    """How many deeds would go.  Raises Refused ``subject_unknown``."""
    with store.read() as tx:
        row = subjects_store.find(tx, identity.index(identifier))
        if row is None:
            raise Refused("subject_unknown")
        return len(deeds_store.of_subject(tx, row.subject_id))


def erase(store: Store, world: World, identity: Identity, identifier: Identifier) -> dict[str, Any]:
    """Delete all of the subject that the hub need not hear of first; again, it goes on waiting.

    Raises Refused ``subject_unknown``.
    """
    now = world.now()
    with store.begin() as tx:
        awards_store.lock(tx)
        row = subjects_store.find(tx, identity.index(identifier))
        if row is None:
            raise Refused("subject_unknown")
        deeds = deeds_store.of_subject(tx, row.subject_id)
        redemptions_store.drop(tx, redemptions_store.asked_by(tx, row.subject_id))
        moves_store.forget(tx, row.subject_id, row.id_index)
        deeds_store.erase(tx, row.subject_id, [identity.tombstone(each.source, each.record_id) for each in deeds])
        others = deeds_store.of_ids(tx, awards_store.erase(tx, row.subject_id))
        subjects_store.begin_erasing(tx, row.subject_id, identity.seal(world, NAME_COLUMN, b""), now)
        Awarding(tx, world, now).correct(others)
        subjects_store.remove(tx, subjects_store.erased(tx))
    return {"deeds": len(deeds), "done": is_done(store, identity, identifier)}


def is_done(store: Store, identity: Identity, identifier: Identifier) -> bool:
    """Whether nothing of the subject is left."""
    with store.read() as tx:
        return subjects_store.find(tx, identity.index(identifier)) is None
