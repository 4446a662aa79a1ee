"""RFC 9497: an oblivious pseudo-random function over ristretto255 with SHA-512.

The requester blinds, the holder of the key evaluates and proves (mode 0x01), the requester checks, unblinds and hashes.
The mode byte is part of every pseudonym for ever; the other modes exist here for the RFC's vectors.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from samprasan.keys import ristretto
from samprasan.keys.errors import Malformed, Unproven

OPRF = 0x00
VOPRF = 0x01
POPRF = 0x02
PSEUDONYM_BYTES = 32
PROOF_BYTES = 2 * ristretto.SCALAR_BYTES
_WEIGHED_AT_ONCE = 128
Map: TypeAlias = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""How to do the same to many values, results in order: one after another, or in threads (libsodium lets them run)."""


def context(mode: int) -> bytes:
    """ContextString (RFC 9497 section 3.1)."""
    return b"OPRFV1-" + bytes([mode]) + b"-ristretto255-SHA512"


def hash_to_group(value: bytes, mode: int = VOPRF) -> bytes:
    """The element that ``value`` stands for (RFC 9497 section 4.1)."""
    return ristretto.hash_to_element(value, b"HashToGroup-" + context(mode))


def random_scalar(random_bytes: bytes) -> int:
    """A uniform non-zero scalar from 64 random bytes."""
    return int.from_bytes(random_bytes, "little") % (ristretto.ORDER - 1) + 1


def blind(value: bytes, scalar: int, mode: int = VOPRF) -> bytes:
    """Blind (section 3.3.1): ``scalar`` is fresh and random, and nobody else ever learns it."""
    return ristretto.multiply(scalar, hash_to_group(value, mode))


def evaluate(key: int, blinded: bytes) -> bytes:
    """BlindEvaluate without proof (section 3.3.1)."""
    return ristretto.multiply(key, ristretto.decode_element(blinded))


def finalize(value: bytes, unblinded: bytes) -> bytes:
    """Finalize's hash (section 3.3.1), 64 bytes, of the element with its blind already removed."""
    return hashlib.sha512(_lengths(value, unblinded) + b"Finalize").digest()


def pseudonym(value: bytes, unblinded: bytes) -> bytes:
    """The first 32 bytes of :func:`finalize`."""
    return finalize(value, unblinded)[:PSEUDONYM_BYTES]


@dataclass(frozen=True, slots=True)
class Proof:
    """A batched DLEQ proof (section 2.2): the same key made every answer and the public key."""

    challenge: int
    response: int

    def encode(self) -> bytes:
        """64 bytes: challenge, then response."""
        return ristretto.encode_scalar(self.challenge) + ristretto.encode_scalar(self.response)

    @classmethod
    def decode(cls, data: bytes) -> "Proof":
        """From exactly 64 bytes of two canonical scalars; else Malformed."""
        if len(data) != PROOF_BYTES:
            raise Malformed("scalar")
        return cls(ristretto.decode_scalar(data[:32]), ristretto.decode_scalar(data[32:]))


def prove(
    key: int,
    nonce: int,
    blinded: Sequence[bytes],
    evaluated: Sequence[bytes],
    mode: int = VOPRF,
    each: Map = map,
) -> Proof:
    """GenerateProof (section 2.2.1).  ``nonce`` is a fresh random scalar."""
    public = ristretto.multiply_base(key)
    weighted = _weigh(_weights(public, blinded, evaluated, mode), blinded, each)
    answer = ristretto.multiply(key, weighted)
    commitments = (ristretto.multiply_base(nonce), ristretto.multiply(nonce, weighted))
    challenge = _challenge(mode, public, weighted, answer, *commitments)
    return Proof(challenge, (nonce - challenge * key) % ristretto.ORDER)


def verify(
    public: bytes,
    blinded: Sequence[bytes],
    evaluated: Sequence[bytes],
    proof: Proof,
    mode: int = VOPRF,
    each: Map = map,
) -> None:
    """VerifyProof (section 2.2.2).  Raises Unproven ``dleq_proof``; Malformed for what is no element."""
    if len(blinded) != len(evaluated) or not blinded:
        raise Unproven("dleq_proof")
    for element in evaluated:
        ristretto.decode_element(element)
    weights = _weights(public, blinded, evaluated, mode)
    weighted, answer = _weigh(weights, blinded, each), _weigh(weights, evaluated, each)
    commitments = (
        ristretto.add(ristretto.multiply_base(proof.response), ristretto.multiply(proof.challenge, public)),
        ristretto.add(ristretto.multiply(proof.response, weighted), ristretto.multiply(proof.challenge, answer)),
    )
    if _challenge(mode, public, weighted, answer, *commitments) != proof.challenge:
        raise Unproven("dleq_proof")


def _weights(public: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes], mode: int) -> list[int]:
    """ComputeComposites' random weights (section 2.2.1)."""
    tag = context(mode)
    seed = hashlib.sha512(_lengths(public, b"Seed-" + tag)).digest()
    return [
        ristretto.hash_to_scalar(
            _lengths(seed) + index.to_bytes(2, "big") + _lengths(c, d) + b"Composite", b"HashToScalar-" + tag
        )
        for index, (c, d) in enumerate(zip(blinded, evaluated, strict=True))
    ]


def _weigh(weights: Sequence[int], elements: Sequence[bytes], each: Map) -> bytes:
    pairs = list(zip(weights, elements, strict=True))
    parts = [pairs[start : start + _WEIGHED_AT_ONCE] for start in range(0, len(pairs), _WEIGHED_AT_ONCE)]
    return _sum(each(_weighed, parts))


def _weighed(pairs: Sequence[tuple[int, bytes]]) -> bytes:
    return _sum(ristretto.multiply(weight, element) for weight, element in pairs)


def _sum(elements: Iterable[bytes]) -> bytes:
    total = ristretto.IDENTITY
    for element in elements:
        total = ristretto.add(total, element)
    return total


def _challenge(mode: int, *elements: bytes) -> int:
    return ristretto.hash_to_scalar(_lengths(*elements) + b"Challenge", b"HashToScalar-" + context(mode))


def _lengths(*parts: bytes) -> bytes:
    """Each part behind its length in two big-endian bytes."""
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)
