"""While the linking key is rotated: how far it is, and until when no account may be opened under the old one."""

import sqlalchemy as sa
from samprasan.node import limits
from samprasan.node.store import facts


def is_closing(tx: sa.Connection, now: int) -> bool:
    """Whether this node signed that everybody has moved: nobody may be opened under the old key meanwhile."""
    begun = closing_hour(tx)
    if begun is None:
        return False
    return -limits.CLOCK_OFF_MS_MAX <= now - begun < limits.ROTATION_CLOSING_MS + limits.CLOCK_OFF_MS_MAX


def closing_hour(tx: sa.Connection) -> int | None:
    """When the hour began in which this node last signed a rotation's end; None if it signed none of this one."""
    said = facts.get(tx, facts.ROTATION_CLOSING)
    return None if said is None else int(said)


def close_rotation(tx: sa.Connection, begun: int) -> None:
    """Everybody has moved, as this node signs in the hour that began at ``begun``."""
    facts.write(tx, facts.ROTATION_CLOSING, str(begun))


def note_left(tx: sa.Connection, key_epoch: int, not_moved: int) -> None:
    """What the hub said of all agencies' accounts."""
    facts.write(tx, facts.ROTATION_LEFT, f"{key_epoch} {not_moved}")


def left_at_hub(tx: sa.Connection, key_epoch: int) -> int | None:
    """How many linked accounts the hub did not find under that key when it last said hello; None: it did not say."""
    said, _, left = (facts.get(tx, facts.ROTATION_LEFT) or "").partition(" ")
    return int(left) if said == str(key_epoch) else None


def end_rotation(tx: sa.Connection) -> None:
    """The old key is gone."""
    facts.drop(tx, facts.ROTATION_CLOSING)
    facts.drop(tx, facts.ROTATION_LEFT)
