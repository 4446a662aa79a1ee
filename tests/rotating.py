"""A rotation of the linking key."""

from samprasan.hub.members import documents
from samprasan.node import limits
from samprasan.node.documents import inbox, proposals

from tests import federation
from tests.federation import Federation


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
