"""The log's Merkle tree as it is kept: hashes of complete subtrees by level and number."""

from collections.abc import Iterable, Sequence
from itertools import islice

import sqlalchemy as sa
from samprasan.edge.database import insert_rows, upsert_rows
from samprasan.hub.tables import tree
from samprasan.keys import merkle
from samprasan.keys.errors import Unavailable
from samprasan.keys.merkle import TILE_WIDTH


class Tiles:
    """A :data:`samprasan.keys.merkle.Fetch` of one transaction, which reads each tile once."""

    def __init__(self, tx: sa.Connection) -> None:
        self._tx = tx
        self._read: dict[tuple[int, int], list[bytes]] = {}

    def __call__(self, level: int, first: int, count: int) -> Sequence[bytes]:
        """Hashes that lie in one tile; Unavailable ``log_damaged`` if one is missing."""
        number, begin = divmod(first, TILE_WIDTH)
        key = (level, number)
        if key not in self._read:
            self._read[key] = tile(self._tx, level, number)
        found = self._read[key][begin : begin + count]
        if len(found) != count:
            raise Unavailable("log_damaged", level=level, number=first)
        return found


def tile(tx: sa.Connection, level: int, number: int) -> list[bytes]:
    """The hashes of one tile that are there so far, at most 256."""
    first = number * TILE_WIDTH
    within = (tree.c.level == level, tree.c.number >= first, tree.c.number < first + TILE_WIDTH)
    return list(tx.execute(sa.select(tree.c.hash).where(*within).order_by(tree.c.number)).scalars())


def leaves(tx: sa.Connection, start: int, end: int) -> dict[int, bytes]:
    """Log index → leaf, from ``start`` up to and without ``end``."""
    within = (tree.c.level == 0, tree.c.number >= start, tree.c.number < end)
    return {row.number: row.hash for row in tx.execute(sa.select(tree.c.number, tree.c.hash).where(*within))}


def everything(tx: sa.Connection) -> dict[tuple[int, int], bytes]:
    """(level, number) → hash, for an audit."""
    return {(row.level, row.number): row.hash for row in tx.execute(sa.select(tree))}


def grow(tx: sa.Connection, size: int, entries: Sequence[bytes]) -> None:
    """Put ``entries`` behind the first ``size`` ones."""
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    insert_rows(tx, tree, merkle.grown(Tiles(tx), size, leaves))


def put_leaf(tx: sa.Connection, log_index: int, leaf: bytes) -> None:
    """Write a leaf again."""
    upsert_rows(tx, tree, [(0, log_index, leaf)])


def rebuild(tx: sa.Connection, entries: Iterable[bytes]) -> None:
    """Make the whole tree anew from its entries."""
    tx.execute(tree.delete())
    size = 0
    waiting = iter(entries)
    while part := list(islice(waiting, TILE_WIDTH)):
        grow(tx, size, part)
        size += len(part)


def root(tx: sa.Connection, size: int) -> bytes:
    """The root over the first ``size`` entries."""
    return merkle.root(Tiles(tx), size)
