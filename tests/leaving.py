"""People who take consent back."""

from typing import Any

from samprasan.hub import store as hub_store
from samprasan.keys.durations import DAY_MS
from samprasan.ledger import account_rest
from samprasan.node import limits
from samprasan.node.counter import consent
from samprasan.node.tables import subjects

from tests.federation import Federation, Message, deed

ALL = ("share", "redeem", "integrators")


def withdraw(fed: Federation, number: int, *what: str, agency: str = "mpc") -> dict[str, Any]:
    node = fed.nodes[agency]
    return consent.withdraw(node, deed(1, number).subject, what)


def leave(fed: Federation, number: int, agency: str = "mpc") -> dict[str, Any]:
    """The subject takes all consent back, and the days in which that can be put right have passed."""
    said = withdraw(fed, number, *ALL, agency=agency)
    fed.clock.now_ms += limits.UNLINK_GRACE_MS
    return said


def end_grace(fed: Federation, agency: str = "mpc") -> None:
    """As if those who took all consent back had done so a week ago."""
    with fed.nodes[agency].db.begin() as tx:
        left = subjects.c.unlink_at.is_not(None)
        tx.execute(subjects.update().where(left).values(unlink_at=fed.clock()))


def close_what_rests(fed: Federation) -> None:
    """A week and a day pass: accounts that nobody came back to are nobody's."""
    fed.clock.now_ms += (account_rest.REST_DAYS + 1) * DAY_MS
    fed.run()


def available(fed: Federation) -> int:
    with fed.hub.db.read() as tx:
        return int(hub_store.ledger.federation_totals(tx)["available"])


def run_without(fed: Federation, kind: str) -> list[Message]:
    """Deliver everything but messages of one kind; those."""
    kept_back = []
    for _ in range(3):
        waiting = [message for node in fed.nodes.values() for message in node.tick()]
        while waiting:
            message = waiting.pop(0)
            if message.kind == kind:
                kept_back.append(message)
            else:
                waiting.extend(fed.parties[message.to].receive(message))
    return kept_back
