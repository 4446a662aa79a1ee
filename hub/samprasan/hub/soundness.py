"""Whether an entry of the log is what was stored: its signatures, digests, place and leaf have to agree."""

from collections.abc import Mapping

from samprasan.edge.world import World
from samprasan.hub.store.log import LogRow
from samprasan.keys import documents, merkle, signing
from samprasan.keys.errors import SamprasanError
from samprasan.v1 import log_pb2 as log


def damage_of(row: LogRow | None, world: World, keys: Mapping[str, set[bytes]], leaf: bytes) -> str:
    """In what an entry is not what was stored: missing, receipt, tree, place or batch; empty if it is sound.

    ``keys`` are those of the hub and of every agency, ``leaf`` is the entry's in the tree.
    """
    if row is None:
        return "missing"
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
