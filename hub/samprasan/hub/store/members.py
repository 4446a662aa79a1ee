"""Invites, the certificates they were traded for, and when each agency was last seen."""

from typing import NamedTuple

import sqlalchemy as sa
from samprasan.edge.database import row_as, rows_as, upsert_rows
from samprasan.hub.tables import certificates, invites, presence


class Invite(NamedTuple):
    """A row of the table, in the table's order; used up once there is an application."""

    secret_hash: bytes
    agency: str
    name: str
    expires_at: int
    application: bytes | None
    certificate: bytes | None


def add_invite(tx: sa.Connection, secret_hash: bytes, agency: str, name: str, expires_at: int) -> None:
    """A new invite; unused ones for the same agency end."""
    tx.execute(invites.delete().where(invites.c.agency == agency, invites.c.application.is_(None)))
    tx.execute(invites.insert().values(secret_hash=secret_hash, agency=agency, name=name, expires_at=expires_at))


def find_invite(tx: sa.Connection, secret_hash: bytes) -> Invite | None:
    """The invite with that hash, used or not, locked until the transaction ends."""
    query = sa.select(invites).where(invites.c.secret_hash == secret_hash).with_for_update()
    return row_as(Invite, tx.execute(query).first())


def use_invite(
    tx: sa.Connection, secret_hash: bytes, agency: str, application: bytes, certificate: bytes, fingerprint: bytes
) -> None:
    """The invite is used up by this application, and its certificate valid from now on."""
    used = invites.update().where(invites.c.secret_hash == secret_hash)
    tx.execute(used.values(application=application, certificate=certificate))
    tx.execute(certificates.insert().values(fingerprint=fingerprint, agency=agency, revoked=False))


def invited(tx: sa.Connection) -> list[Invite]:
    """Every invite, by agency."""
    return rows_as(Invite, tx.execute(sa.select(invites).order_by(invites.c.agency)))


def agency_of_certificate(tx: sa.Connection, fingerprint: bytes) -> str | None:
    """Whose certificate that is, unless it was revoked or never issued here."""
    query = sa.select(certificates.c.agency).where(certificates.c.fingerprint == fingerprint, ~certificates.c.revoked)
    return tx.execute(query).scalar()


def note_seen(tx: sa.Connection, agency: str, now: int, ahead: int = 0) -> None:
    """The agency said hello; its clock is so many milliseconds ahead of the hub's."""
    upsert_rows(tx, presence, [(agency, now, ahead)])


def clocks_ahead(tx: sa.Connection, since: int) -> dict[str, int]:
    """Agency that said hello since then → how far its clock was ahead of the hub's, milliseconds."""
    return {row.agency: row.clock_ahead for row in tx.execute(sa.select(presence).where(presence.c.seen_at >= since))}


def last_seen(tx: sa.Connection) -> dict[str, int]:
    """Agency → when it last said hello."""
    return {row.agency: row.seen_at for row in tx.execute(sa.select(presence))}
