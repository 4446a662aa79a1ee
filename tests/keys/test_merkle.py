"""The tree: every size and pair of sizes up to 256, against another implementation, and every bit of every proof."""

import hashlib
import random

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle.proof import ConsistencyProof, InclusionProof
from samprasan.keys import merkle

SIZE_MAX = 256
ENTRIES = [hashlib.sha256(bytes([number % 256, number // 256])).digest() for number in range(700)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]


class Kept:
    """A tree as a store keeps it, grown in steps."""

    def __init__(self) -> None:
        self.hashes: dict[tuple[int, int], bytes] = {}
        self.size = 0

    def fetch(self, level: int, first: int, count: int) -> list[bytes]:
        return [self.hashes[level, number] for number in range(first, first + count)]

    def add(self, leaves: list[bytes]) -> None:
        self.hashes |= {row[:2]: row[2] for row in merkle.grown(self.fetch, self.size, leaves)}
        self.size += len(leaves)


TREE = Kept()
TREE.add(LEAVES)
ROOTS = [merkle.root(TREE.fetch, size) for size in range(len(LEAVES) + 1)]


@pytest.fixture(scope="module")
def others() -> pymerkle.InmemoryTree:
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in ENTRIES[: SIZE_MAX + 1]:
        tree.append_entry(entry)
    return tree


def test_the_root_of_every_size_is_that_of_another_implementation(others: pymerkle.InmemoryTree) -> None:
    assert ROOTS[0] == hashlib.sha256(b"").digest()
    assert [others.get_root(size) for size in range(1, SIZE_MAX + 1)] == ROOTS[1 : SIZE_MAX + 1]


def test_the_roots_of_rfc_6962s_reference_tree() -> None:
    """The eight entries and roots that Certificate Transparency's reference code tests itself with."""
    entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    tree = Kept()
    tree.add([merkle.leaf_hash(bytes.fromhex(entry)) for entry in entries])
    one = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"  # pragma: allowlist secret
    eight = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"  # pragma: allowlist secret
    assert [merkle.root(tree.fetch, size).hex() for size in (1, 8)] == [one, eight]


def test_another_implementation_verifies_every_inclusion_proof(others: pymerkle.InmemoryTree) -> None:
    for size in range(1, SIZE_MAX + 1):
        for index in {0, 1, size // 3, size // 2, size - 2, size - 1} & set(range(size)):
            path = merkle.inclusion_proof(TREE.fetch, index, size)
            rule = others.prove_inclusion(index + 1, size).rule
            proof = InclusionProof("sha256", True, size, index + 1, rule, [LEAVES[index], *path])
            pymerkle.verify_inclusion(LEAVES[index], ROOTS[size], proof, index + 1, size)


def test_another_implementation_verifies_consistency_proofs(others: pymerkle.InmemoryTree) -> None:
    """It splits one subtree of some proofs further than the RFC does; of all others it can judge ours."""
    judged = 0
    for size in range(1, SIZE_MAX + 1, 3):
        for earlier in range(1, size + 1):
            path = merkle.consistency_proof(TREE.fetch, earlier, size)
            theirs = others.prove_consistency(earlier, size)
            implied = earlier == size or not earlier & (earlier - 1)  # the RFC leaves out what the verifier has
            full = [ROOTS[earlier], *path] if implied else path
            if len(full) != len(theirs.path):
                continue
            if not theirs.subset[0]:  # it begins with the later of two siblings
                full[:2] = full[1::-1]
            proof = ConsistencyProof("sha256", True, size, earlier, theirs.rule, theirs.subset, full)
            pymerkle.verify_consistency(ROOTS[earlier], ROOTS[size], proof, earlier, size)
            judged += 1
    assert judged > 3_000


ALL_SIZES = pytest.mark.parametrize(
    "sizes", [range(SIZE_MAX // 2), pytest.param(range(SIZE_MAX // 2, SIZE_MAX + 1), marks=pytest.mark.rest)]
)


@ALL_SIZES
def test_every_leaf_of_every_size_is_proved(sizes: range) -> None:
    for size in sizes:
        for index in range(size):
            path = merkle.inclusion_proof(TREE.fetch, index, size)
            assert merkle.includes(LEAVES[index], index, size, path, ROOTS[size])


@ALL_SIZES
def test_every_pair_of_sizes_is_proved_and_no_other_root_is(sizes: range) -> None:
    for size in sizes:
        for earlier in range(size + 1):
            path = merkle.consistency_proof(TREE.fetch, earlier, size)
            assert merkle.extends(earlier, ROOTS[earlier], size, path, ROOTS[size])
            if earlier:
                assert not merkle.extends(earlier, ROOTS[earlier], size, path, ROOTS[earlier - 1])


def one_bit_changes(data: list[bytes]) -> list[list[bytes]]:
    changed = []
    for place, value in enumerate(data):
        for bit in range(8 * len(value)):
            other = (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(len(value), "big")
            changed.append([*data[:place], other, *data[place + 1 :]])
    return changed


@pytest.mark.parametrize(
    ("index", "size"), [(0, 1), (0, 2), (2, 3), (4, 7), (6, 7), (100, 256), (255, 256), (256, 257)]
)
def test_no_changed_inclusion_proof_holds(index: int, size: int) -> None:
    path = merkle.inclusion_proof(TREE.fetch, index, size)
    for changed in one_bit_changes([LEAVES[index], ROOTS[size], *path]):
        assert not merkle.includes(changed[0], index, size, changed[2:], changed[1])
    for wrong in ([*path, path[0]] if path else [LEAVES[0]], path[:-1] if path else [ROOTS[0]]):
        assert not merkle.includes(LEAVES[index], index, size, wrong, ROOTS[size])
    assert not any(
        merkle.includes(LEAVES[index], other, size, path, ROOTS[size]) for other in range(size) if other != index
    )
    assert not merkle.includes(LEAVES[index], index, index, path, ROOTS[size])
    assert not merkle.includes(LEAVES[index], -1, size, path, ROOTS[size])


@pytest.mark.parametrize(
    ("earlier", "size"), [(1, 2), (2, 3), (3, 7), (4, 7), (6, 8), (100, 256), (255, 256), (128, 257)]
)
def test_no_changed_consistency_proof_holds(earlier: int, size: int) -> None:
    path = merkle.consistency_proof(TREE.fetch, earlier, size)
    for changed in one_bit_changes([ROOTS[earlier], ROOTS[size], *path]):
        assert not merkle.extends(earlier, changed[0], size, changed[2:], changed[1])
    for wrong in ([*path, path[0]], path[:-1], []):
        assert not merkle.extends(earlier, ROOTS[earlier], size, wrong, ROOTS[size])
    assert not merkle.extends(earlier, ROOTS[earlier], earlier, path, ROOTS[size])
    assert not merkle.extends(size, ROOTS[size], earlier, path, ROOTS[earlier])
    assert not merkle.extends(-1, ROOTS[earlier], size, path, ROOTS[size])


def test_a_proof_without_end_is_not_followed() -> None:
    assert not merkle.includes(LEAVES[0], 0, 2**62, [LEAVES[1]] * (merkle.PATH_MAX + 1), ROOTS[1])
    assert not merkle.extends(1, ROOTS[1], 2**62, [LEAVES[1]] * (merkle.PATH_MAX + 1), ROOTS[1])


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8))
def test_it_does_not_matter_in_which_steps_a_tree_grows(steps: list[int]) -> None:
    tree = Kept()
    for step in steps:
        tree.add(LEAVES[tree.size : tree.size + step])
        assert merkle.root(tree.fetch, tree.size) == ROOTS[tree.size]


def test_a_tree_of_three_levels_has_the_same_roots_as_one_hashed_pair_by_pair() -> None:
    count = 256 * 256 + 300
    leaves = [merkle.leaf_hash(number.to_bytes(4, "big")) for number in range(count)]
    tree = Kept()
    tree.add(leaves)
    for size in (65_535, 65_536, 65_537, count):
        assert merkle.root(tree.fetch, size) == pair_by_pair(leaves[:size])
    chance = random.Random(5)
    for _ in range(20):
        index, earlier = chance.randrange(count), chance.randrange(1, count)
        path = merkle.inclusion_proof(tree.fetch, index, count)
        assert merkle.includes(leaves[index], index, count, path, merkle.root(tree.fetch, count))
        grown = merkle.consistency_proof(tree.fetch, earlier, count)
        before, after = merkle.root(tree.fetch, earlier), merkle.root(tree.fetch, count)
        assert merkle.extends(earlier, before, count, grown, after)


def test_a_tree_that_only_grows_has_the_same_root_at_every_size() -> None:
    growing = merkle.Growing()
    for size, leaf in enumerate([*LEAVES, b""]):
        assert (growing.size, growing.root()) == (size, ROOTS[size])
        growing.add(leaf)


def pair_by_pair(hashes: list[bytes]) -> bytes:
    """Another way to the same root: an odd one at the end of a level goes up as it is."""
    while len(hashes) > 1:
        pairs = [merkle.node_hash(*hashes[at : at + 2]) for at in range(0, len(hashes) - 1, 2)]
        hashes = [*pairs, hashes[-1]] if len(hashes) % 2 else pairs
    return hashes[0]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 511, 600])
def test_a_tree_goes_on_from_what_is_kept_of_it(size: int) -> None:
    kept = Kept()
    kept.add(LEAVES[:size])
    tree = merkle.Growing.at(kept.fetch, size)
    assert (tree.size, tree.root()) == (size, merkle.root(kept.fetch, size))
    apart = tree.copy()
    apart.add(LEAVES[0])
    tree.add(LEAVES[size])
    kept.add([LEAVES[size]])
    assert tree.root() == merkle.root(kept.fetch, size + 1)
    assert size == 0 or apart.root() != tree.root()
