"""Joining: an invite, used once, is traded for a client certificate.

An invite's secret is kept only as its hash.  Repeating a join with the same keys gets the same certificate, so a
lost answer loses nothing; other keys with the same invite are refused.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec
from samprasan.edge.database import Tx
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.keys import certificates, plain_text, rosters, sealing, signing
from samprasan.keys.errors import Malformed, Refused, Unproven
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Authority:
    """The hub's certificate authority: its key and its own certificate, DER."""

    key: ec.EllipticCurvePrivateKey
    certificate: bytes


def invite(hub: Hub, agency: str, name: str) -> tuple[bytes, int]:
    """A new invite's secret (32 bytes) and when it expires; an unused one for the same agency ends.

    Raises Malformed ``agency_code``, Refused ``already_joined``.
    """
    rosters.check_agency_code(agency)
    if not 0 < len(name) <= rosters.NAME_LENGTH_MAX or not plain_text.is_plain(name):
        raise Malformed("agency_name")
    secret = hub.world.random_bytes(SECRET_BYTES)
    expires_at = hub.world.now() + limits.INVITE_LIFETIME_MS
    with hub.db.begin() as tx:
        if any(each.agency == agency and each.application is not None for each in store.members.invited(tx)):
            raise Refused("already_joined", agency=agency)
        store.members.add_invite(tx, hashlib.sha256(secret).digest(), agency, name, expires_at)
    return secret, expires_at


def examine(hub: Hub, request: hub_pb2.JoinRequest) -> hub_pb2.Application:
    """The application of somebody who holds an invite, signed by the key it names.

    Raises Refused ``invite_unknown`` before anything costs much; Unproven ``signature``, Malformed ``application``.
    """
    with hub.db.read() as tx:
        if store.members.find_invite(tx, hashlib.sha256(request.invite_secret).digest()) is None:
            raise Refused("invite_unknown")
    application = signing.decode(hub_pb2.Application, request.application.payload)
    sound = len(application.signing_key) == 32 and sealing.is_sound(application.sealing_key)
    if not sound or len(application.certificate_request) > certificates.REQUEST_BYTES_MAX:
        raise Malformed("application")
    return hub.world.open(request.application, hub_pb2.Application, application.signing_key)


def join(
    hub: Hub,
    authority: Authority,
    request: hub_pb2.JoinRequest,
    application: hub_pb2.Application,
) -> bytes:
    """The client certificate, DER, for an examined application that an invite covers.

    Raises Refused ``invite_unknown``, ``invite_expired``, ``invite_used``; Unproven ``invite_foreign``; Malformed
    ``application`` if another agency has the same key.
    """
    secret_hash = hashlib.sha256(request.invite_secret).digest()
    data = request.application.SerializeToString()
    with hub.db.begin() as tx:
        found = store.members.find_invite(tx, secret_hash)
        if found is None:
            raise Refused("invite_unknown")
        if found.agency != application.agency:
            raise Unproven("invite_foreign", agency=found.agency)
        if found.application is not None and found.certificate is not None:
            if not _same_keys(_application(found.application), application):
                raise Refused("invite_used", agency=found.agency)
            return found.certificate
        if found.expires_at <= hub.world.now():
            raise Refused("invite_expired", agency=found.agency)
        if any(_application(each).signing_key == application.signing_key for each in _joined(tx)):
            raise Malformed("application")
        now = datetime.fromtimestamp(hub.world.now() / 1000, UTC)
        certificate = certificates.client_certificate(
            application.certificate_request, found.agency, authority.key, authority.certificate, now
        )
        store.members.use_invite(
            tx, secret_hash, found.agency, data, certificate, certificates.fingerprint(certificate)
        )
    return certificate


def _joined(tx: Tx) -> list[bytes]:
    """The applications of everybody who has joined."""
    return [each.application for each in store.members.invited(tx) if each.application is not None]


def _application(envelope: bytes) -> hub_pb2.Application:
    return hub_pb2.Application.FromString(Envelope.FromString(envelope).payload)


def _same_keys(earlier: hub_pb2.Application, application: hub_pb2.Application) -> bool:
    return (earlier.signing_key, earlier.sealing_key) == (application.signing_key, application.sealing_key)
