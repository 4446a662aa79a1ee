"""Certificates name their agency and serve one side only."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from samprasan.keys import certificates
from samprasan.keys.errors import Malformed, Unproven

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CA_KEY = certificates.new_key()
CA = certificates.authority(CA_KEY, NOW)


def test_a_client_certificate_names_its_agency_whatever_the_request_says() -> None:
    request = certificates.certificate_request(certificates.new_key(), "nhco")
    der = certificates.client_certificate(request, "mpc", CA_KEY, CA, NOW)
    assert certificates.agency_of(certificates.pem_of(der)) == "mpc"
    assert certificates.expires_at(der) == NOW + certificates.CERTIFICATE_LIFETIME
    loaded = x509.load_der_x509_certificate(der)
    loaded.verify_directly_issued_by(x509.load_der_x509_certificate(CA))
    key = loaded.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


def test_a_servers_certificate_is_no_clients() -> None:
    der = certificates.server_certificate(certificates.new_key(), CA_KEY, CA, ["127.0.0.1", "hub.example"], NOW)
    names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [certificates.HUB_NAME, "hub.example"]
    with pytest.raises(Unproven):
        certificates.agency_of(certificates.pem_of(der))


@pytest.mark.parametrize("request_der", [b"", b"x", certificates.certificate_request(CA_KEY, "mpc")[:-1] + b"x"])
def test_a_broken_request_gets_no_certificate(request_der: bytes) -> None:
    with pytest.raises(Malformed):
        certificates.client_certificate(request_der, "mpc", CA_KEY, CA, NOW)


def test_what_is_no_certificate_is_malformed() -> None:
    with pytest.raises(Malformed):
        certificates.pem_of(b"no")
    with pytest.raises(Unproven):
        certificates.agency_of(b"no")
