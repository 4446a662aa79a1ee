"""An integrator's credentials: its own key, and what the hub's operator gave it for the request.

The integrator makes the key and asks with a signing request; the operator answers with a *certificate file*, which
anybody may read; together they are all that a client needs.  The credentials are private.
"""

import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from samprasan.keys import certificates
from samprasan.keys.errors import Malformed, Refused

CREDENTIALS_BYTES_MAX = 16_384
_TEXTS = ("integrator", "hub", "authority", "certificate")


@dataclass(frozen=True, slots=True)
class Issued:
    """What the operator gives.  ``hub`` is ``HOST:PORT``, certificates are PEM, ``hub_key`` raw Ed25519."""

    integrator: str
    hub: str
    authority: str
    certificate: str
    hub_key: bytes
    federation_id: bytes

    def encode(self) -> bytes:
        """The file's bytes."""
        return _written({"samprasan_certificate": 1} | self.as_document())

    def as_document(self) -> dict[str, Any]:
        """The file's content."""
        return {
            "integrator": self.integrator,
            "hub": self.hub,
            "authority": self.authority,
            "certificate": self.certificate,
            "hub_key": self.hub_key.hex(),
            "federation_id": self.federation_id.hex(),
        }

    @classmethod
    def decode(cls, data: bytes) -> "Issued":
        """From a file's bytes; else Malformed ``certificate_file``."""
        try:
            return cls.from_document(_read(data, "samprasan_certificate"))
        except (ValueError, KeyError, TypeError) as problem:
            raise Malformed("certificate_file") from problem

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Issued":
        """From :meth:`as_document`; ValueError, KeyError or TypeError if it is none."""
        integrator, hub, authority, certificate = (document[key] for key in _TEXTS)
        if not all(isinstance(each, str) and each for each in (integrator, hub, authority, certificate)):
            raise ValueError
        hub_key, federation_id = bytes.fromhex(document["hub_key"]), bytes.fromhex(document["federation_id"])
        return cls(integrator, hub, authority, certificate, hub_key, federation_id)


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """An integrator's key, PEM, and what was issued for it; None before that."""

    integrator: str
    key: str
    issued: Issued | None = None

    @classmethod
    def new(cls, integrator: str) -> "Credentials":
        """With a new P-256 key."""
        return cls(integrator, certificates.key_pem(certificates.new_key()).decode())

    @property
    def request(self) -> bytes:
        """The signing request (PKCS #10, PEM) for the hub's operator."""
        key = certificates.load_key(self.key.encode())
        return certificates.request_pem(certificates.certificate_request(key, self.integrator))

    @property
    def complete(self) -> Issued:
        """What was issued; Refused ``credentials_incomplete`` before that."""
        if self.issued is None:
            raise Refused("credentials_incomplete", integrator=self.integrator)
        return self.issued

    def accepted(self, issued: Issued) -> "Credentials":
        """Complete, if the certificate is for this key; else Malformed ``certificate_foreign``."""
        own = certificates.load_key(self.key.encode()).public_key()
        if certificates.public_key_of(issued.certificate.encode()) != own.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ):
            raise Malformed("certificate_foreign", integrator=self.integrator)
        return Credentials(issued.integrator, self.key, issued)

    def encode(self) -> bytes:
        """The file's bytes."""
        document: dict[str, Any] = {"samprasan_credentials": 1, "integrator": self.integrator, "key": self.key}
        return _written(document | (self.issued.as_document() if self.issued else {}))

    @classmethod
    def decode(cls, data: bytes) -> "Credentials":
        """From a file's bytes; else Malformed ``credentials_file``."""
        try:
            document = _read(data, "samprasan_credentials")
            integrator, key = document["integrator"], document["key"]
            if not isinstance(integrator, str) or not isinstance(key, str):
                raise ValueError
            return cls(integrator, key, Issued.from_document(document) if "certificate" in document else None)
        except (ValueError, KeyError, TypeError) as problem:
            raise Malformed("credentials_file") from problem


def _read(data: bytes, kind: str) -> dict[str, Any]:
    document = json.loads(data) if len(data) <= CREDENTIALS_BYTES_MAX else None
    if not isinstance(document, dict) or document.get(kind) != 1:
        raise ValueError
    return document


def _written(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
