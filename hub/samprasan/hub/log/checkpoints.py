"""Witnessing, the hub's side: checkpoints of its log, proofs that each goes on from the last, and cosignatures.

One checkpoint is offered at a time, until every agency of the roster has cosigned it and it is *final*, or half a
minute has passed: nobody who is away keeps the others from a newer one.  Who has not cosigned for ten minutes is named
in an alarm.
"""

from dataclasses import dataclass

from samprasan.edge.database import Database, Tx
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.store.checkpoints import Given, Signed
from samprasan.hub.store.tree import Tiles
from samprasan.keys import checkpoint, merkle, rosters
from samprasan.keys.checkpoint import Checkpoint, Cosignature
from samprasan.keys.errors import Malformed, Refused
from samprasan.v1 import hub_pb2


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the log is witnessed.

    ``size`` of the checkpoint that is offered and of the newest that is ``final`` (0: none), the newest that each
    agency cosigned, and the agencies that have not for too long.
    """

    size: int
    final: int
    cosigned: dict[str, int]
    late: list[str]


def offer_checkpoint(hub: Hub) -> bool:
    """Sign a checkpoint of the log if it has grown and the one before is final, or was offered long enough."""
    with hub.db.read() as tx:
        if not _is_due(tx, hub.world.now()):
            return False
    with hub.db.begin() as tx:
        store.log.lock_head(tx)
        if not _is_due(tx, hub.world.now()):
            return False
        offer_in(tx, hub.world)
    return True


def offer_in(tx: Tx, world: World) -> None:
    """Sign a checkpoint of the log as it is, unless there is one."""
    size = store.log.head_now(tx).size
    if store.checkpoints.find(tx, size) is None:
        store.checkpoints.add(tx, Signed(size, world.now(), checkpoint.sign_note(head_of(tx), world.signer)))


def head_of(tx: Tx) -> Checkpoint:
    """The log as it is."""
    size = store.log.head_now(tx).size
    return Checkpoint(store.documents.agreed_on(tx).origin, size, store.tree.root(tx, size))


def _is_due(tx: Tx, now: int) -> bool:
    if store.recovery.current(tx) is not None:
        return False  # agencies have seen a longer log
    size = store.log.head_now(tx).size
    newest = store.checkpoints.newest(tx)
    if newest is None or size <= newest.size:
        return newest is None and size > 0 and store.documents.agreed_on(tx).roster is not None
    is_new = 0 <= now - newest.made_at < limits.CHECKPOINT_OFFERED_MS  # one of a clock that was ahead keeps none back
    return not is_new or _is_final(tx, newest.size)


def _is_final(tx: Tx, size: int) -> bool:
    have = {each.cosignature.agency for each in store.checkpoints.cosignatures_of(tx, size)}
    roster = store.documents.agreed_on(tx).required_roster
    return have >= {member.agency for member in roster.members}


def offered_note(tx: Tx) -> bytes:
    """The checkpoint that is offered, with the cosignatures it has; empty before there is one."""
    newest = store.checkpoints.newest(tx)
    return b"" if newest is None else _cosigned(tx, newest)


def witnessed_note(tx: Tx) -> bytes:
    """The newest checkpoint that as many agencies cosigned as a joint document needs; else the one that is offered."""
    roster = store.documents.agreed_on(tx).roster
    size = store.checkpoints.newest_cosigned(tx, roster.threshold) if roster else 0
    found = store.checkpoints.find(tx, size) if size else None
    return offered_note(tx) if found is None else _cosigned(tx, found)


def final_note(tx: Tx) -> bytes:
    """The newest checkpoint that every agency has cosigned, with their cosignatures; empty before there is one."""
    sizes = set(store.checkpoints.newest_by_agency(tx).values())
    final = next((size for size in sorted(sizes, reverse=True) if size and _is_final(tx, size)), 0)
    found = store.checkpoints.find(tx, final) if final else None
    return b"" if found is None else _cosigned(tx, found)


def _cosigned(tx: Tx, signed: Signed) -> bytes:
    given = store.checkpoints.cosignatures_of(tx, signed.size)
    keys = {each.cosignature.agency: each.key for each in given}
    return checkpoint.with_cosignatures(checkpoint.read(signed.note), [each.cosignature for each in given], keys)


def answer_question(db: Database, agency: str, request: hub_pb2.WitnessRequest) -> hub_pb2.WitnessResponse:
    """The checkpoint that is offered, proved to go on from the sizes asked and to hold the positions asked.

    Raises Malformed ``request`` over the limits, Unproven ``not_a_member``.
    """
    sizes, indexes = list(request.sizes), list(request.log_indexes)
    if len(sizes) > limits.WITNESSED_SIZES_MAX or len(indexes) > limits.PROVED_RECEIPTS_MAX:
        raise Malformed("request", limit=limits.PROVED_RECEIPTS_MAX)
    with db.read() as tx:
        store.documents.agreed_on(tx).roster_with(agency)
        newest = store.checkpoints.newest(tx)
        if newest is None:
            return hub_pb2.WitnessResponse()
        tiles, whole = Tiles(tx), newest.size
        consistent = [merkle.consistency_proof(tiles, size, whole) if size <= whole else [] for size in sizes]
        included = [merkle.inclusion_proof(tiles, index, whole) if index < whole else [] for index in indexes]
        return hub_pb2.WitnessResponse(
            checkpoint=offered_note(tx),
            consistency=[hub_pb2.HashPath(hashes=path) for path in consistent],
            inclusion=[hub_pb2.HashPath(hashes=path) for path in included],
            own_seq=store.log.chain_seq(tx, rosters.HUB, newest.size),
        )


def accept_cosignature(hub: Hub, agency: str, request: hub_pb2.CosignRequest) -> None:
    """Keep an agency's cosignature; once every agency has cosigned, what is older is forgotten, and comes too late.

    Raises Unproven ``cosignature`` and ``not_a_member``, Refused ``checkpoint_unknown`` for one that is not kept.
    """
    with hub.db.begin() as tx:
        store.log.lock_head(tx)
        roster = store.documents.agreed_on(tx).roster_with(agency)
        signed = store.checkpoints.find(tx, request.size)
        if signed is None:
            oldest = store.checkpoints.first_after(tx, 0)
            if oldest is not None and request.size < oldest.size:
                return
            raise Refused("checkpoint_unknown", size=request.size)
        key = rosters.member(roster, agency).signing_key
        given = Cosignature(agency, request.seconds, request.signature)
        checkpoint.check_cosignature(checkpoint.read(signed.note).checkpoint, given, key, hub.world.verify)
        store.checkpoints.add_cosignature(tx, request.size, Given(given, key))
        if _is_final(tx, request.size):
            store.checkpoints.forget_before(tx, request.size)


def witness_status(tx: Tx, now: int) -> Standing:
    """How far the log is witnessed."""
    newest = store.checkpoints.newest(tx)
    agreed = store.documents.agreed_on(tx)
    if newest is None or agreed.roster is None:
        return Standing(0, 0, {}, [])
    found = store.checkpoints.newest_by_agency(tx)
    cosigned = {member.agency: found.get(member.agency, 0) for member in agreed.roster.members}
    late = []
    for agency, size in cosigned.items():
        waiting = store.checkpoints.first_after(tx, size)
        if waiting is not None and now - waiting.made_at >= limits.COSIGN_LATE_MS:
            late.append(agency)
    finals = [size for size in sorted(set(cosigned.values()), reverse=True) if size and _is_final(tx, size)]
    return Standing(newest.size, finals[0] if finals else 0, cosigned, late)
