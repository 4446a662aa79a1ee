"""DSSE envelopes: Ed25519 over PAE(payload type, payload), and what may be believed of them.

A signature covers the bytes as sent.  Reading a payload back is strict: one that has unknown fields, or that would be
encoded differently, is Malformed, so that no two readings of the same signed bytes exist.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from samprasan.keys.errors import Malformed, Unproven
from samprasan.v1.envelope_pb2 import Envelope, Signature

ENVELOPE_BYTES_MAX = 1 << 20  # one gRPC message carries one envelope
SIGNATURES_MAX = 32  # a roster is signed by the agencies of the old one and of the new one, 16 at most each
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_FIELD = 2**255 - 19
_Y_MASK = 2**255 - 1
# y of the eight points whose order divides 8: the identity, the point of order 2, those of order 4, and of order 8.
_ORDER_8_Y = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
_SMALL_ORDER_Y = frozenset({1, _FIELD - 1, 0, _ORDER_8_Y, _FIELD - _ORDER_8_Y})
_TYPE_PREFIX = "application/vnd.samprasan.v1."

M = TypeVar("M", bound=Message)
Verify = Callable[[bytes, bytes, bytes], bool]
"""``verify(public_key, data, signature)``: whether the raw Ed25519 key made the signature over the data."""


class Signer(Protocol):
    """Whoever holds a signing key."""

    @property
    def public_key(self) -> bytes:
        """Raw Ed25519 public key, 32 bytes."""

    def sign(self, data: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""


class KeySigner:
    """A signer with its private key in memory."""

    def __init__(self, seed: bytes) -> None:
        """``seed`` is the raw Ed25519 private key, 32 bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._key.public_key().public_bytes_raw()

    @property
    def public_key(self) -> bytes:
        """Raw Ed25519 public key, 32 bytes."""
        return self._public

    def sign(self, data: bytes) -> bytes:
        """Ed25519 signature (RFC 8032), 64 bytes."""
        return self._key.sign(data)


def verify_ed25519(public_key: bytes, data: bytes, signature: bytes) -> bool:
    """Whether ``signature`` over ``data`` was made with the raw ``public_key`` (RFC 8032).

    A key of small order, or one that is not written canonically, verifies nothing: under the former anybody can sign
    (RFC 8032 section 8.9 leaves the choice), and a roster must not have two spellings of one key.
    """
    if len(public_key) != _KEY_BYTES or not _is_sound(public_key):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_sound(public_key: bytes) -> bool:
    y = int.from_bytes(public_key, "little") & _Y_MASK  # without the sign of x
    return y < _FIELD and y not in _SMALL_ORDER_Y


def key_id(public_key: bytes) -> bytes:
    """SHA-256 of the raw public key, 32 bytes."""
    return hashlib.sha256(public_key).digest()


def digest(envelope: Envelope) -> bytes:
    """SHA-256 of the payload: what chains, receipts and approvals name an envelope by."""
    return hashlib.sha256(envelope.payload).digest()


def payload_digest(message: Message) -> bytes:
    """SHA-256 of what :func:`seal` makes the payload of ``message``."""
    return hashlib.sha256(encode(message)).digest()


def payload_type(message: type[Message]) -> str:
    """``application/vnd.samprasan.v1.NAME`` of a message class, NAME in lower case with dashes."""
    return _TYPE_PREFIX + _kebab(message.DESCRIPTOR.name)


