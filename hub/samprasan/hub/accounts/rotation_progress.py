"""How far a rotation of the linking key is."""

from dataclasses import dataclass

from samprasan.edge.database import Tx
from samprasan.hub import store


@dataclass(frozen=True, slots=True)
class Rotation:
    """The next key, how many linked accounts are not found under it yet, and of how many agencies disagree."""

    key_epoch: int
    not_moved: int
    disagreements: int


def rotation_progress(tx: Tx) -> Rotation | None:
    """The rotation that runs; None if none does."""
    current = store.documents.agreed_on(tx).roster
    if current is None or not current.HasField("next"):
        return None
    epoch = current.next.key_epoch
    return Rotation(epoch, store.pseudonyms.not_moved(tx, epoch), store.pseudonyms.disagreements(tx))
