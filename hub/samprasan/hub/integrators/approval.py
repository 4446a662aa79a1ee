"""Integrators: who may follow changes without being an agency, because the agencies agreed to it.

The hub's operator lays a document before the agencies: who, what for, what of it, how much, until when.  Once they have
approved it, the operator certifies the key that the integrator made.  To revoke takes the operator alone, and at once;
afterwards only another document, made later, lets the integrator in again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from samprasan.edge.database import Database, Tx, take_turn
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.members import documents as members_documents
from samprasan.hub.members.joining import Authority
from samprasan.keys import certificates, documents, signing
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Malformed, Refused, Unavailable, Unproven
from samprasan.keys.rosters import HUB
from samprasan.ledger import calendar, scopes
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Integrator, IntegratorQuotas, Scope
from samprasan.v1.envelope_pb2 import Envelope

TURN = "samprasan: integrators"  # who changes what is known of one; a snapshot is counted there, too


class Approved(NamedTuple):
    """An integrator that may read now: its document in force, and the epoch of its handles."""

    document: Integrator
    handle_epoch: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the operator asks the agencies to agree to; ``scope`` in words such as ``dimension=health``."""

    name: str
    title: str
    purpose: str
    scope: Sequence[str]
    streams: int
    snapshots_per_day: int
    days: int


def propose(hub: Hub, wanted: Proposal, *, replace: bool = False) -> bytes:
    """Lay the document, unsigned, before the agencies; its digest.

    Raises Malformed ``integrator_name``, ``scope_word``, ``document_form`` or ``document_id``, Refused ``no_roster``,
    ``inbox_full`` or ``integrator_waits``.
    """
    if not documents.is_integrator_name(wanted.name):
        raise Malformed("integrator_name", name=wanted.name)
    scope = scopes.scope_of(wanted.scope)
    now = hub.world.now()
    with hub.db.begin() as tx:
        store.log.lock_head(tx)
        agreed = store.documents.agreed_on(tx)
        _check_agencies(scope, [member.agency for member in agreed.required_roster.members])
        version = store.documents.version_in_force(tx, log.DOCUMENT_KIND_INTEGRATOR, wanted.name) + 1
        if _waits(tx, wanted.name) and not replace:
            raise Refused("integrator_waits", name=wanted.name)
        store.documents.drop_proposed(tx, log.DOCUMENT_KIND_INTEGRATOR, version, wanted.name)
        composed = Integrator(
            federation_id=agreed.federation_id,
            version=version,
            created_at=now,
            expires_at=now + limits.DOCUMENT_LIFETIME_MS,
            name=wanted.name,
            title=wanted.title,
            purpose=wanted.purpose,
            scope=scope,
            quotas=IntegratorQuotas(streams=wanted.streams, snapshots_per_day=wanted.snapshots_per_day),
            valid_until=now + max(0, min(wanted.days, documents.INTEGRATOR_DAYS_MAX + 1)) * DAY_MS,
        )
        documents.check_texts(composed)
        envelope = signing.seal(composed)
        found = documents.check_signatures(envelope, documents.read(envelope), agreed.roster, hub.world.verify)
        members_documents.check_room(tx, HUB, envelope)
        store.documents.save(tx, found, envelope.SerializeToString(), now, active=False, proposed_by=HUB)
    return found.digest


def certify(hub: Hub, authority: Authority, name: str, request: bytes) -> bytes:
    """A client certificate, DER, for the key of a signing request.

    Raises Refused or Unproven as :func:`find_approved`, Malformed ``certificate_request``.
    """
    if len(request) > certificates.REQUEST_BYTES_MAX:
        raise Malformed("certificate_request")
    now = hub.world.now()
    with hub.db.begin() as tx:
        take_turn(tx, TURN)
        find_approved(tx, name, now)
        at = datetime.fromtimestamp(now / 1000, UTC)
        made = certificates.client_certificate(
            request, name, authority.key, authority.certificate, at, certificates.INTEGRATOR
        )
        store.integrators.add_certificate(tx, certificates.fingerprint(made), name, now)
        store.integrators.save(tx, name, store.integrators.find(tx, name))
    return made


def revoke(hub: Hub, name: str) -> None:
    """The integrator sees nothing more, and none of its certificates is valid again; Refused ``integrator_unknown``."""
    with hub.db.begin() as tx:
        take_turn(tx, TURN)
        _document(tx, name)
        store.integrators.save(tx, name, store.integrators.find(tx, name)._replace(revoked_at=hub.world.now()))
        store.integrators.revoke_certificates(tx, name)
        store.integrators.drop_subscriptions(tx, name)


