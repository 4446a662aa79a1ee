"""How much of the day's linking allowance is taken: what this node asked of each peer, and each peer of it."""

from collections.abc import Iterator
from typing import Any

from samprasan.edge.database import Database, Tx
from samprasan.ledger import calendar, limit_usage, policy
from samprasan.ledger.limit_usage import Nearing
from samprasan.node import limits, store


def linking_usage(tx: Tx, agency: str, now: int) -> Iterator[Nearing]:
    """The linking allowance of today: what this node asked of each peer, and what each peer asked of it."""
    today = calendar.day_of(now)
    current = policy.in_force(store.documents.agreed_on(tx).policies.values(), today)
    if current is None:
        return
    most = current.linking_elements_per_day // limits.QUOTA_SHARE
    since = calendar.start_of(today)
    for peer, elements in store.questions.asked_since(tx, since).items():
        yield Nearing("policy: linking_elements_per_day", f"{agency} → {peer}", elements, most)
    for peer, elements in store.questions.evaluated_by_requester(tx, calendar.packed(today)).items():
        yield Nearing("policy: linking_elements_per_day", f"{peer} → {agency}", elements, most)


def warnings(db: Database, agency: str, now: int) -> list[dict[str, Any]]:
    """Limits of which 70 % or more is taken."""
    with db.read() as tx:
        return limit_usage.near(linking_usage(tx, agency, now))
