"""The mailbox: how nodes reach each other.  Durable, sealed for its reader, deleted once dealt with."""

from samprasan.edge.database import Database
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.keys import rosters
from samprasan.keys.errors import Malformed, Refused, Unavailable
from samprasan.v1 import hub_pb2

_NUMBER_MAX = 2**63 - 1  # the database's integers have a sign


def post_mail(hub: Hub, sender: str, request: hub_pb2.PostMailRequest) -> None:
    """Keep mail for another agency.

    Raises Malformed ``request``, Refused ``agency_unknown``, Unavailable ``mailbox_full``.
    """
    if not 0 < len(request.sealed) <= limits.MAIL_BYTES_MAX:
        raise Malformed("request", limit=limits.MAIL_BYTES_MAX)
    with hub.db.begin() as tx:
        reader = rosters.member(store.documents.agreed_on(tx).roster_with(sender), request.to).agency
        if reader == sender:
            raise Refused("agency_unknown", agency=reader)
        if store.mailbox.waiting(tx, reader, sender) >= limits.MAIL_WAITING_MAX:
            if hub.world.is_right():
                store.mailbox.delete_older(tx, hub.world.now() - limits.MAIL_KEPT_MS)
            raise Unavailable("mailbox_full", agency=reader)
        store.mailbox.post(tx, reader, sender, request.sealed, hub.world.now())


def mail_after(db: Database, reader: str, number: int) -> list[hub_pb2.Mail]:
    """``reader``'s mail with a higher number, ascending, a few pieces at a time."""
    with db.read() as tx:
        rows = store.mailbox.after(tx, reader, min(number, _NUMBER_MAX), limits.MAIL_PER_READ)
    return [hub_pb2.Mail(number=row.number, sender=row.sender, sealed=row.sealed) for row in rows]


def acknowledge_mail(db: Database, reader: str, number: int) -> None:
    """Delete a piece of ``reader``'s mail."""
    with db.begin() as tx:
        store.mailbox.delete(tx, reader, min(number, _NUMBER_MAX))


def news_numbers(db: Database) -> tuple[int, int]:
    """Two numbers that grow with new mail and with news about documents: what wakes the streams."""
    with db.read() as tx:
        return store.mailbox.newest(tx), store.documents.changed(tx)
