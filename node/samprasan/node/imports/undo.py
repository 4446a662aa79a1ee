"""Taking an import back: every deed says again what it said before, and the hub hears of it.

A deed that came with the import goes; what the hub was told of it is reversed, and until that is settled the deed is
kept, marked as gone.  A record imported again after that is accepted anew.
"""

import json
from collections.abc import Sequence
from typing import Any

from samprasan.edge.database import Database, Tx
from samprasan.keys.errors import Refused
from samprasan.ledger import calendar
from samprasan.node import limits, store
from samprasan.node.deeds.awards import AwardQueue, forget_gone, give_up_untold
from samprasan.node.identity import Node
from samprasan.node.rows import DeedRow

_CHUNK_DEEDS = 1000


def list_imports(db: Database) -> list[dict[str, Any]]:
    """Every import with its report, oldest first."""
    with db.read() as tx:
        return [
            json.loads(row.counts)
            | {
                "import_id": row.import_id,
                "source": row.source,
                "imported_at": _moment(row.imported_at),
                "undone_at": _moment(row.undone_at),
            }
            for row in store.deeds.every_import(tx)
        ]


def undo_import(node: Node, import_id: int) -> dict[str, Any]:
    """Take the import back; how many deeds were removed and how many say again what they said before.

    Raises Refused ``import_unknown``, ``import_undone``, or ``import_corrected`` if a later import changed its records:
    that one is to be undone first.
    """
    now = node.world.now()
    with node.db.begin() as tx:
        store.awards.lock(tx)
        found = store.deeds.find_import(tx, import_id)
        if found is None:
            raise Refused("import_unknown", number=import_id)
        if found.undone_at is not None:
            raise Refused("import_undone", number=import_id)
        if later := store.deeds.corrected_since(tx, import_id):
            raise Refused("import_corrected", number=import_id, later=", ".join(map(str, reversed(later))))
        report = {"import_id": import_id, "removed": 0, "restored": 0}
        queue = AwardQueue(tx, node.world, now)
        after = 0
        while rows := store.deeds.of_import(tx, import_id, after, _CHUNK_DEEDS):
            after = rows[-1].deed_id
            before = store.deeds.take_earlier(tx, import_id, [row.deed_id for row in rows])
            report["restored"] += len(before)
            report["removed"] += len(rows) - len(before)
            _take_back(tx, queue, rows, before, now + limits.UNLINK_GRACE_MS)
        _restate(tx, import_id, now + limits.UNLINK_GRACE_MS)
        store.deeds.set_undone(tx, import_id, now)
    return report


def _take_back(tx: Tx, queue: AwardQueue, rows: Sequence[DeedRow], before: dict[int, DeedRow], unlink_at: int) -> None:
    now = [before.get(row.deed_id) or row._replace(gone=True) for row in rows]
    store.deeds.replace(tx, now)
    queue.correct(now)
    forget_gone(tx, [row.deed_id for row in now if row.gone])
    give_up_untold(tx, {row.subject_id for row in rows}, unlink_at)


def _restate(tx: Tx, import_id: int, unlink_at: int) -> None:
    """Subjects said to agree to what they agreed to before, unless a later import said something newer, or the same."""
    rows = store.subjects.take_restated(tx, import_id)
    subject_ids = [row[0] for row in rows]
    said = (store.subjects.restated_by(tx, import_id, subject_ids), store.deeds.named_since(tx, import_id, subject_ids))
    later = {each: min(found[each] for found in said if each in found) for each in {*said[0], *said[1]}}
    store.subjects.restate(tx, [row for row in rows if row[0] not in later], unlink_at)
    store.subjects.pass_on_restated(tx, later, [row for row in rows if row[0] in later])


def _moment(milliseconds: int | None) -> str | None:
    return calendar.iso(milliseconds) if milliseconds else None
