"""While the linking key is rotated: how far it is, and until when no account may be opened under the old one."""

import sqlalchemy as sa
from samprasan.node.store import facts as notes_store


def is_closing(tx: sa.Connection, now: int) -> bool:
    """Whether this node signed that everybody has moved: nobody may be opened under the old key meanwhile."""
    return now < int(notes_store.get(tx, notes_store.ROTATION_CLOSING) or 0)


def close_rotation(tx: sa.Connection, until: int) -> None:
    """Everybody has moved, as this node signs; what it signed ends at ``until``."""
    notes_store.write(tx, notes_store.ROTATION_CLOSING, str(until))


def note_left(tx: sa.Connection, key_epoch: int, not_moved: int) -> None:
    """What the hub said of all agencies' accounts."""
    notes_store.write(tx, notes_store.ROTATION_LEFT, f"{key_epoch} {not_moved}")


def left_at_hub(tx: sa.Connection, key_epoch: int) -> int | None:
    """How many linked accounts the hub did not find under that key when it last said hello; None: it did not say."""
    said, _, left = (notes_store.get(tx, notes_store.ROTATION_LEFT) or "").partition(" ")
    return int(left) if said == str(key_epoch) else None


def end_rotation(tx: sa.Connection) -> None:
    """The old key is gone."""
    notes_store.drop(tx, notes_store.ROTATION_CLOSING)
    notes_store.drop(tx, notes_store.ROTATION_LEFT)
