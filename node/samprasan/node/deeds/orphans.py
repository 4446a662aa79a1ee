"""What people decide about orphans: awards that stand at the hub and whose deed no import has brought back.

One person proposes to keep some or to take them back, another confirms.  What is kept counts as a record from then on;
what is taken back is a signed Reverse.
"""

from collections.abc import Collection
from typing import Any

from samprasan.edge.database import Database
from samprasan.edge.world import World
from samprasan.keys.errors import Refused
from samprasan.node import person_names, store
from samprasan.node.deeds import officers
from samprasan.node.identity import NAME_COLUMN, Identity, Node
from samprasan.node.rows import AwardRow, OrphanRow, SubjectRow, present
from samprasan.node.states import AwardState
from samprasan.v1.log_pb2 import REVERSE_REASON_RECORD_CHANGED, Dimension


def list_orphans(node: Node) -> list[dict[str, Any]]:
    """Every orphan, oldest first, with what is proposed or decided."""
    with node.db.read() as tx:
        rows = store.orphans.every(tx)
        people = {row.subject_id: row for row in store.subjects.of_ids(tx, {row.award.subject_id for row in rows})}
    return [_document(row, people[row.award.subject_id], node.identity) for row in rows]


def propose_decision(db: Database, numbers: Collection[int], by: str, *, keep: bool) -> int:
    """Propose to keep or take back these orphans, or all that wait if none is named; how many.

    Raises Refused ``orphan_unknown``, ``orphan_not_shared`` for what is to be taken back from somebody who does not
    agree to share any more, Malformed ``by``.
    """
    maker = officers.check_officer(by)
    with db.begin() as tx:
        store.awards.lock(tx)
        waiting = {row.award.award_id for row in store.orphans.every(tx) if row.checker is None}
        if unknown := sorted(set(numbers) - waiting):
            raise Refused("orphan_unknown", number=unknown[0])
        chosen = set(numbers) or waiting
        shared = {row.award.award_id for row in store.orphans.every(tx) if row.share}
        if not keep and (closed := sorted(chosen - shared)):
            raise Refused("orphan_not_shared", number=closed[0])
        store.orphans.propose_decision(tx, sorted(chosen), maker, keep=keep)
    return len(chosen)


def list_proposed(node: Node, by: str) -> list[dict[str, Any]]:
    """What ``by`` may confirm, to be shown first.

    Raises Refused ``orphans_by_maker`` if there is nothing that somebody else proposed, Malformed ``by``.
    """
    checker = officers.check_officer(by)
    proposed = [each for each in list_orphans(node) if each["by"] is not None and each["confirmed_by"] is None]
    chosen = [each for each in proposed if not officers.is_same(each["by"], checker)]
    if not chosen:
        raise Refused("orphans_by_maker", waiting=len(proposed))
    return chosen


def confirm_decision(node: Node, by: str, shown: Collection[dict[str, Any]]) -> tuple[int, int]:
    """Carry out what others proposed, as :func:`list_proposed` gave it; how many are kept and how many are taken back.

    Raises Refused ``orphans_changed`` if it is not what is proposed any more, Malformed ``by``.
    """
    checker = officers.check_officer(by)
    with node.db.begin() as tx:
        store.awards.lock(tx)
        numbers = {each["number"] for each in shown}
        proposed = [row for row in store.orphans.every(tx) if row.maker is not None and row.checker is None]
        by_others = [row for row in proposed if not officers.is_same(present(row.maker), checker)]
        chosen = [row for row in by_others if row.award.award_id in numbers]
        people = {row.subject_id: row for row in store.subjects.of_ids(tx, {row.award.subject_id for row in chosen})}
        if [_document(row, people[row.award.subject_id], node.identity) for row in chosen] != list(shown):
            raise Refused("orphans_changed")
        store.orphans.confirm_decision(tx, [row.award.award_id for row in chosen], checker)
        taken_back = [row for row in chosen if not row.keep]
        first = store.awards.next_id(tx)
        store.awards.add(tx, [_reverse(node.world, number, row.award) for number, row in enumerate(taken_back, first)])
    return len(chosen) - len(taken_back), len(taken_back)


def _reverse(world: World, award_id: int, award: AwardRow) -> AwardRow:
    """The Reverse of the award."""
    return award._replace(
        award_id=award_id,
        op_id=world.new_op_id(world.now()),
        replaces=award.op_id,
        reverse_reason=REVERSE_REASON_RECORD_CHANGED,
        credits=0,
        state=AwardState.QUEUED,
        seq=None,
        reason=0,
    )


def _document(row: OrphanRow, subject: SubjectRow, identity: Identity) -> dict[str, Any]:
    decided = "keep" if row.keep else "take back"
    return {
        "number": row.award.award_id,
        "account_id": row.account_id.hex(),
        "name": person_names.masked(identity.vault.open(NAME_COLUMN, subject.sealed_name).decode()),
        "credits": row.award.credits,
        "dimension": Dimension.Name(row.award.dimension).removeprefix("DIMENSION_").lower(),
        "month": row.award.month,
        "proposed": decided if row.maker else None,
        "by": row.maker,
        "confirmed_by": row.checker,
    }
