"""ristretto255 (RFC 9496) from libsodium: the system's, else the one that ``rbcl`` carries.

Elements are 32 bytes, scalars are integers modulo :data:`ORDER`.  libsodium accepts non-reduced scalars, ignores a
scalar's top bit and calls the identity valid; the decoders here refuse all three.
"""

import contextlib
import ctypes
import ctypes.util
import hashlib
import importlib
from functools import cache
from pathlib import Path
from typing import Any

from samprasan.keys.errors import Malformed, Unavailable

ORDER = 2**252 + 27742317777372353535851937790883648493  # RFC 9496 section 4.4
FIELD_PRIME = 2**255 - 19  # RFC 9496 section 4.1
ELEMENT_BYTES = 32
SCALAR_BYTES = 32
IDENTITY = bytes(ELEMENT_BYTES)


@cache
def library() -> tuple[ctypes.CDLL, str]:
    """Libsodium and where it came from: ``"system"`` or ``"rbcl"``.  Raises Unavailable if there is neither."""
    name = ctypes.util.find_library("sodium")
    if name:
        with contextlib.suppress(OSError):
            found = ctypes.CDLL(name)
            if hasattr(found, "crypto_core_ristretto255_from_hash"):
                return _initialised(found), "system"
    return _initialised(_bundled()), "rbcl"


def _bundled() -> ctypes.CDLL:
    # rbcl writes its library to a file in the temporary folder at import and leaves it there.
    try:
        carried: Any = importlib.import_module("rbcl._sodium")
    except (ImportError, OSError) as problem:
        raise Unavailable("libsodium_missing") from problem
    with contextlib.suppress(OSError):
        Path(carried.lib_path).unlink()
    loaded: ctypes.CDLL = carried._sodium
    return loaded


def _initialised(sodium: ctypes.CDLL) -> ctypes.CDLL:
    if sodium.sodium_init() < 0:
        raise Unavailable("libsodium_missing")
    return sodium


def decode_element(data: bytes) -> bytes:
    """``data`` if it is a canonical element other than the identity; else Malformed ``element``."""
    reduced = len(data) == ELEMENT_BYTES and int.from_bytes(data, "little") < FIELD_PRIME
    if not reduced or data == IDENTITY or not library()[0].crypto_core_ristretto255_is_valid_point(data):
        raise Malformed("element")
    return data


def elements(data: bytes) -> list[bytes]:
    """``data`` cut into encodings of 32 bytes each, not yet decoded."""
    return [data[start : start + ELEMENT_BYTES] for start in range(0, len(data), ELEMENT_BYTES)]


def decode_scalar(data: bytes) -> int:
    """The scalar whose canonical 32 little-endian bytes are ``data``; else Malformed ``scalar``."""
    value = int.from_bytes(data, "little")
    if len(data) != SCALAR_BYTES or value >= ORDER:
        raise Malformed("scalar")
    return value


def encode_scalar(scalar: int) -> bytes:
    """32 little-endian bytes of ``scalar`` modulo the order."""
    return (scalar % ORDER).to_bytes(SCALAR_BYTES, "little")


def invert(scalar: int) -> int:
    """The scalar's inverse modulo the order.  The scalar must not be zero."""
    return pow(scalar, -1, ORDER)


def multiply(scalar: int, element: bytes) -> bytes:
    """``scalar · element``.  Raises Malformed ``element`` if the result is the identity or ``element`` is none."""
    result = ctypes.create_string_buffer(ELEMENT_BYTES)
    if library()[0].crypto_scalarmult_ristretto255(result, encode_scalar(scalar), element) != 0:
        raise Malformed("element")
    return result.raw


def multiply_base(scalar: int) -> bytes:
    """``scalar · G``.  Raises Malformed ``scalar`` for zero."""
    result = ctypes.create_string_buffer(ELEMENT_BYTES)
    if library()[0].crypto_scalarmult_ristretto255_base(result, encode_scalar(scalar)) != 0:
        raise Malformed("scalar")
    return result.raw


def add(left: bytes, right: bytes) -> bytes:
    """The sum of two elements."""
    result = ctypes.create_string_buffer(ELEMENT_BYTES)
    if library()[0].crypto_core_ristretto255_add(result, left, right) != 0:
        raise Malformed("element")
    return result.raw


def hash_to_element(message: bytes, tag: bytes) -> bytes:
    """hash_to_ristretto255 with expand_message_xmd and SHA-512 (RFC 9380 appendix B); ``tag`` separates domains."""
    result = ctypes.create_string_buffer(ELEMENT_BYTES)
    library()[0].crypto_core_ristretto255_from_hash(result, _expand(message, tag))
    return result.raw


def hash_to_scalar(message: bytes, tag: bytes) -> int:
    """64 uniform bytes reduced modulo the order (RFC 9497 section 4.1)."""
    return int.from_bytes(_expand(message, tag), "little") % ORDER


def _expand(message: bytes, tag: bytes) -> bytes:
    """expand_message_xmd with SHA-512 for one block of 64 bytes (RFC 9380 section 5.3.1)."""
    suffix = tag + bytes([len(tag)])
    first = hashlib.sha512(bytes(128) + message + b"\x00\x40\x00" + suffix).digest()
    return hashlib.sha512(first + b"\x01" + suffix).digest()
