"""A delta sketch: which accounts two sides disagree on, in bytes that grow with the disagreement, not the accounts.

Each account belongs to cell 0 and to later cells ever more rarely, by the index sequence of rateless IBLT (Yang et al.,
SIGCOMM 2024).  A cell is ``(Σ δ, Σ id·δ)`` modulo 2⁶¹ − 1, 16 bytes; δ is a random combination of what the account has,
drawn for the session, so that opposite errors do not cancel; the id is keyed for the session, so that nobody can craft
accounts that stall it.  Cells are linear: the difference of two sides' cells is the sketch of the accounts that differ.
A cell with one of them tells which, and *this is an account I know* is its checksum.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from samprasan.ledger.contributions import Contribution

PRIME = (1 << 61) - 1
CELL_BYTES = 16
ID_BYTES = 16
COMPONENTS = len(Contribution._fields)
_MULTIPLIER = 0xDA942042E4DD58B5  # of a multiplicative generator modulo 2**64
_PARTS = 3  # a sum of 21-bit parts of up to 2**32 accounts is exact in a float

Cell: TypeAlias = tuple[int, int]
_Words: TypeAlias = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Keys:
    """What is drawn for one session: the keys of ids, and the coefficient of each component."""

    of_id: tuple[int, int, int]
    coefficients: tuple[int, ...]

    @classmethod
    def drawn(cls, secret: bytes) -> "Keys":
        """From bytes that neither side chose alone."""
        numbers = [
            int.from_bytes(hashlib.sha512(b"samprasan/v1/sketch/%d/" % place + secret).digest(), "big") % (PRIME - 1)
            + 1
            for place in range(3 + COMPONENTS)
        ]
        return cls((numbers[0], numbers[1], numbers[2]), tuple(numbers[3:]))

    def delta(self, contribution: Contribution) -> int:
        """δ of one account."""
        return sum(factor * value for factor, value in zip(self.coefficients, contribution, strict=True)) % PRIME

    def single(self, delta: int, most: int) -> Contribution | None:
        """The difference that ``delta`` stands for if it is in one component and at most ``most``; else None."""
        for place, factor in enumerate(self.coefficients):
            value = delta * pow(factor, -1, PRIME) % PRIME
            value = value if value <= PRIME // 2 else value - PRIME
            if abs(value) <= most:
                return Contribution(*(value if each == place else 0 for each in range(COMPONENTS)))
        return None


class Side:
    """One side's accounts in a session: makes its cells, however many are wanted, in order."""

    def __init__(
        self, keys: Keys, account_ids: Sequence[bytes], contributions: Sequence[Sequence[int]] | NDArray[np.int64]
    ) -> None:
        """``contributions`` has one row of ``COMPONENTS`` integers for each account."""
        halves = np.frombuffer(b"".join(account_ids), dtype=">u8").astype(np.uint64).reshape(-1, 2)
        values = np.array(contributions, dtype=np.int64).reshape(-1, COMPONENTS)
        self.ids = reduced(
            _times(reduced(halves[:, 0]), keys.of_id[0])
            + _times(reduced(halves[:, 1]), keys.of_id[1])
            + np.uint64(keys.of_id[2])
        )
        delta = np.zeros(len(values), dtype=np.uint64)
        for place, factor in enumerate(keys.coefficients):
            column = (values[:, place] % PRIME).astype(np.uint64)
            delta = reduced(delta + _times(column, factor))
        self._delta, self._weighted = delta, product(self.ids, delta)
        self._index = np.zeros(len(values), dtype=np.int64)
        self._state = self.ids.copy()
        self._made = 0

    def more(self, count: int) -> list[Cell]:
        """The next ``count`` cells."""
        first, end = self._made, self._made + count
        sums = np.zeros((2, _PARTS, count), dtype=np.float64)
        active = np.flatnonzero(self._index < end)
        while len(active):
            place = self._index[active] - first
            for row, values in enumerate((self._delta[active], self._weighted[active])):
                for part in range(_PARTS):
                    piece = (values >> np.uint64(21 * part)) & np.uint64((1 << 21) - 1)
                    sums[row, part] += np.bincount(place, weights=piece.astype(np.float64), minlength=count)
            self._state[active], self._index[active] = _next(self._state[active], self._index[active])
            active = active[self._index[active] < end]
        self._made = end
        return [(_joined(sums[0, :, at]), _joined(sums[1, :, at])) for at in range(count)]


def written(cells: Sequence[Cell]) -> bytes:
    """Cells as they travel: two 8-byte big-endian integers each."""
    return b"".join(value.to_bytes(8, "big") for cell in cells for value in cell)


