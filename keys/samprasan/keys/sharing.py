"""A linking key that takes two of three agencies to use (Shamir's sharing, degree 1, over ristretto255's scalars).

A share is a point of the line ``k + a·x``; its public commitment is ``share · G``.  The requester adds its own part to
a peer's:  ``N = λ_A·k_A·H2G(x) + (λ_P·r⁻¹)·D``, where ``D = k_P·(r·H2G(x))`` is what the peer answered.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from samprasan.keys import pseudonym, ristretto
from samprasan.keys.errors import Malformed, Unproven

INDICES = (1, 2, 3)
_PREFIX = "share/1"


@dataclass(frozen=True, slots=True, repr=False)
class Share:
    """One agency's part of the linking key.  ``repr`` never shows the scalar."""

    key_epoch: int
    share_version: int
    index: int
    scalar: int

    def commitment(self) -> bytes:
        """``share · G``, 32 bytes."""
        return ristretto.multiply_base(self.scalar)

    def encode(self) -> bytes:
        """As a node keeps it, sealed."""
        return f"{_PREFIX} {self.key_epoch} {self.share_version} {self.index} ".encode() + ristretto.encode_scalar(
            self.scalar
        )

    @classmethod
    def decode(cls, data: bytes) -> "Share":
        """From :meth:`encode`; else Malformed ``share``."""
        try:
            prefix, epoch, version, index = data[:-33].decode("ascii").split(" ")
            share = cls(int(epoch), int(version), int(index), ristretto.decode_scalar(data[-32:]))
        except ValueError as problem:
            raise Malformed("share") from problem
        if prefix != _PREFIX or share.index not in INDICES:
            raise Malformed("share")
        return share

    def __repr__(self) -> str:
        return f"<share {self.index} of epoch {self.key_epoch}.{self.share_version}>"


def coefficient(index: int, others: Collection[int]) -> int:
    """Lagrange's coefficient at 0 of ``index`` in the quorum of ``index`` and ``others``."""
    return _coefficient(index, tuple(others))


@cache
def _coefficient(index: int, others: tuple[int, ...]) -> int:
    if not others or index in others or not {index, *others} <= set(INDICES):
        raise Malformed("share")
    product = 1
    for other in others:
        product = product * other * ristretto.invert(other - index) % ristretto.ORDER
    return product


def combine(share: Share, peer_index: int, value: bytes, blind: int, evaluated: bytes) -> bytes:
    """The pseudonym of ``value``, 32 bytes, from one's own share and a peer's proven answer."""
    own = ristretto.multiply(
        coefficient(share.index, (peer_index,)) * share.scalar % ristretto.ORDER, pseudonym.hash_to_group(value)
    )
    theirs = ristretto.multiply(
        coefficient(peer_index, (share.index,)) * ristretto.invert(blind) % ristretto.ORDER, evaluated
    )
    return pseudonym.pseudonym(value, ristretto.add(own, theirs))


def check_commitments(points: Mapping[int, bytes]) -> None:
    """That three commitments lie on one line, so that every quorum makes the same pseudonyms; else Unproven."""
    if sorted(points) != list(INDICES):
        raise Unproven("share_commitments")
    for point in points.values():
        ristretto.decode_element(point)
    doubled = ristretto.multiply(2, points[2])
    if ristretto.add(points[1], points[3]) != doubled:
        raise Unproven("share_commitments")
