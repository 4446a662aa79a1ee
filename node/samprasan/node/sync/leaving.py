"""Leaving an account: it rests first, so that who changes their mind loses nothing; then it is forgotten.

While it rests a Link needs no admission, and what was awarded stands.  Once the rest is over, whether it stands is seen
when the same person comes back: on the account that another agency kept open it does, on a new one it is over.
"""

from collections.abc import Iterable

from samprasan.edge.database import Tx
from samprasan.ledger import account_rest, calendar
from samprasan.node import store
from samprasan.node.deeds import awards
from samprasan.node.identity import Node
from samprasan.node.rows import SubjectRow


def leave(tx: Tx, account_ids: Iterable[bytes], left_at: int) -> None:
    """The hub took the Unlinks of these accounts at ``left_at``.

    Subjects to erase, and those of whom nothing else is known here, are forgotten at once.
    """
    rows = store.links.subjects_of(tx, account_ids)
    with_deeds = store.deeds.subjects_with_deeds(tx, {row.subject_id for row in rows})
    staying = [row for row in rows if not row.erasing and (_is_known(row) or row.subject_id in with_deeds)]
    forget(tx, [row for row in rows if row not in staying])
    until = calendar.start_of(account_rest.closes_on(calendar.day_of(left_at)))
    store.links.rest(tx, [row.subject_id for row in staying], until)
    _say_who_waits(tx, staying)


def forget_rested(node: Node) -> None:
    """Forget accounts whose rest is over."""
    with node.db.read() as tx:
        if not store.links.rested(tx, node.world.now()):
            return
    with node.db.begin() as tx:
        store.awards.lock(tx)
        forget(tx, store.links.rested(tx, node.world.now()))


def forget(tx: Tx, rows: list[SubjectRow]) -> None:
    """Forget these subjects' accounts, and those of whom nothing else is known; what they took back is remembered."""
    if not rows:
        return
    awards.forget_gone_of(tx, [row.subject_id for row in rows])
    store.links.forget_accounts(tx, [row.subject_id for row in rows])
    _say_who_waits(tx, rows)
    alone = {row.subject_id for row in rows if row.unlink_at is not None and not row.withdrawn}
    alone -= store.deeds.subjects_with_deeds(tx, alone)
    store.subjects.remove(tx, sorted(alone | set(store.subjects.erased(tx))))


def _is_known(row: SubjectRow) -> bool:
    """Whether they took something back, or have agreed again meanwhile."""
    return bool(row.withdrawn or row.share or row.redeem or row.integrators)


def _say_who_waits(tx: Tx, rows: Iterable[SubjectRow]) -> None:
    """Somebody at a counter waits for a Link, be it on the account that comes instead."""
    for row in rows:
        if row.redeem and store.redemptions.asked_by(tx, row.subject_id):
            store.subjects.mark_wanted(tx, row.subject_id)