def read(data: bytes) -> list[Cell]:
    """Cells as they came; ValueError if they are none."""
    values = [int.from_bytes(data[at : at + 8], "big") for at in range(0, len(data), 8)]
    if len(data) % CELL_BYTES or any(value >= PRIME for value in values):
        raise ValueError
    return list(zip(values[::2], values[1::2], strict=True))


@dataclass
class Peeling:
    """Takes differences of cells as they come, and finds the accounts behind them.

    ``found`` is place of the account among ``ids`` → δ of the difference.
    """

    ids: _Words
    found: dict[int, int] = field(default_factory=dict)
    _cells: list[Cell] = field(default_factory=list)
    _walks: list[tuple[int, int, Iterator[int], int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._order = np.argsort(self.ids)
        self._sorted = self.ids[self._order]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to explain."""
        return bool(self._cells) and not any(first or second for first, second in self._cells)

    @property
    def count(self) -> int:
        """Cells so far."""
        return len(self._cells)

    def add_cells(self, mine: Sequence[Cell], theirs: Sequence[Cell]) -> None:
        """The next cells of both sides."""
        begin = len(self._cells)
        self._cells += [((a - c) % PRIME, (b - d) % PRIME) for (a, b), (c, d) in zip(mine, theirs, strict=True)]
        for number, (key, delta, walk, ahead) in enumerate(self._walks):
            self._walks[number] = (key, delta, walk, self._strike(key, delta, walk, ahead, []))
        waiting = list(range(begin, len(self._cells)))
        while waiting:
            self._peel(waiting.pop(), waiting)

    def _peel(self, cell: int, waiting: list[int]) -> None:
        delta, weighted = self._cells[cell]
        if not delta:
            return
        key = weighted * pow(delta, -1, PRIME) % PRIME
        place = self._known(key)
        if place is None or not _belongs(key, cell):
            return
        self.found[place] = (self.found.get(place, 0) + delta) % PRIME
        walk = _walk(key)
        self._walks.append((key, delta, walk, self._strike(key, delta, walk, next(walk), waiting)))

    def _strike(self, key: int, delta: int, walk: Iterator[int], ahead: int, waiting: list[int]) -> int:
        """Take an account out of every cell so far; the first cell that it has not been taken out of."""
        weighted = key * delta % PRIME
        while ahead < len(self._cells):
            first, second = self._cells[ahead]
            self._cells[ahead] = ((first - delta) % PRIME, (second - weighted) % PRIME)
            waiting.append(ahead)
            ahead = next(walk)
        return ahead

    def _known(self, key: int) -> int | None:
        at = int(np.searchsorted(self._sorted, np.uint64(key)))
        return int(self._order[at]) if at < len(self._sorted) and int(self._sorted[at]) == key else None


def _walk(key: int) -> Iterator[int]:
    """The cells of one account, ascending."""
    state, index = np.array([key], dtype=np.uint64), np.array([0], dtype=np.int64)
    while True:
        yield int(index[0])
        state, index = _next(state, index)


def _belongs(key: int, cell: int) -> bool:
    return next(each for each in _walk(key) if each >= cell) == cell


def _next(state: _Words, index: NDArray[np.int64]) -> tuple[_Words, NDArray[np.int64]]:
    """The next cell of each account.  Correctly rounded operations only (IEEE 754): the same on every machine."""
    state = state * np.uint64(_MULTIPLIER)
    gap = (index.astype(np.float64) + 1.5) * (4294967296.0 / np.sqrt(state.astype(np.float64) + 1.0) - 1.0)
    return state, index + np.maximum(np.ceil(np.minimum(gap, 1e15)).astype(np.int64), 1)


def _joined(parts: NDArray[np.float64]) -> int:
    return sum(int(part) << 21 * place for place, part in enumerate(parts)) % PRIME


def reduced(values: _Words) -> _Words:
    """Modulo the prime, of values below 2**64."""
    folded = (values & np.uint64(PRIME)) + (values >> np.uint64(61))
    return np.where(folded >= np.uint64(PRIME), folded - np.uint64(PRIME), folded)


def _times(values: _Words, factor: int) -> _Words:
    return product(values, np.full(1, factor, dtype=np.uint64))


def product(left: _Words, right: _Words) -> _Words:
    """Each left · right modulo the prime, of values below it; no step passes 64 bits."""
    low, half = np.uint64((1 << 31) - 1), np.uint64(31)
    left_high, left_low, right_high, right_low = left >> half, left & low, right >> half, right & low
    middle = left_high * right_low + left_low * right_high
    top = (left_high * right_high) << np.uint64(1)
    shifted = (middle >> np.uint64(30)) + ((middle & np.uint64((1 << 30) - 1)) << half)
    return reduced(reduced(top + shifted) + left_low * right_low)