def change_handles(db: Database, name: str) -> None:
    """Give the integrator other handles, ids and cursors; it has to begin with a snapshot.

    Raises Refused ``integrator_unknown``.
    """
    with db.begin() as tx:
        take_turn(tx, TURN)
        _document(tx, name)
        known = store.integrators.find(tx, name)
        store.integrators.save(tx, name, known._replace(handle_epoch=known.handle_epoch + 1))


def find_approved(tx: Tx, name: str, now: int) -> Approved:
    """The integrator, if it may read now.

    Raises Refused ``integrator_unknown`` or ``integrator_over``, Unproven ``integrator_revoked``.
    """
    document = _document(tx, name)
    known = store.integrators.find(tx, name)
    if known.revoked_at and document.created_at <= known.revoked_at:
        raise Unproven("integrator_revoked", name=name)
    if document.valid_until <= now:
        raise Refused("integrator_over", name=name, until=calendar.buddhist(calendar.day_of(document.valid_until)))
    return Approved(document, known.handle_epoch)


def federation_id(db: Database) -> bytes:
    """The federation's id; empty before there is one."""
    with db.read() as tx:
        return store.documents.agreed_on(tx).federation_id


def current_approval(hub: Hub, name: str) -> Approved:
    """:func:`find_approved`, on its own; Unavailable ``hub_recovering`` while the log is not whole."""
    with hub.db.read() as tx:
        return _reading(tx, hub.world, name)


def identify_caller(hub: Hub, fingerprint: bytes, named: str) -> Approved:
    """The integrator of a certificate that this hub issued and that names it.

    Raises Unproven ``certificate_unknown`` or ``integrator_revoked``, Refused as :func:`find_approved`, Unavailable
    ``hub_recovering``.
    """
    with hub.db.read() as tx:
        found = store.integrators.of_certificate(tx, fingerprint)
        if found is None or found[0] != named:
            raise Unproven("certificate_unknown")
        if found[1]:
            raise Unproven("integrator_revoked", name=named)
        return _reading(tx, hub.world, named)


def _reading(tx: Tx, world: World, name: str) -> Approved:
    if store.recovery.current(tx) is not None:
        raise Unavailable("hub_recovering")
    return find_approved(tx, name, world.now())


def list_integrators(db: Database, now: int) -> list[dict[str, Any]]:
    """The answer of ``samprasan-hub integrator list``: in force and proposed, and how far subscriptions have come."""
    with db.read() as tx:
        size = store.log.head_now(tx).size
        proposed = [
            Integrator.FromString(each.payload)
            for each in map(Envelope.FromString, store.documents.proposed(tx))
            if each.payload_type == signing.payload_type(Integrator)
        ]
        in_force = store.documents.agreed_on(tx).integrators
        return [_described(tx, each, now, size) for _, each in sorted(in_force.items())] + [
            _of_document(each) | {"state": "proposed", "subscriptions": []} for each in proposed
        ]


def _check_agencies(scope: Scope, members: Sequence[str]) -> None:
    for agency in scope.agencies:
        if agency not in members:
            raise Malformed("scope_word", word=f"agency={agency}")


def _document(tx: Tx, name: str) -> Integrator:
    found = store.documents.agreed_on(tx).integrators.get(name)
    if found is None:
        raise Refused("integrator_unknown", name=name)
    return found


def _waits(tx: Tx, name: str) -> bool:
    waiting = map(Envelope.FromString, store.documents.proposed(tx))
    kind = signing.payload_type(Integrator)
    return any(each.payload_type == kind and Integrator.FromString(each.payload).name == name for each in waiting)


def _of_document(document: Integrator) -> dict[str, Any]:
    return {
        "name": document.name,
        "version": document.version,
        "title": document.title,
        "purpose": document.purpose,
        "scope": scopes.words_of(document.scope),
        "streams": document.quotas.streams,
        "snapshots_per_day": document.quotas.snapshots_per_day,
        "valid_until": calendar.iso(document.valid_until),
    }


def _described(tx: Tx, document: Integrator, now: int, size: int) -> dict[str, Any]:
    known = store.integrators.find(tx, document.name)
    is_revoked = bool(known.revoked_at) and document.created_at <= known.revoked_at
    state = "revoked" if is_revoked else "over" if document.valid_until <= now else "approved"
    followed = [
        {
            "subscription": each.subscription,
            "behind": max(0, size - each.place.log_index),
            "heard_at": calendar.iso(each.heard_at),
            "is_silent": now - each.heard_at >= limits.SUBSCRIPTION_SILENT_MS,
        }
        for each in store.integrators.subscriptions_of(tx, document.name)
    ]
    return _of_document(document) | {"state": state, "subscriptions": followed}
