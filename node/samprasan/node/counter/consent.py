"""What a subject agrees to, told at the counter.

What was taken back there outlasts every import until the subject agrees again; what was given is the newest statement,
as an import's is.

Taking consent back reverses nothing.  Once nothing is agreed to that the hub knows of, nothing is told of the subject
any more, and a week later the account is given up by an Unlink.  It rests for another week; up to then agreeing again
finds everything as it was.  Then, unless another agency keeps it open, its credits are nobody's.
"""

from collections.abc import Iterable
from typing import Any

from samprasan.edge.database import Tx
from samprasan.keys.errors import Refused
from samprasan.keys.identifiers import Identifier
from samprasan.ledger import account_rest, calendar
from samprasan.node import limits, store
from samprasan.node.deeds.awards import AwardQueue
from samprasan.node.identity import Identity, Node
from samprasan.node.rows import SubjectRow
from samprasan.node.store.subjects import CONSENT_BITS

PURPOSES = tuple(CONSENT_BITS)


def show(node: Node, identifier: Identifier) -> dict[str, Any]:
    """The answer of ``consent``.  Raises Refused ``subject_unknown``."""
    with node.db.read() as tx:
        return _document(identifier, _subject(tx, node.identity, identifier))


def give(node: Node, identifier: Identifier, purposes: Iterable[str]) -> dict[str, Any]:
    """The subject agrees to ``purposes``; with *share*, also that deeds are told whose records said no.

    Raises Refused ``subject_unknown`` or ``being_erased``.
    """
    now = node.world.now()
    with node.db.begin() as tx:
        store.awards.lock(tx)
        row = _subject(tx, node.identity, identifier)
        if row.erasing:
            raise Refused("being_erased")
        given = set(purposes)
        withdrawn = row.withdrawn & ~sum(CONSENT_BITS[each] for each in given)
        _set(tx, row, given | _agreed(row), withdrawn, now)
        if "share" in given:
            deeds = [deed._replace(share=True) for deed in store.deeds.of_subject(tx, row.subject_id) if not deed.gone]
            store.deeds.replace(tx, deeds)
            AwardQueue(tx, node.world, now).correct(deeds)
        return _document(identifier, _subject(tx, node.identity, identifier))


def withdraw(node: Node, identifier: Identifier, purposes: Iterable[str]) -> dict[str, Any]:
    """The subject takes consent to ``purposes`` back.  Raises Refused ``subject_unknown``."""
    with node.db.begin() as tx:
        store.awards.lock(tx)
        row = _subject(tx, node.identity, identifier)
        taken = set(purposes)
        withdrawn = row.withdrawn | sum(CONSENT_BITS[each] for each in taken)
        if "redeem" in taken:
            store.redemptions.drop(tx, store.redemptions.asked_by(tx, row.subject_id))
        _set(tx, row, _agreed(row) - taken, withdrawn, node.world.now())
        return _document(identifier, _subject(tx, node.identity, identifier))


def _set(tx: Tx, row: SubjectRow, agreed: set[str], withdrawn: int, now: int) -> None:
    later = now + limits.UNLINK_GRACE_MS if row.unlink_at is None else row.unlink_at
    unlink_at = None if agreed - {"publish"} else later
    consents = {each: each in agreed for each in PURPOSES}
    store.subjects.set_consents(tx, row.subject_id, consents, withdrawn, unlink_at)


def _subject(tx: Tx, identity: Identity, identifier: Identifier) -> SubjectRow:
    row = store.subjects.find(tx, identity.index(identifier))
    if row is None:
        raise Refused("subject_unknown")
    return row


def _agreed(row: SubjectRow) -> set[str]:
    return {each for each in PURPOSES if getattr(row, each)}


def _document(identifier: Identifier, row: SubjectRow) -> dict[str, Any]:
    state, unlink_at, until = _account(row)
    return {
        "scheme": identifier.scheme.value,
        **{each: bool(getattr(row, each)) for each in PURPOSES},
        "withdrawn": [each for each, bit in CONSENT_BITS.items() if row.withdrawn & bit],
        "account": state,
        "unlink_at": calendar.iso(unlink_at) if unlink_at else None,
        "back_until": calendar.iso(until) if until else None,
        "erasing": bool(row.erasing),
    }


def _account(row: SubjectRow) -> tuple[str, int | None, int | None]:
    """How the account stands, when it is given up, and until when agreeing again finds everything as it was."""
    if row.account_id is None:
        return "none", None, None
    if row.rests_until is not None:
        return "resting", None, row.rests_until
    if row.unlink_at is None:
        return "open", None, None
    return "leaving", row.unlink_at, _closes_at(row.unlink_at)


def _closes_at(left_at: int) -> int:
    return calendar.start_of(account_rest.closes_on(calendar.day_of(left_at)))
