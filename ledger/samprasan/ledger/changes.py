"""Changes: what a batch did to what integrators may see; a pure function of the batch and what its fold saw.

- A subject is seen while at least one agency is linked to its account and every one that is allows it.  From where that
  begins, readers know its totals (*linked*); where it ends, they are to forget it (*unlinked*).
- In between, each update is told by its effect: one change for each dimension of which more or less is earned, or one
  for what was set aside, spent, given up or given back.  Every change has the totals after its whole update.
- A correction that changes nothing of the totals is no change, nor is a declined update or a repeated one.
- Catalogues and policies are public: of each benefit it is told when its terms change or its owner withdraws it.
"""

from collections.abc import Iterator

from samprasan.ledger.state import Entry, Seen, State, Totals
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import documents_pb2 as documents
from samprasan.v1 import log_pb2 as log

_CAUSES = {
    "reserve": documents.CAUSE_RESERVE,
    "post": documents.CAUSE_POST,
    "void": documents.CAUSE_VOID,
    "refund": documents.CAUSE_REFUND,
    "expire": documents.CAUSE_EXPIRE,
}


def changes_of_entry(entry: Entry, before: State, folded: State) -> v1.EntryChanges:
    """What ``entry`` changed, in the order of its updates.

    ``before`` is the state that it was folded on, ``folded`` what came of it.
    """
    found = v1.EntryChanges(at=entry.appended_at)
    for seen in folded.seen:
        found.changes.extend(_of_account(seen, entry.batch.agency))
    found.changes.extend(_of_offers(before, folded))
    for version in folded.policies:
        found.changes.add(type=v1.EVENT_TYPE_POLICY_ACTIVATED, policy_version=version)
    return found


def first_sight(account_id: bytes, totals: Totals) -> v1.Change:
    """An account as it is when it is first seen."""
    return _change(v1.EVENT_TYPE_LINKED, account_id, totals)


def _of_account(seen: Seen, agency: str) -> Iterator[v1.Change]:
    before, after = seen.before, seen.after
    if not before.is_shown:
        if after.is_shown:
            yield first_sight(seen.account_id, after)
        return
    if not after.is_shown:
        yield v1.Change(type=v1.EVENT_TYPE_UNLINKED, account_id=seen.account_id, kind=after.kind)
        return
    kind = seen.update.WhichOneof("change") or ""
    if kind in _CAUSES:
        change = _change(v1.EVENT_TYPE_CREDIT_CHANGED, seen.account_id, after)
        change.cause, change.credits = _CAUSES[kind], abs(_moved(before, after))
        change.agency = seen.update.expire.agency if kind == "expire" else agency
        yield change
        return
    for dimension, (had, has) in enumerate(zip(before.earned, after.earned, strict=True), 1):
        if had != has:
            change = _change(v1.EVENT_TYPE_CREDIT_CHANGED, seen.account_id, after)
            change.agency, change.dimension = agency, log.Dimension.ValueType(dimension)
            change.cause = documents.CAUSE_AWARD if has > had else documents.CAUSE_REVERSE
            change.credits = abs(has - had)
            yield change


def _moved(before: Totals, after: Totals) -> int:
    """Credits spent or given back; if there are none, those set aside or released."""
    return after.spent - before.spent or after.held - before.held


def _change(kind: v1.EventType.ValueType, account_id: bytes, totals: Totals) -> v1.Change:
    return v1.Change(
        type=kind,
        account_id=account_id,
        kind=totals.kind,
        earned=totals.earned,
        available=totals.available,
        held=totals.held,
        spent=totals.spent,
    )


def _of_offers(before: State, folded: State) -> Iterator[v1.Change]:
    for (owner, code), offer in folded.offers.items():
        had = before.offers.get((owner, code))
        if had and (had.benefit.digest, had.withdrawn) == (offer.benefit.digest, offer.withdrawn):
            continue  # a piece of it was taken, or its catalogue says it once more
        if offer.withdrawn:
            withdrawn = documents.Benefit(code=code)
            yield v1.Change(type=v1.EVENT_TYPE_BENEFIT_WITHDRAWN, agency=owner, benefit=withdrawn)
        else:
            message = documents.Benefit.FromString(offer.benefit.message)
            yield v1.Change(type=v1.EVENT_TYPE_BENEFIT_CHANGED, agency=owner, benefit=message)
