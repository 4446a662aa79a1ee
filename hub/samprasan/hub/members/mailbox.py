"""The mailbox: how nodes reach each other.  Durable, sealed for its reader, deleted once dealt with."""

from samprasan.edge.database import Store
from samprasan.edge.world import World
from samprasan.hub import limits
from samprasan.hub.store import documents as documents_store
from samprasan.hub.store import mailbox as mailbox_store
from samprasan.keys import documents
from samprasan.keys.errors import Malformed, Refused, Unavailable
from samprasan.v1 import hub_pb2

_NUMBER_MAX = 2**63 - 1  # the database's integers have a sign


def post(store: Store, world: World, sender: str, request: hub_pb2.PostMailRequest) -> None:
    """Keep mail for another agency.

    Raises Malformed ``request``, Refused ``agency_unknown``, Unavailable ``mailbox_full``.
    """
    if not 0 < len(request.sealed) <= limits.MAIL_BYTES_MAX:
        raise Malformed("request", limit=limits.MAIL_BYTES_MAX)
    with store.begin() as tx:
        reader = documents.member(documents_store.agreed_on(tx).roster_with(sender), request.to).agency
        if reader == sender:
            raise Refused("agency_unknown", agency=reader)
        if mailbox_store.waiting(tx, reader, sender) >= limits.MAIL_WAITING_MAX:
            mailbox_store.delete_older(tx, world.now() - limits.MAIL_KEPT_MS)
            raise Unavailable("mailbox_full", agency=reader)
        mailbox_store.post(tx, reader, sender, request.sealed, world.now())


def after(store: Store, reader: str, number: int) -> list[hub_pb2.Mail]:
    """``reader``'s mail with a higher number, ascending, a few pieces at a time."""
    with store.read() as tx:
        rows = mailbox_store.after(tx, reader, min(number, _NUMBER_MAX), limits.MAIL_PER_READ)
    return [hub_pb2.Mail(number=row.number, sender=row.sender, sealed=row.sealed) for row in rows]


def acknowledge(store: Store, reader: str, number: int) -> None:
    """Delete a piece of ``reader``'s mail."""
    with store.begin() as tx:
        mailbox_store.delete(tx, reader, min(number, _NUMBER_MAX))


def news(store: Store) -> tuple[int, int]:
    """Two numbers that grow with new mail and with news about documents: what wakes the streams."""
    with store.read() as tx:
        return mailbox_store.newest(tx), documents_store.changed(tx)
