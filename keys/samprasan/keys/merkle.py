"""The Merkle tree over the log: roots, proofs and their checks (RFC 6962 section 2.1, checked as RFC 9162 tells).

A tree is kept as C2SP ``tlog-tiles`` serves it: hashes of complete subtrees, *level* l being those of 256**l leaves.
Whoever has those can compute every root and proof; whoever has none can check them.  An entry of the log is a digest,
and its leaf the hash of that.
"""

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
TILE_WIDTH = 256
PATH_MAX = 128  # hashes in a proof: twice the height of a tree that never will be
EMPTY_ROOT = hashlib.sha256(b"").digest()
_TILE_HEIGHT = 8

Fetch = Callable[[int, int, int], Sequence[bytes]]
"""``fetch(level, first, count)``: hashes of complete subtrees of ``256**level`` leaves, from number ``first`` on."""


def leaf_hash(entry: bytes) -> bytes:
    """The leaf of an entry: SHA-256(0x00 || entry), 32 bytes."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right), 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(fetch: Fetch, size: int) -> bytes:
    """The root of the first ``size`` leaves: MTH(D[0:size])."""
    return _tree_hash(fetch, 0, size) if size else EMPTY_ROOT


def grown(fetch: Fetch, size: int, leaves: Sequence[bytes]) -> list[tuple[int, int, bytes]]:
    """What a tree of ``size`` leaves has to keep besides once ``leaves`` are behind it: (level, number, hash) each."""
    rows: list[tuple[int, int, bytes]] = []
    level, first, new = 0, size, list(leaves)
    while new:
        rows += [(level, first + place, value) for place, value in enumerate(new)]
        new = _completed(fetch, level, first, new)
        level, first = level + 1, first // TILE_WIDTH
    return rows


def _completed(fetch: Fetch, level: int, first: int, new: Sequence[bytes]) -> list[bytes]:
    """The hashes of the tiles of ``level`` that ``new`` ones, from number ``first`` on, fill up."""
    hashes = []
    for tile in range(first // TILE_WIDTH, (first + len(new)) // TILE_WIDTH):
        begin = tile * TILE_WIDTH
        known = list(fetch(level, begin, first - begin)) if begin < first else []
        rest = new[max(begin - first, 0) : begin - first + TILE_WIDTH]
        hashes.append(_folded([*known, *rest]))
    return hashes


def inclusion_proof(fetch: Fetch, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]), the leaf's sibling first (RFC 6962 section 2.1.1)."""
    start, end = 0, size
    beside: list[tuple[int, int]] = []
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            beside.append((split, end))
            end = split
        else:
            beside.append((start, split))
            start = split
    return [_tree_hash(fetch, *each) for each in reversed(beside)]


def consistency_proof(fetch: Fetch, earlier: int, size: int) -> list[bytes]:
    """PROOF(earlier, D[size]) (RFC 6962 section 2.1.2); empty if ``earlier`` is 0 or ``size``."""
    if not earlier:
        return []
    start, end = 0, size
    beside: list[tuple[int, int]] = []
    while end != earlier:
        split = start + _split(end - start)
        if earlier <= split:
            beside.append((split, end))
            end = split
        else:
            beside.append((start, split))
            start = split
    if start:
        beside.append((start, end))
    return [_tree_hash(fetch, *each) for each in reversed(beside)]


def includes(leaf: bytes, index: int, size: int, path: Sequence[bytes], tree_root: bytes) -> bool:
    """Whether ``path`` proves that ``leaf`` has that index in the tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size or len(path) > PATH_MAX:
        return False
    place, last, found = index, size - 1, leaf
    for sibling in path:
        if not last:
            return False
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            place, last = _to_odd(place, last)
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    return not last and found == tree_root


def extends(earlier: int, earlier_root: bytes, size: int, path: Sequence[bytes], tree_root: bytes) -> bool:
    """Whether ``path`` proves that the tree only added to the earlier one (RFC 9162 section 2.1.4.2)."""
    if not 0 <= earlier <= size or len(path) > PATH_MAX:
        return False
    if earlier == size:
        return not path and earlier_root == tree_root
    if not earlier:
        return not path and earlier_root == EMPTY_ROOT
    if not earlier & (earlier - 1):  # a power of two: the earlier root is itself the first hash
        path = [earlier_root, *path]
    if not path:
        return False
    place, last = _to_even(earlier - 1, size - 1)
    before = after = path[0]
    for sibling in path[1:]:
        if not last:
            return False
        if place & 1 or place == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            place, last = _to_odd(place, last)
        else:
            after = node_hash(after, sibling)
        place, last = place >> 1, last >> 1
    return not last and before == earlier_root and after == tree_root


class Growing:
    """The root of a tree that only grows, with nothing kept but the complete subtrees at its right border."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size = size
        self._peaks = list(peaks)  # the largest first

    @classmethod
    def at(cls, fetch: Fetch, size: int) -> "Growing":
        """The tree of the first ``size`` leaves."""
        peaks, start = [], 0
        while start < size:
            part = 1 << ((size - start).bit_length() - 1)
            peaks.append(_tree_hash(fetch, start, start + part))
            start += part
        return cls(size, peaks)

    def copy(self) -> "Growing":
        """The same tree, to go on with apart."""
        return Growing(self.size, self._peaks)

    def add(self, leaf: bytes) -> None:
        """Put a leaf behind the others."""
        found, size = leaf, self.size
        while size & 1:
            found, size = node_hash(self._peaks.pop(), found), size >> 1
        self._peaks.append(found)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        found = self._peaks[-1]
        for peak in self._peaks[-2::-1]:
            found = node_hash(peak, found)
        return found


def _to_odd(place: int, last: int) -> tuple[int, int]:
    """Up the right border, to the level at which a node is a right child or the first."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _to_even(place: int, last: int) -> tuple[int, int]:
    """Up past complete subtrees, to the level at which the earlier tree's last one is a left child."""
    while place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _tree_hash(fetch: Fetch, start: int, end: int) -> bytes:
    """MTH(D[start:end]) of a range that RFC 6962 splits a tree into."""
    size = end - start
    part = 1 << (size.bit_length() - 1)
    if part < size:
        return node_hash(_tree_hash(fetch, start, start + part), _tree_hash(fetch, start + part, end))
    level = (size.bit_length() - 1) // _TILE_HEIGHT
    width = 1 << (level * _TILE_HEIGHT)
    return _folded(fetch(level, start // width, size // width))


def _folded(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of subtrees of equal size."""
    while len(hashes) > 1:
        hashes = [node_hash(*pair) for pair in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def _split(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)
