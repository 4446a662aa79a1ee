"""Scrubbing: stored bytes are looked at again, a few entries at a time, round and round.

A database's own check misses most flipped bits.  Each entry's signatures, digests, place and leaf say whether it is
what was stored; one that is not is noted until it is again, and the operator told.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.store.log import LogRow
from samprasan.keys import merkle, rosters, signing
from samprasan.keys.errors import SamprasanError
from samprasan.v1 import log_pb2 as log


@dataclass(frozen=True, slots=True)
class Damage:
    """An entry of the log that is not what was stored, and in what."""

    log_index: int
    what: str


def scrub(hub: Hub, start: int) -> tuple[int, list[Damage]]:
    """Look at some entries from ``start`` on; where to go on (0: from the beginning), and what was found damaged."""
    with hub.db.read() as tx:
        size = store.log.head_now(tx).size
        end = min(start + limits.ENTRIES_SCRUBBED_AT_ONCE, size)
        found = list(_damaged(tx, hub.world, start, end))
        known = store.damages.within(tx, start, end)
    now = {each.log_index: each.what for each in found}
    if now != known:
        with hub.db.begin() as tx:
            store.damages.replace(tx, start, end, now, hub.world.now())
    return (0 if end >= size else end), found


def damage_of(row: LogRow | None, world: World, keys: Mapping[str, set[bytes]], leaf: bytes) -> str:
    """In what an entry is not what was stored: missing, receipt, tree, place or batch; empty if it is sound.

    ``keys`` are those of the hub and of every agency, ``leaf`` is the entry's in the tree.
    """
    if row is None:
        return "missing"
    try:
        envelope, answer = signing.read_envelope(row.batch), signing.read_envelope(row.receipt)
        receipt = signing.open_by_any(answer, log.Receipt, keys[rosters.HUB], world.verify)
    except SamprasanError:
        return "receipt"
    if merkle.leaf_hash(signing.digest(answer)) != leaf:
        return "tree"
    digest = signing.digest(envelope)
    if (row.agency, row.seq, row.log_index) != (receipt.agency, receipt.seq, receipt.log_index) or row.digest != digest:
        return "place"
    try:
        signing.open_by_any(envelope, log.Batch, keys.get(row.agency, set()), world.verify)
    except SamprasanError:
        return "batch"
    return "" if digest == receipt.batch_digest else "batch"


def _damaged(tx: Tx, world: World, start: int, end: int) -> Iterator[Damage]:
    keys = store.documents.signers(tx)
    rows = {row.log_index: row for row in store.log.between(tx, start, end)}
    leaves = store.tree.leaves(tx, start, end)
    for index in range(start, end):
        if what := damage_of(rows.get(index), world, keys, leaves.get(index, b"")):
            yield Damage(index, what)
