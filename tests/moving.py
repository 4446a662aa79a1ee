"""Moves of mpc's deeds, as two officers make them, and another agency's approval."""

from typing import Any

from samprasan.hub.members import documents
from samprasan.keys.documents import read
from samprasan.node.counter import balance
from samprasan.node.deeds import moves as deeds_moves
from samprasan.node.documents import inbox, proposals
from samprasan.v1.documents_pb2 import MOVE_REASON_WRONG_ID, Move

from tests import federation
from tests.federation import Federation, NodeParty, deed


def joint_move(node: NodeParty, **changes: Any) -> Move:
    """A move of one credit, as its agency lays it before the others; it is nobody's account."""
    grant = read(proposals.propose_grant(node, 1, 1))
    common = {each: getattr(grant, each) for each in ("federation_id", "version", "created_at", "expires_at", "agency")}
    own = {"account": bytes(16), "awards": 1, "credits": 1, "reason": MOVE_REASON_WRONG_ID, "move_id": bytes(16)}
    return Move(**(common | own | {"version": 1} | changes))


def propose_merge(fed: Federation, wrong: int = 1, right: int = 2, **changes: Any) -> dict[str, Any]:
    said = {"name": "ชื่อสมมติ 2", "reason": "two-ids", "by": "มาลี"} | changes
    proposal = deeds_moves.Proposal(deed(1, right).subject, **said)
    return deeds_moves.merge(fed.nodes["mpc"], deed(1, wrong).subject, proposal)


def propose_split(fed: Federation, *record_ids: str, right: int = 2, **changes: Any) -> dict[str, Any]:
    said = {"name": "ชื่อสมมติ 2", "reason": "wrong-id", "by": "มาลี"} | changes
    proposal = deeds_moves.Proposal(deed(1, right).subject, **said)
    return deeds_moves.split(fed.nodes["mpc"], "test", record_ids, proposal)


def confirm(fed: Federation, move: dict[str, Any], by: str = "สมชาย") -> str:
    """What the command does: ask the hub who else is linked, carry it out or submit a document; the state after."""
    node = fed.nodes["mpc"]
    number = int(move["move_id"])
    shown = deeds_moves.show_move(node, number)
    request = deeds_moves.question(node, number, by)
    elsewhere = False
    if request is not None:
        totals = fed.ask_hub("mpc", "totals", request)
        elsewhere = balance.is_linked_elsewhere(node, request, totals)
    envelope = deeds_moves.confirm_move(node, number, by, shown, linked_elsewhere=elsewhere)
    if envelope is not None:
        documents.submit_document(fed.hub, "mpc", envelope)
        federation.share_documents(fed)
    return str(deeds_moves.show_move(node, number)["state"])


def approve(fed: Federation, agency: str = "nhco") -> Move:
    """The only document that waits is approved; what it says."""
    node = fed.nodes[agency]
    (waiting,) = inbox.inbox(node)
    signed = inbox.approve(node, waiting, "")
    documents.submit_document(fed.hub, agency, signed)
    federation.share_documents(fed)
    assert isinstance(waiting.body, Move)
    return waiting.body
