"""Joint documents over a connection: fetch what is in force and what waits, give back what the hub has lost."""

from samprasan.edge.logs import get_logger
from samprasan.keys.errors import SamprasanError
from samprasan.node.documents import accepted
from samprasan.node.session.session import Session

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
