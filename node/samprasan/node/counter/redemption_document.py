"""A redemption as commands, counters and receipts show it."""

from typing import Any

from samprasan.edge.database import Tx
from samprasan.ledger import calendar
from samprasan.node import person_names, store
from samprasan.node.identity import NAME_COLUMN, Identity
from samprasan.node.rows import RedemptionRow, present
from samprasan.node.states import RedemptionState
from samprasan.v1 import log_pb2 as log

_PREFIX = "DECLINE_REASON_"


def reason_word(reason: int) -> str | None:
    """Why the hub declined, as commands and answers say it."""
    return log.DeclineReason.Name(reason).removeprefix(_PREFIX).lower() if reason else None  # type: ignore[arg-type]


def document(tx: Tx, identity: Identity, row: RedemptionRow) -> dict[str, Any]:
    """A redemption as commands answer it."""
    subject = next(iter(store.subjects.of_ids(tx, [row.subject_id])), None)
    name = person_names.masked(identity.vault.open(NAME_COLUMN, subject.sealed_name).decode()) if subject else None
    offered = store.documents.agreed_on(tx).catalogues.get(row.owner)
    benefit = offered.benefits.get(row.benefit) if offered else None
    return {
        "redemption_id": _uuid(row.op_key),
        "state": row.state,
        "reason": reason_word(row.reason),
        "benefit": f"{row.owner}/{row.benefit}",
        "title": dict(benefit.title) if benefit else None,
        "credits": row.posted or row.credits,
        "refunded": row.refunded,
        "subject": name,
        "authorised_by": row.authorised_by,
        "asked_at": _moment(row.asked_at),
        "decided_at": _moment(row.decided_at),
        "deadline": _moment(row.deadline) if row.state == RedemptionState.HELD else None,
        "receipt": receipt_number(identity.agency, row),
        "hold": f"{identity.agency}/{row.hold_id.hex()}",
        "on_own_risk": bool(row.on_own_risk),
    }


def receipt_number(agency: str, row: RedemptionRow) -> str | None:
    """What stands on the subject's receipt: agency, Buddhist year and a running number."""
    if row.number is None:
        return None
    year = calendar.day_of(present(row.decided_at)).year + calendar.BUDDHIST_ERA
    return f"{agency.upper()}-{year}-{row.number:06d}"


def _uuid(data: bytes) -> str:
    digits = data.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _moment(milliseconds: int | None) -> str | None:
    return calendar.iso(milliseconds) if milliseconds else None
