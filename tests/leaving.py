"""People who take consent back."""

from typing import Any

from samprasan.hub import store as hub_store
from samprasan.node.counter import consent

from tests.federation import Federation, deed

ALL = ("share", "redeem", "integrators")


def withdraw(fed: Federation, number: int, *what: str, agency: str = "mpc") -> dict[str, Any]:
    node = fed.nodes[agency]
    return consent.withdraw(node, deed(1, number).subject, what)


def available(fed: Federation) -> int:
    with fed.hub.db.read() as tx:
        return int(hub_store.ledger.federation_totals(tx)["available"])


def run_without(fed: Federation, kind: str) -> None:
    """Deliver everything but messages of one kind."""
    for _ in range(3):
        waiting = [message for node in fed.nodes.values() for message in node.tick()]
        while waiting:
            message = waiting.pop(0)
            if message.kind != kind:
                waiting.extend(fed.parties[message.to].receive(message))