@cache
def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def pae(kind: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def seal(message: Message, *signers: Signer) -> Envelope:
    """An envelope of ``message`` with one signature a signer."""
    envelope = Envelope(payload_type=payload_type(type(message)), payload=encode(message))
    for signer in signers:
        add_signature(envelope, signer)
    return envelope


def add_signature(envelope: Envelope, signer: Signer) -> None:
    """Sign the envelope's payload as it stands."""
    data = pae(envelope.payload_type, envelope.payload)
    envelope.signatures.add(key_id=key_id(signer.public_key), signature=signer.sign(data))


def encode(message: Message) -> bytes:
    """The one encoding of ``message`` that readers accept."""
    return message.SerializeToString(deterministic=True)


def decode(kind: type[M], payload: bytes) -> M:
    """``payload`` as a ``kind``; Malformed ``not_canonical`` if it is none or could be written otherwise."""
    try:
        message = kind.FromString(payload)
        message.DiscardUnknownFields()
        canonical = encode(message) == payload
    except (DecodeError, ValueError) as problem:
        raise Malformed("not_canonical", kind=kind.DESCRIPTOR.name) from problem
    if not canonical:
        raise Malformed("not_canonical", kind=kind.DESCRIPTOR.name)
    return message


def read_envelope(data: bytes) -> Envelope:
    """An envelope that somebody else wrote or stored; Malformed ``not_canonical`` if it is none."""
    try:
        return Envelope.FromString(data)
    except DecodeError as problem:
        raise Malformed("not_canonical", kind="Envelope") from problem


def expect_type(envelope: Envelope, kind: type[Message]) -> None:
    """That the envelope says it carries a ``kind``, keeps the limits, and holds nothing besides; else Malformed.

    What no signature covers would be stored, and carried to everybody, and seen by nobody.
    """
    if envelope.payload_type != payload_type(kind):
        raise Malformed("payload_type", expected=payload_type(kind))
    if len(envelope.payload) > ENVELOPE_BYTES_MAX or len(envelope.signatures) > SIGNATURES_MAX:
        raise Malformed("envelope_over_limit", bytes_max=ENVELOPE_BYTES_MAX, signatures_max=SIGNATURES_MAX)
    sizes = {(len(each.key_id), len(each.signature)) for each in envelope.signatures}
    is_bare = not any(len(UnknownFieldSet(each)) for each in (envelope, *envelope.signatures))
    if not is_bare or not sizes <= {(_KEY_BYTES, _SIGNATURE_BYTES)}:
        raise Malformed("not_canonical", kind="Envelope")


def check_signature(envelope: Envelope, kind: type[Message], public_key: bytes, verify: Verify) -> None:
    """That the envelope carries a ``kind`` signed with exactly this key; else Malformed or Unproven."""
    expect_type(envelope, kind)
    if len(envelope.signatures) != 1 or not _signed_by(envelope, envelope.signatures[0], public_key, verify):
        raise Unproven("signature", kind=kind.DESCRIPTOR.name)


def open_signed(envelope: Envelope, kind: type[M], public_key: bytes, verify: Verify) -> M:
    """The payload of an envelope that exactly ``public_key`` signed."""
    check_signature(envelope, kind, public_key, verify)
    return decode(kind, envelope.payload)


def open_by_any(envelope: Envelope, kind: type[M], public_keys: Iterable[bytes], verify: Verify) -> M:
    """The payload of an envelope that one of these keys signed: whichever its signer had then."""
    named = envelope.signatures[0].key_id if envelope.signatures else b""
    own = next((key for key in public_keys if key_id(key) == named), bytes(_KEY_BYTES))
    return open_signed(envelope, kind, own, verify)


def signers_of(envelope: Envelope, keys: Mapping[bytes, str], verify: Verify) -> frozenset[str]:
    """Who signed, of the holders of ``keys`` (raw public key → agency); other signatures do not count.

    Raises Unproven ``key_twice`` if one key signed twice, ``signature`` if one that should count does not verify.
    """
    seen: set[str] = set()
    for signature in envelope.signatures:
        public_key = next((key for key in keys if key_id(key) == signature.key_id), None)
        if public_key is None:
            continue
        if keys[public_key] in seen:
            raise Unproven("key_twice", agency=keys[public_key])
        if not _signed_by(envelope, signature, public_key, verify):
            raise Unproven("signature", kind=envelope.payload_type.removeprefix(_TYPE_PREFIX))
        seen.add(keys[public_key])
    return frozenset(seen)


def _signed_by(envelope: Envelope, signature: Signature, public_key: bytes, verify: Verify) -> bool:
    return signature.key_id == key_id(public_key) and verify(
        public_key, pae(envelope.payload_type, envelope.payload), signature.signature
    )
