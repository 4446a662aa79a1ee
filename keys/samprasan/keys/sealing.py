"""Encryption: mail for one reader (HPKE, RFC 9180) and personal columns at rest (AES-256-GCM with a keyed index)."""

import hashlib
import hmac
from collections.abc import Callable
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from samprasan.keys.errors import Malformed, Unproven

KEY_BYTES = 32
_NONCE_BYTES = 12
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def sealing_public_key(private_key: bytes) -> bytes:
    """Raw X25519 public key, 32 bytes, of a raw private key."""
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def is_sound(public_key: bytes) -> bool:
    """Whether mail can be sealed for a raw X25519 key: 32 bytes, and not one of small order (RFC 7748 section 6.1)."""
    try:
        X25519PrivateKey.from_private_bytes(bytes(KEY_BYTES)).exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError:
        return False
    return True


def seal_for(public_key: bytes, plaintext: bytes, context: bytes) -> bytes:
    """``plaintext`` that only the holder of the key opens, and only with the same ``context``.

    Raises Malformed ``sealing_key`` for a key that is not sound.
    """
    if not is_sound(public_key):
        raise Malformed("sealing_key")
    return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public_key), info=context)


def open_sealed(private_key: bytes, sealed: bytes, context: bytes) -> bytes:
    """The plaintext of :func:`seal_for`; Unproven ``mail_unopenable`` if key, context or bytes are others."""
    try:
        return _SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private_key), info=context)
    except (InvalidTag, ValueError) as problem:
        raise Unproven("mail_unopenable") from problem


class Vault:
    """Seals personal columns; without its key a dump of the database names nobody."""

    def __init__(self, key: bytes | Callable[[], bytes]) -> None:
        """``key`` is 32 random bytes kept in the keyring, never in the database; or what gets them when needed."""
        self._key = key

    @cached_property
    def _aead(self) -> AESGCM:
        return AESGCM(hmac.digest(self._secret, b"samprasan/vault/seal", hashlib.sha256))

    @cached_property
    def _index_key(self) -> bytes:
        return hmac.digest(self._secret, b"samprasan/vault/index", hashlib.sha256)

    @property
    def _secret(self) -> bytes:
        return self._key if isinstance(self._key, bytes) else self._key()

    def seal(self, column: str, plaintext: bytes, nonce: bytes) -> bytes:
        """``nonce`` (12 fresh random bytes) and ciphertext, bound to the column's name."""
        return nonce + self._aead.encrypt(nonce, plaintext, column.encode())

    def open(self, column: str, sealed: bytes) -> bytes:
        """The plaintext; Unproven ``column_unopenable`` if the bytes were changed or moved from another column."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], column.encode())
        except (InvalidTag, ValueError) as problem:
            raise Unproven("column_unopenable", column=column) from problem

    def index(self, value: bytes) -> bytes:
        """HMAC-SHA-256 of ``value``, 32 bytes: equal values are found, nothing else is learnt."""
        return hmac.digest(self._index_key, value, hashlib.sha256)
