"""A rotation of the linking key."""

from collections.abc import Callable
from typing import Any

from samprasan.hub.members import documents
from samprasan.hub.tables import subjects
from samprasan.node import limits
from samprasan.node.documents import inbox, proposals
from samprasan.node.process import status as node_overview

from tests import federation
from tests.federation import Federation, Message, deed


def start(fed: Federation) -> None:
    """mpc proposes to rotate the key, nhco approves; the ceremony makes the next one, and nothing more yet."""
    mpc, nhco = fed.nodes["mpc"], fed.nodes["nhco"]
    proposal = proposals.propose_ceremony(mpc, proposals.ROTATE)
    documents.submit_document(fed.hub, "mpc", proposal)
    federation.share_documents(fed)
    (waiting,) = inbox.inbox(nhco)
    signed = inbox.approve(nhco, waiting, "")
    documents.submit_document(fed.hub, "nhco", signed)
    federation.share_documents(fed)


def go_on(fed: Federation, rounds: int = 8) -> None:
    """Ticks a minute apart."""
    for _ in range(rounds):
        fed.run()
        fed.clock.now_ms += limits.REKEY_AGAIN_MS
        federation.share_documents(fed)


def keys(fed: Federation) -> dict[bytes, tuple[bytes, int]]:
    """Account → its one subject key and epoch at the hub."""
    with fed.hub.db.read() as tx:
        rows = list(tx.execute(subjects.select()))
    found = {row.account_id: (row.subject_key, row.key_epoch) for row in rows}
    assert len(found) == len(rows)
    return found


def linking_status(fed: Federation, agency: str) -> dict[str, Any]:
    node = fed.nodes[agency]
    found: dict[str, Any] = node_overview.status(node, None)["linking"]
    return found


def epoch(fed: Federation, agency: str = "mpc") -> tuple[int, int]:
    """The key in force and the next one, as a node believes."""
    status = linking_status(fed, agency)
    return status["key_epoch"], (status["rotation"] or {"key_epoch": 0})["key_epoch"]


def populate(fed: Federation) -> dict[bytes, tuple[bytes, int]]:
    fed.give("mpc", *(deed(number, number) for number in range(6)))
    fed.give("nhco", *(deed(number, number) for number in range(3, 9)))
    fed.give("codi", *(deed(number, number) for number in range(5, 7)))
    fed.run()
    return keys(fed)


def go_on_until_next(fed: Federation) -> None:
    """Hold the ceremony, and keep every node from telling the hub of its next keys."""
    for _ in range(6):
        waiting = [message for node in fed.nodes.values() for message in node.tick()]
        while waiting:
            message = waiting.pop(0)
            if message.kind != "rekey":
                waiting.extend(fed.parties[message.to].receive(message))
        federation.share_documents(fed)


def rounds(fed: Federation, drop: Callable[[Message], bool], count: int = 6) -> None:
    """Ticks a minute apart in which some messages are lost."""
    for _ in range(count):
        waiting = [message for node in fed.nodes.values() for message in node.tick()]
        while waiting:
            message = waiting.pop(0)
            if not drop(message):
                waiting.extend(fed.parties[message.to].receive(message))
        fed.clock.now_ms += limits.REKEY_AGAIN_MS
        federation.share_documents(fed)
