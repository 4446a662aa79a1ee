"""Integrators at the hub: their certificates, the epoch of their handles, how far their subscriptions have come."""

from typing import NamedTuple

import sqlalchemy as sa
from samprasan.edge.database import upsert_rows
from samprasan.hub.tables import integrator_certificates, integrators, subscriptions
from samprasan.keys.handles import Place

FIRST_EPOCH = 1


class Known(NamedTuple):
    """What is known of an integrator besides its document; ``revoked_at`` 0: it is not."""

    handle_epoch: int = FIRST_EPOCH
    revoked_at: int = 0
    day: int = 0
    snapshots: int = 0


class Subscription(NamedTuple):
    """How far a subscription has come, under which handles and scope, and when its reader last said so."""

    integrator: str
    subscription: str
    place: Place
    handle_epoch: int
    scope: bytes
    heard_at: int


def find(tx: sa.Connection, name: str) -> Known:
    """What is known of it."""
    row = tx.execute(sa.select(integrators).where(integrators.c.integrator == name)).first()
    return Known(row.handle_epoch, row.revoked_at or 0, row.day, row.snapshots) if row else Known()


def save(tx: sa.Connection, name: str, known: Known) -> None:
    """Keep it."""
    upsert_rows(tx, integrators, [(name, known.handle_epoch, known.revoked_at or None, known.day, known.snapshots)])


def add_certificate(tx: sa.Connection, fingerprint: bytes, name: str, now: int) -> None:
    """A certificate is valid from now on."""
    row = {"fingerprint": fingerprint, "integrator": name, "issued_at": now, "revoked": False}
    tx.execute(integrator_certificates.insert().values(row))


def of_certificate(tx: sa.Connection, fingerprint: bytes) -> tuple[str, bool] | None:
    """Whose certificate that is, and whether it was revoked; None if it was never issued here."""
    table = integrator_certificates
    row = tx.execute(sa.select(table).where(table.c.fingerprint == fingerprint)).first()
    return (row.integrator, bool(row.revoked)) if row else None


def revoke_certificates(tx: sa.Connection, name: str) -> None:
    """None of them is valid any more."""
    table = integrator_certificates
    tx.execute(table.update().where(table.c.integrator == name).values(revoked=True))


def subscription(tx: sa.Connection, name: str, subscribed: str) -> Subscription | None:
    """One of its subscriptions."""
    own = (subscriptions.c.integrator == name, subscriptions.c.subscription == subscribed)
    row = tx.execute(sa.select(subscriptions).where(*own)).first()
    return _subscription(row) if row else None


def subscriptions_of(tx: sa.Connection, name: str) -> list[Subscription]:
    """All of them, by name."""
    query = sa.select(subscriptions).where(subscriptions.c.integrator == name)
    return [_subscription(row) for row in tx.execute(query.order_by(subscriptions.c.subscription))]


def acknowledge(tx: sa.Connection, found: Subscription) -> None:
    """Its reader has dealt with all before that place."""
    name, subscribed, place, *rest = found
    upsert_rows(tx, subscriptions, [(name, subscribed, *place, *rest)])


def drop_subscriptions(tx: sa.Connection, name: str) -> None:
    """All of one integrator."""
    tx.execute(subscriptions.delete().where(subscriptions.c.integrator == name))


def drop_silent(tx: sa.Connection, moment: int) -> int:
    """Forget subscriptions that were not heard of since; how many."""
    return tx.execute(subscriptions.delete().where(subscriptions.c.heard_at < moment)).rowcount


def _subscription(row: sa.Row[tuple[object, ...]]) -> Subscription:
    place = Place(row.log_index, row.skipped, row.cuts)
    return Subscription(
        integrator=row.integrator,
        subscription=row.subscription,
        place=place,
        handle_epoch=row.handle_epoch,
        scope=bytes(row.scope),
        heard_at=row.heard_at,
    )
