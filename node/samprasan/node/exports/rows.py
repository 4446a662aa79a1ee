"""What every kind of table is read as: rows of cells with their numbers, or why a row cannot be read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from samprasan.node.exports.cells import Cell


@dataclass(frozen=True, slots=True)
class BrokenRow(Sequence[Cell]):
    """A row whose cells cannot be told apart; ``detail`` names the words that say why.  It has no cells."""

    detail: str

    def __len__(self) -> int:
        return 0

    def __getitem__(self, place: object) -> Cell:  # type: ignore[override]
        raise IndexError(place)


Row: TypeAlias = Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """``rows`` from the file's first row on, numbered from 1; ``count`` is about how many there are."""

    count: int
    rows: Iterator[tuple[int, Row]]
