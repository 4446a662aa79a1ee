"""Scrubbing: stored bytes are looked at again, a few entries at a time, round and round.

A database's own check misses most flipped bits.  Each entry's signatures, digests, place and leaf say whether it is
what was stored; one that is not is noted until it is again, and the operator told.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from samprasan.edge.database import Store, Tx
from samprasan.edge.world import World
from samprasan.hub import limits
from samprasan.hub.store import damages as damages_store
from samprasan.hub.store import documents as documents_store
from samprasan.hub.store import log as log_store
from samprasan.hub.store import tree as tree_store
from samprasan.hub.store.log import LogRow
from samprasan.keys import documents, merkle, signing
from samprasan.keys.errors import SamprasanError
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Roster
from samprasan.v1.envelope_pb2 import Envelope


@dataclass(frozen=True, slots=True)
class Damage:
    """An entry of the log that is not what was stored, and in what."""

    log_index: int
    what: str


def scrub(store: Store, world: World, start: int) -> tuple[int, list[Damage]]:
    """Look at some entries from ``start`` on; where to go on (0: from the beginning), and what was found damaged."""
    with store.read() as tx:
        size = log_store.head_now(tx).size
        end = min(start + limits.ENTRIES_SCRUBBED_AT_ONCE, size)
        found = list(_damaged(tx, world, start, end))
        known = damages_store.within(tx, start, end)
    now = {each.log_index: each.what for each in found}
    if now != known:
        with store.begin() as tx:
            damages_store.put(tx, start, end, now, world.now())
    return (0 if end >= size else end), found


def _damaged(tx: Tx, world: World, start: int, end: int) -> Iterator[Damage]:
    keys = _keys(tx)
    rows = {row.log_index: row for row in log_store.between(tx, start, end)}
    leaves = tree_store.leaves(tx, start, end)
    for index in range(start, end):
        row = rows.get(index)
        what = "missing" if row is None else _wrong(row, world, keys, leaves.get(index, b""))
        if what:
            yield Damage(index, what)


def _wrong(row: LogRow, world: World, keys: dict[str, set[bytes]], leaf: bytes) -> str:
    """In what an entry is not what was stored; empty if it is sound."""
    try:
        envelope, answer = signing.read_envelope(row.batch), signing.read_envelope(row.receipt)
        receipt = signing.open_by_any(answer, log.Receipt, keys[documents.HUB], world.verify)
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


def _keys(tx: Tx) -> dict[str, set[bytes]]:
    """Every key that the hub or an agency ever had."""
    keys: dict[str, set[bytes]] = {documents.HUB: set()}
    for data in documents_store.active(tx):
        envelope = Envelope.FromString(data)
        if envelope.payload_type == signing.payload_type(Roster):
            roster = Roster.FromString(envelope.payload)
            keys[documents.HUB].add(roster.hub.signing_key)
            for member in roster.members:
                keys.setdefault(member.agency, set()).add(member.signing_key)
    return keys
