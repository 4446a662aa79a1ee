"""Following one record from the file it came in to the receipt of the update that told the hub."""

from collections.abc import Sequence
from typing import Any

from samprasan.edge.database import Tx
from samprasan.keys.errors import Refused
from samprasan.ledger import calendar
from samprasan.ledger.policy import DIMENSIONS
from samprasan.node import store
from samprasan.node.identity import Node
from samprasan.node.rows import AwardRow, DeedRow
from samprasan.node.states import AwardState
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DeclineReason, Receipt

_REASON_PREFIX = "DECLINE_REASON_"


def show(node: Node, source: str, record_id: str) -> dict[str, Any]:
    """The answer of ``samprasan-node deed show``; ``record_id`` as in the file or as the import showed it.

    ``credits_at_hub`` is what stands there for the deed now.  Raises Refused ``deed_unknown``.
    """
    with node.db.read() as tx:
        deed = store.deeds.of_record_ids(tx, source, [record_id, node.identity.record_hash(record_id)])
        if deed is None:
            raise Refused("deed_unknown", source=source)
        awards = store.awards.of_deeds(tx, [deed.deed_id]).get(deed.deed_id, [])
        newest = awards[-1] if awards else None
        brought = store.deeds.find_import(tx, deed.import_id)
        return {
            "record_id": deed.record_id,
            "source": deed.source,
            "state": newest.state if newest else "local",
            "reason": _reason(newest) if newest else None,
            "receipt": _receipt(tx, newest) if newest else None,
            "credits_at_hub": sum(each.credits for each in awards if each.state == AwardState.SETTLED),
            "deed": _content(deed),
            "import": {
                "import_id": deed.import_id,
                "file_sha256": brought.file_digest.hex() if brought else None,
                "imported_at": calendar.iso(brought.imported_at) if brought else None,
                "undone": bool(deed.gone),
            },
            "updates": [_update(tx, each) for each in awards],
        }


def _content(deed: DeedRow) -> dict[str, Any]:
    return {
        "category": deed.category,
        "quantity": deed.quantity,
        "occurred_on": calendar.unpacked(deed.occurred_on).isoformat(),
        "area_code": deed.area_code,
        "status": deed.status,
        "share": bool(deed.share),
        "credits": deed.credits,
        "dimension": DIMENSIONS[deed.dimension - 1],
        "policy_version": deed.policy_version,
    }


def _update(tx: Tx, award: AwardRow) -> dict[str, Any]:
    kinds: Sequence[str] = ("award", "replacing award") if not award.reverse_reason else ("reverse", "reverse")
    return {
        "op_id": award.op_id.hex(),
        "change": kinds[award.replaces is not None],
        "replaces": award.replaces.hex() if award.replaces else None,
        "credits": award.credits,
        "state": award.state,
        "reason": _reason(award),
        "seq": award.seq,
        "receipt": _receipt(tx, award),
    }


def _reason(award: AwardRow) -> str | None:
    return DeclineReason.Name(award.reason).removeprefix(_REASON_PREFIX).lower() if award.reason else None  # type: ignore[arg-type]


def _receipt(tx: Tx, award: AwardRow) -> dict[str, Any] | None:
    batch = store.batches.find(tx, award.seq) if award.seq is not None else None
    if batch is None or batch.receipt is None:
        return None
    receipt = Receipt.FromString(Envelope.FromString(batch.receipt).payload)
    return {
        "seq": receipt.seq,
        "batch_digest": receipt.batch_digest.hex(),
        "log_index": receipt.log_index,
        "appended_at": calendar.iso(receipt.appended_at),
    }
