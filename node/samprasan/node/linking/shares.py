"""Shares of linking keys: sealed in the node's database, and checked against the roster whenever one is used.

A share is found by its commitment, so one of another version or epoch is never taken for the one that the roster names:
a stale share would split people's accounts silently.
"""

from samprasan.edge.database import Tx
from samprasan.keys.errors import Unproven
from samprasan.keys.sharing import Share
from samprasan.node import store
from samprasan.node.identity import Identity, Node
from samprasan.v1.documents_pb2 import LinkingKey, ShareCommitment

_COLUMN = "shares.sealed_share"


def share_held(tx: Tx, identity: Identity, key: LinkingKey) -> Share | None:
    """The share of ``key`` that the roster says this node holds, or None.

    Raises Unproven ``share_differs`` if it is damaged.
    """
    entry = commitment(key, identity.agency)
    sealed = store.ceremony.sealed_share(tx, entry.point) if entry else None
    if entry is None or sealed is None:
        return None
    share = Share.decode(identity.vault.open(_COLUMN, sealed))
    named = (key.key_epoch, key.share_version, entry.index)
    if (share.key_epoch, share.share_version, share.index) != named or share.commitment() != entry.point:
        raise Unproven("share_differs")
    return share


def index_held(tx: Tx, agency: str, key: LinkingKey) -> int | None:
    """The index of the share of ``key`` that is kept here, without opening it; None if there is none.

    Whether it is damaged shows when it is used, and in ``doctor``.
    """
    entry = commitment(key, agency)
    return entry.index if entry and store.ceremony.sealed_share(tx, entry.point) else None


def keep_share(tx: Tx, node: Node, share: Share, roster_digest: bytes) -> None:
    """Keep a share that a ceremony under that roster has made; it counts once a roster names its commitment."""
    sealed = node.identity.seal(node.world, _COLUMN, share.encode())
    store.ceremony.save_share(tx, share.commitment(), sealed, roster_digest)


def commitment(key: LinkingKey, agency: str) -> ShareCommitment | None:
    """Which share of ``key`` an agency holds, if any."""
    return next((entry for entry in key.commitments if entry.agency == agency), None)
