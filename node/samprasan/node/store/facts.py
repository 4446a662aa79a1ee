"""A few facts that have no table of their own, by name."""

import sqlalchemy as sa
from samprasan.edge.database import upsert_rows
from samprasan.node.tables import notes

SUBJECTS_REMOVED_UP_TO = "subjects_removed_up_to"  # no subject id up to it is given out again
HALTED = "halted"  # the code of the error that stopped sending
HUB_SEEN_AT = "hub_seen_at"  # when the hub last answered a hello, milliseconds since the Unix epoch
LINKING_USE = "linking_use"  # what the hub said of everybody's evaluations, JSON
ROTATION_LEFT = "rotation_left"  # the next key and how many accounts the hub did not find under it yet
ROTATION_CLOSING = "rotation_closing_hour"  # when the hour began in which this node signed that everybody has moved
AGREED_AT = "agreed_at"  # when records and the hub's totals last agreed
DIFFERENCES = "differences"  # accounts that differ, by likely cause, JSON
AWARDS_WAIT_UNTIL = "awards_wait_until"  # a cap of this agency's day was reached; when the next one begins
CLOCK_OFF_MS = "clock_off_ms"  # the hub's clock less ours, then
RECEIPT_WAITS = "receipt_waits"  # the oldest batch whose receipt is not proved, and how often the hub was asked for it
ENTRY_WAITS = "entry_waits"  # the same of the hub's own entries
ENTRIES_PROVED = "entries_proved"  # up to which the hub's own entries are proved to be in its log


RESTORED = "restored"  # why a node that was made of a backup is halted
OVER_ONCE_WHOLE = frozenset({"hub_went_back", "log_went_back"})  # the agencies have given back what the hub had lost
_STRONGEST = frozenset({RESTORED, "log_forked"})
_NAMED = sa.select(notes.c.value).where(notes.c.name == sa.bindparam("which"))


def get(tx: sa.Connection, name: str) -> str | None:
    """The note, if there is one."""
    return tx.execute(_NAMED, {"which": name}).scalar()


def write(tx: sa.Connection, name: str, value: str) -> None:
    """Write the note."""
    upsert_rows(tx, notes, [(name, value)])


def halt(tx: sa.Connection, code: str) -> None:
    """Stop sending; a reason that only an operator takes away is not replaced by one that may pass by itself."""
    before = get(tx, HALTED)
    if before in _STRONGEST or (before and before not in OVER_ONCE_WHOLE and code in OVER_ONCE_WHOLE):
        return
    write(tx, HALTED, code)


def drop(tx: sa.Connection, name: str) -> None:
    """Delete the note."""
    tx.execute(notes.delete().where(notes.c.name == name))
