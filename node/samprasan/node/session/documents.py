"""Joint documents over a connection: fetch what is in force and what waits, give back what the hub has lost."""

from collections.abc import Sequence

from samprasan.edge.logs import get_logger
from samprasan.keys.errors import SamprasanError, Unproven
from samprasan.node.documents import accepted
from samprasan.node.session.session import Session
from samprasan.node.sync import hub_chain
from samprasan.v1 import hub_pb2

_OF_KEYS = {"signature", "dissent", "evaluation_total"}
logger = get_logger("node")


async def fetch_documents(session: Session) -> None:
    """Believe what holds of the hub's documents, renew the inbox, submit what the hub has lost."""
    node = session.node
    listing = await session.hub.list_documents()
    await session.step(accepted.accept_listing, node, listing)
    for lost in await session.step(accepted.lost_by_hub, node, listing):
        try:
            await session.hub.submit_document(lost)
        except SamprasanError as problem:  # it recovers, or too much time has passed
            logger.warning("document not taken back", code=problem.code)


async def keep_entries(session: Session, entries: Sequence[hub_pb2.LogEntry]) -> None:
    """Keep what comes next of the hub's own chain; raises as :func:`hub_chain.keep_entries`.

    What was signed with a key that this node has not heard of is looked at again with the newest documents, which are
    fetched too if a roster took effect that is not here.
    """
    try:
        await session.step(hub_chain.keep_entries, session.node, entries)
    except Unproven as problem:
        if problem.code not in _OF_KEYS:
            raise
        await fetch_documents(session)
        await session.step(hub_chain.keep_entries, session.node, entries)
    lacks_roster = bool(entries) and await session.step(accepted.lacks_roster, session.node.db)
    if lacks_roster:
        await fetch_documents(session)
