"""Events as readers handle them, the same from a stream and from NATS: plain values with words instead of numbers."""

from dataclasses import dataclass, fields
from typing import Any

from samprasan.keys.errors import Refused
from samprasan.ledger import calendar
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1.documents_pb2 import Benefit, Cause
from samprasan.v1.log_pb2 import Dimension, SubjectKind

CREDIT_CHANGED, LINKED, UNLINKED = "credit.changed", "linked", "unlinked"
BENEFIT_CHANGED, BENEFIT_WITHDRAWN, POLICY_ACTIVATED = "benefit.changed", "benefit.withdrawn", "policy.activated"
RESET, BOOKMARK, DRAINING = "reset", "bookmark", "draining"
_TYPES = {
    v1.EVENT_TYPE_CREDIT_CHANGED: CREDIT_CHANGED,
    v1.EVENT_TYPE_LINKED: LINKED,
    v1.EVENT_TYPE_UNLINKED: UNLINKED,
    v1.EVENT_TYPE_BENEFIT_CHANGED: BENEFIT_CHANGED,
    v1.EVENT_TYPE_BENEFIT_WITHDRAWN: BENEFIT_WITHDRAWN,
    v1.EVENT_TYPE_POLICY_ACTIVATED: POLICY_ACTIVATED,
}
_KINDS = {number: name.removeprefix("SUBJECT_KIND_").lower() for name, number in SubjectKind.items() if number}
_CAUSES = {number: name.removeprefix("CAUSE_").lower() for name, number in Cause.items() if number}
_DIMENSIONS = {number: name.removeprefix("DIMENSION_").lower() for name, number in Dimension.items() if number}
_REASONS = {
    v1.TOO_OLD_REASON_NOT_KEPT: "not_kept",
    v1.TOO_OLD_REASON_HANDLES_CHANGED: "handles_changed",
    v1.TOO_OLD_REASON_LOG_CUT: "log_cut",
    v1.TOO_OLD_REASON_SCOPE_CHANGED: "scope_changed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One word of a stream.  What does not apply is None; ids, cursors and handles are hexadecimal.

    ``type`` is one of

    - ``credit.changed``: ``handle``'s credits changed by ``credits`` because of ``cause``; totals are those after it;
    - ``linked``: ``handle`` may be seen from here on, with these totals; ``unlinked``: delete what you keep under it;
    - ``benefit.changed`` and ``benefit.withdrawn``: what ``agency`` offers; ``policy.activated``;
    - ``reset``: forget everything; what follows is all there is (the first word of a snapshot);
    - ``bookmark``: the hub's signed word that everything up to ``cursor`` was shown;
    - ``draining``: the stream ends, and the library connects again by itself.

    Follow from ``cursor`` to go on behind the change.  ``at`` is milliseconds since the Unix epoch.
    """

    type: str
    id: str | None = None
    cursor: str | None = None
    handle: str | None = None
    kind: str | None = None
    agency: str | None = None
    cause: str | None = None
    dimension: str | None = None
    credits: int | None = None
    earned: int | None = None
    available: int | None = None
    held: int | None = None
    spent: int | None = None
    benefit: dict[str, Any] | None = None
    policy_version: int | None = None
    at: int | None = None

    def as_document(self) -> dict[str, Any]:
        """For JSON: without what does not apply; ``at`` as a moment of Asia/Bangkok."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        document = {name: value for name, value in found.items() if value is not None}
        if self.at is not None:
            document["at"] = calendar.iso(self.at)
        return document


def from_event(event: v1.Event) -> Change:
    """An event as it came; one of a newer hub, of an unknown type, has an empty one."""
    return Change(
        type=_TYPES.get(event.type, ""),
        id=event.id.hex() or None,
        cursor=event.cursor.hex() or None,
        handle=event.handle.hex() or None,
        kind=_KINDS.get(event.kind),
        agency=event.agency or None,
        cause=_CAUSES.get(event.cause),
        dimension=_DIMENSIONS.get(event.dimension),
        credits=event.credits or None,
        earned=event.earned if event.HasField("earned") else None,
        available=event.available if event.HasField("available") else None,
        held=event.held if event.HasField("held") else None,
        spent=event.spent if event.HasField("spent") else None,
        benefit=_benefit(event.benefit) if event.HasField("benefit") else None,
        policy_version=event.policy_version or None,
        at=event.at or None,
    )


def refusal(too_old: v1.TooOld) -> Refused:
    """What a reader is told whose cursor is too old, and who is not to begin anew: ``cursor_too_old``."""
    return Refused("cursor_too_old", reason=_REASONS.get(too_old.reason, "unknown"), oldest=too_old.oldest.hex())


def _benefit(benefit: Benefit) -> dict[str, Any]:
    if not benefit.credits:
        return {"code": benefit.code}
    return {
        "code": benefit.code,
        "title": {"th": benefit.title_th, "en": benefit.title_en},
        "credits": benefit.credits,
        "stock": benefit.stock if benefit.HasField("stock") else None,
        "kinds": [_KINDS[each] for each in benefit.kinds if each in _KINDS],
        "dimensions": [_DIMENSIONS[each] for each in benefit.dimensions if each in _DIMENSIONS],
        "areas": list(benefit.areas),
        "valid_from": calendar.unpacked(benefit.valid_from).isoformat(),
        "valid_until": calendar.unpacked(benefit.valid_until).isoformat(),
    }
