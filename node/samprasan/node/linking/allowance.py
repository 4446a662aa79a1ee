"""The day's linking allowance: how much each agency may have evaluated here, how much is taken, and what is left.

Each of two peers evaluates half of what the policy allows an agency; a grant of the agencies comes on top.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from samprasan.edge.database import Database, Tx
from samprasan.keys.durations import DAY_MS
from samprasan.ledger import calendar, limit_usage, policy
from samprasan.ledger.limit_usage import Nearing
from samprasan.node import limits, store


@dataclass(frozen=True, slots=True)
class Room:
    """How many elements a requester may still have evaluated here: of today's allowance, and of its newest grant."""

    today: int
    granted: int
    grant_version: int

    @property
    def in_all(self) -> int:
        """Both together."""
        return self.today + self.granted


def room_left(tx: Tx, requester: str, now: int) -> Room:
    """How many elements the requester may still have evaluated by this node."""
    today = calendar.packed(calendar.day_of(now))
    left = max(0, per_peer(tx, now) - store.questions.evaluated_on(tx, requester, today))
    grant = store.documents.agreed_on(tx).grant_of(requester, now)
    if grant is None:
        return Room(left, 0, 0)
    charged = store.questions.charged_to(tx, requester, grant.version)
    return Room(left, max(0, grant.elements // limits.QUOTA_SHARE - charged), grant.version)


def per_peer(tx: Tx, now: int) -> int:
    """How many elements each of two peers evaluates for an agency a day, without a grant; 0 before a policy."""
    current = policy.in_force(list(store.documents.agreed_on(tx).policies.values()), calendar.day_of(now))
    return current.linking_elements_per_day // limits.QUOTA_SHARE if current else 0


def tomorrow(now: int) -> int:
    """When the next day begins in Bangkok, in milliseconds."""
    bangkok_offset = 7 * 3_600_000
    return ((now + bangkok_offset) // DAY_MS + 1) * DAY_MS - bangkok_offset


def linking_usage(tx: Tx, agency: str, now: int) -> Iterator[Nearing]:
    """The linking allowance of today: what this node asked of each peer, and what each peer asked of it."""
    today = calendar.day_of(now)
    most = per_peer(tx, now)
    if not most:
        return
    since = calendar.start_of(today)
    for peer, elements in store.questions.asked_since(tx, since).items():
        yield Nearing("policy: linking_elements_per_day", f"{agency} → {peer}", elements, most)
    for peer, elements in store.questions.evaluated_by_requester(tx, calendar.packed(today)).items():
        yield Nearing("policy: linking_elements_per_day", f"{peer} → {agency}", elements, most)


def warnings(db: Database, agency: str, now: int) -> list[dict[str, Any]]:
    """Limits of which 70 % or more is taken."""
    with db.read() as tx:
        return limit_usage.near(linking_usage(tx, agency, now))
