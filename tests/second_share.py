"""What one party could compute of others' shares, from all that it has ever seen.

Every point that was published is an unknown logarithm.  What is public of ceremonies are equations between them, the
proofs of commitments and the three points of a key included; each secret that the party has read is one more.  Whatever
follows from all of them together is found by elimination.  What it does not find: lines that depend on each other in
another way than by having a point in common.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from samprasan.keys import ristretto
from samprasan.keys.ceremony import Ceremony
from samprasan.keys.pseudonym import Proof
from samprasan.v1.ceremony_pb2 import DealerCommitment
from samprasan.v1.documents_pb2 import LinkingKey

_KNOWN = b""  # stands for the number 1 in an equation


@dataclass
class Equations:
    """Linear equations between logarithms, modulo the group's order, in row echelon form."""

    rows: dict[bytes, dict[bytes, int]] = field(default_factory=dict)  # by the unknown that each is solved for

    def add(self, terms: Mapping[bytes, int], known: int = 0) -> None:
        """The sum of factor · log(point) is ``known``."""
        row = self._reduced({**terms, _KNOWN: -known % ristretto.ORDER})
        unknown = next((point for point in row if point != _KNOWN), None)
        if unknown is None:
            assert not row, "what was seen contradicts itself"
            return
        inverse = ristretto.invert(row[unknown])
        row = {point: factor * inverse % ristretto.ORDER for point, factor in row.items()}
        for solved, other in self.rows.items():
            if unknown in other:
                self.rows[solved] = _combined(other, row, -other[unknown])
        self.rows[unknown] = row

    def solve(self, point: bytes) -> int | None:
        """The logarithm of ``point``, if it follows."""
        row = self._reduced({point: 1})
        return row.get(_KNOWN, 0) if set(row) <= {_KNOWN} else None

    def _reduced(self, row: Mapping[bytes, int]) -> dict[bytes, int]:
        left = {point: factor % ristretto.ORDER for point, factor in row.items() if factor % ristretto.ORDER}
        for point in [point for point in left if point in self.rows]:
            left = _combined(left, self.rows[point], -left[point])
        return left


def _combined(one: Mapping[bytes, int], other: Mapping[bytes, int], factor: int) -> dict[bytes, int]:
    """``one`` + factor · ``other``."""
    found = dict(one)
    for point, more in other.items():
        found[point] = (found.get(point, 0) + factor * more) % ristretto.ORDER
    return {point: value for point, value in found.items() if value}


@dataclass(frozen=True)
class Line:
    """A dealer's commitment in one ceremony."""

    ceremony: Ceremony
    dealer: str
    constant: bytes
    slope: bytes
    proof: Proof

    @classmethod
    def of(cls, ceremony: Ceremony, message: DealerCommitment) -> "Line":
        constant, slope = ristretto.elements(message.points)
        return cls(ceremony, message.dealer, constant, slope, Proof.decode(message.proof))

    @property
    def nonce(self) -> bytes:
        """The point of the proof's nonce."""
        challenged = ristretto.multiply(self.proof.challenge, self.constant)
        return ristretto.add(ristretto.multiply_base(self.proof.response), challenged)

    def at(self, index: int) -> bytes:
        """The point of its value for the holder with that index."""
        return ristretto.add(self.constant, ristretto.multiply(index, self.slope))

    @property
    def place(self) -> tuple[bytes, int]:
        """Which attempt of which ceremony."""
        return self.ceremony.roster_digest, self.ceremony.attempt


def of_key(key: LinkingKey) -> dict[bytes, int]:
    """The three points of a key lie on one line."""
    first, second, third = sorted(key.commitments, key=lambda entry: entry.index)
    return _combined(_combined({first.point: 1}, {second.point: 1}, -2), {third.point: 1}, 1)


def public(lines: Iterable[Line]) -> Iterator[dict[bytes, int]]:
    """What everybody knows of these lines: whose shares they deal, and which shares they make."""
    by_place: dict[tuple[bytes, int], dict[str, list[Line]]] = {}
    for line in lines:
        by_place.setdefault(line.place, {}).setdefault(line.dealer, []).append(line)
        old_key = line.ceremony.old_key
        if old_key is not None:
            held = next(entry.point for entry in old_key.commitments if entry.agency == line.dealer)
            yield _combined({line.constant: 1}, {held: 1}, -line.ceremony.weight(line.dealer))
    for dealt in by_place.values():
        found = next(iter(dealt.values()))[0].ceremony
        if set(dealt) != set(found.dealers):
            continue
        for chosen in product(*dealt.values()):
            for index in found.holders.values():
                terms: dict[bytes, int] = {}
                made = ristretto.IDENTITY
                for line in chosen:
                    made = ristretto.add(made, line.at(index))
                    terms = _combined(terms, {line.constant: 1}, 1)
                    terms = _combined(terms, {line.slope: index}, 1)
                yield _combined(terms, {made: 1}, -1)
