"""X.509 for mutual TLS 1.3: the hub is the certificate authority, ECDSA P-256 (gRPC's TLS takes no Ed25519).

A node's certificate names its agency in a URI (``samprasan:agency/CODE``), an integrator's its name
(``samprasan:integrator/NAME``); both serve clients only, the hub's serves servers only.  Who a caller is comes from
here and from nowhere else.
"""

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from samprasan.keys.errors import Malformed, Unproven

HUB_NAME = "samprasan-hub"
AUTHORITY_LIFETIME = timedelta(days=3650)  # a new authority means a new roster
CERTIFICATE_LIFETIME = timedelta(days=398)
REQUEST_BYTES_MAX = 4096
AGENCY, INTEGRATOR = "agency", "integrator"
_URI = "samprasan:{what}/"
_BACKDATED = timedelta(minutes=5)  # clocks of the two sides differ


def new_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as unencrypted PKCS #8: what gRPC's TLS and a keyring are given, never a file."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The key of :func:`key_pem`."""
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Malformed("certificate")
    return key


def pem_of(der: bytes) -> bytes:
    """A DER certificate as PEM; Malformed ``certificate`` if it is none."""
    return _load(der).public_bytes(serialization.Encoding.PEM)


def authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> bytes:
    """The hub's self-signed authority, DER."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Samprasan hub authority")])
    return _sign(
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True),
        key,
    )


def server_certificate(
    key: ec.EllipticCurvePrivateKey,
    authority_key: ec.EllipticCurvePrivateKey,
    authority_der: bytes,
    hosts: Sequence[str],
    now: datetime,
) -> bytes:
    """The hub's own certificate for :data:`HUB_NAME` and ``hosts`` (names or addresses), DER."""
    issuer = _load(authority_der).subject
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HUB_NAME)])
    names = [x509.DNSName(HUB_NAME), *(_host(host) for host in hosts)]
    return _sign(
        _builder(name, issuer, key.public_key(), now, CERTIFICATE_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=True),
        authority_key,
    )


def certificate_request(key: ec.EllipticCurvePrivateKey, named: str) -> bytes:
    """A signing request (PKCS #10, DER) for the client certificate of an agency or an integrator."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, named)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def request_pem(der: bytes) -> bytes:
    """A signing request as PEM."""
    return x509.load_der_x509_csr(der).public_bytes(serialization.Encoding.PEM)


def request_der(data: bytes) -> bytes:
    """A signing request, PEM or DER, as DER; Malformed ``certificate_request``."""
    try:
        request = x509.load_pem_x509_csr(data) if data.startswith(b"-----") else x509.load_der_x509_csr(data)
    except ValueError as problem:
        raise Malformed("certificate_request") from problem
    return request.public_bytes(serialization.Encoding.DER)


def public_key_of(pem: bytes) -> bytes:
    """The public key that a certificate is for, DER; Malformed ``certificate``."""
    try:
        key = x509.load_pem_x509_certificate(pem).public_key()
    except ValueError as problem:
        raise Malformed("certificate") from problem
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def client_certificate(
    request: bytes,
    named: str,
    authority_key: ec.EllipticCurvePrivateKey,
    authority_der: bytes,
    now: datetime,
    what: str = AGENCY,
) -> bytes:
    """A client certificate, DER, for the request's key and the agency, or the ``what``, that is so ``named``.

    What else the request says does not count.

    Raises Malformed ``certificate_request``.
    """
    try:
        asked = x509.load_der_x509_csr(request)
        key = asked.public_key()
        if not asked.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
            raise ValueError
    except (ValueError, InvalidSignature) as problem:
        raise Malformed("certificate_request") from problem
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, named)])
    uri = x509.UniformResourceIdentifier(_URI.format(what=what) + named)
    return _sign(
        _builder(name, _load(authority_der).subject, key, now, CERTIFICATE_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=True),
        authority_key,
    )


def agency_of(pem: bytes) -> str:
    """The agency that a client certificate names; Unproven ``certificate_agency`` if it names none or serves no client.

    The TLS handshake has already tested the chain and the dates.
    """
    if named := _named_in(pem, AGENCY):
        return named
    raise Unproven("certificate_agency")


def integrator_of(pem: bytes) -> str:
    """The integrator that a client certificate names; else Unproven ``certificate_integrator``."""
    if named := _named_in(pem, INTEGRATOR):
        return named
    raise Unproven("certificate_integrator")


def _named_in(pem: bytes, what: str) -> str:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound):
        return ""
    prefix = _URI.format(what=what)
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage or len(uris) != 1 or not uris[0].startswith(prefix):
        return ""
    return uris[0].removeprefix(prefix)


def fingerprint(der: bytes) -> bytes:
    """SHA-256 of the certificate, 32 bytes."""
    return _load(der).fingerprint(hashes.SHA256())


def expires_at(der: bytes) -> datetime:
    """When the certificate ends, UTC."""
    return _load(der).not_valid_after_utc


def _load(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as problem:
        raise Malformed("certificate") from problem


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
