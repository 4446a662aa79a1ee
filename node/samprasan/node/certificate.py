"""A node's certificates: its own, which the hub signs when it joins, and those that it signs for its applications."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from samprasan.client import connection
from samprasan.edge.configuration import address_of
from samprasan.keys import certificates, rosters, sealing
from samprasan.keys.errors import Malformed, Refused
from samprasan.keys.invitation import INVITE_BYTES_MAX, Invitation
from samprasan.keys.keyring import write_private
from samprasan.node import home
from samprasan.node.home import Home
from samprasan.v1 import hub_pb2


def join(opened: Home, invite_file: Path) -> Invitation:
    """Trade an invite for this node's certificate.  Refused ``invite_foreign`` for another agency's invite."""
    try:
        with invite_file.open("rb") as file:
            invitation = Invitation.decode(file.read(INVITE_BYTES_MAX + 1))
    except OSError as problem:
        raise Refused("file_missing", file=invite_file.name) from problem
    if invitation.agency != opened.settings.agency:
        raise Refused("invite_foreign", agency=invitation.agency)
    application = opened.node.world.sign(_application(opened))
    certificate = asyncio.run(connection.join(invitation, application))
    if certificates.agency_of(certificates.pem_of(certificate)) != opened.settings.agency:
        raise Malformed("certificate")
    write_private(opened.path / home.AUTHORITY_FILE, invitation.authority)
    write_private(opened.path / home.HUB_FILE, invitation.hub.encode())
    write_private(opened.path / home.CERTIFICATE_FILE, certificate)
    return invitation


def make_counter_credentials(opened: Home) -> tuple[bytes, bytes, bytes] | None:
    """Key, certificate and authority (PEM) of the local service's listener; None if it listens at a Unix socket."""
    address = opened.settings.counter
    if not address or address.startswith("unix:"):
        return None
    authority_key, authority = _find_or_make_authority(opened)
    key = certificates.new_key()
    hosts = ("localhost", address_of(address)[0])
    server = certificates.server_certificate(key, authority_key, authority, hosts, datetime.now(UTC))
    return certificates.key_pem(key), certificates.pem_of(server), certificates.pem_of(authority)


def admit_application(opened: Home, name: str, out: Path) -> None:
    """Write a key, its certificate and the authority's for an application; Malformed ``agency_code``."""
    rosters.check_agency_code(name)
    authority_key, authority = _find_or_make_authority(opened)
    key = certificates.new_key()
    request = certificates.certificate_request(key, name)
    own = certificates.client_certificate(request, name, authority_key, authority, datetime.now(UTC))
    parts = (certificates.key_pem(key), certificates.pem_of(own), certificates.pem_of(authority))
    write_private(out, b"".join(parts))


def _find_or_make_authority(opened: Home) -> tuple[EllipticCurvePrivateKey, bytes]:
    """The authority of the agency's own applications, made when it is first needed."""
    path = opened.path / home.COUNTER_AUTHORITY_FILE
    if not path.exists():
        key = certificates.new_key()
        opened.ring.save("counter-authority", certificates.key_pem(key))
        write_private(path, certificates.authority(key, datetime.now(UTC)))
    return certificates.load_key(opened.ring.get("counter-authority")), path.read_bytes()


def _application(opened: Home) -> hub_pb2.Application:
    key = certificates.load_key(opened.ring.get("tls"))
    return hub_pb2.Application(
        agency=opened.settings.agency,
        signing_key=opened.node.world.signer.public_key,
        sealing_key=sealing.sealing_public_key(opened.node.identity.mail_key),
        certificate_request=certificates.certificate_request(key, opened.settings.agency),
    )
