"""What everybody's evaluations came to, from the hub's chain, which every node reads: nobody's word is needed.

Ids that were evaluated for an agency more than 30 days ago and of which it asked the hub for no account are *unopened*.
Whether it used the accounts it asked for is the hub's word alone, and shown as that.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from samprasan.edge.database import Tx
from samprasan.keys.errors import Unproven
from samprasan.ledger import batch_form, calendar, probing
from samprasan.ledger.agreement import Agreed
from samprasan.node import limits, store
from samprasan.node.identity import Node
from samprasan.node.linking import evaluation_totals
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log

_HUB_SAYS = ("evaluated", "used", "unused", "alone", "probing")


def note_batch(tx: Tx, node: Node, batch: log.Batch, receipt: log.Receipt) -> None:
    """Count what the next batch of the hub's chain says.

    Raises Unproven ``evaluation_total`` for an evaluation that not both agencies signed, ``admissions_uncovered`` for
    an agency admitted to more accounts than ids were evaluated for it, or to a person without any, and for an
    admission of which the hub says that it took no effect though it is new, or that it did again.
    """
    day = calendar.packed(calendar.day_of(receipt.appended_at))
    said: dict[str, list[tuple[log.Admitted, bool]]] = {}
    for update, outcome in zip(batch.updates, receipt.outcomes, strict=True):
        if update.HasField("evaluated"):
            requester, more = evaluation_totals.hear_of_chain(tx, node, update.evaluated.total)
            store.evaluation_totals.count(tx, requester, day, evaluated=more)
        elif update.HasField("admitted"):
            took_effect = outcome.kind == log.OUTCOME_KIND_APPLIED
            said.setdefault(update.admitted.agency, []).append((update.admitted, took_effect))
    for agency, admissions in said.items():
        _note_admissions(tx, agency, day, admissions)


def _note_admissions(tx: Tx, agency: str, day: int, said: Sequence[tuple[log.Admitted, bool]]) -> None:
    """Each with whether the hub says that it took effect: it does once, and nobody has to believe the hub in that."""
    known = store.evaluation_totals.tags_of(tx, agency, {each.tag for each, _ in said})
    new: dict[bytes, log.Admitted] = {}
    for each, took_effect in said:
        is_new = each.tag not in known and each.tag not in new
        if is_new != took_effect or not batch_form.may_be_public(each):
            raise Unproven("admissions_uncovered", agency=agency)
        if is_new:
            new[each.tag] = each
    store.evaluation_totals.keep_tags(tx, agency, new.keys())
    by_pseudonym = sum(each.key_epoch > 0 for each in new.values())
    store.evaluation_totals.count(tx, agency, day, admitted=by_pseudonym)
    evaluated, admitted = store.evaluation_totals.count_of(tx, agency)
    if admitted > evaluated:
        raise Unproven("admissions_uncovered", agency=agency)


def count_again(tx: Tx, node: Node) -> None:
    """Count the hub's chain anew, as far as it is kept: a cut has taken a part of it away."""
    store.evaluation_totals.forget_chain(tx)
    seq = 0
    while rows := store.hub_chain.after(tx, seq, limits.BATCHES_READ_AT_ONCE):
        for row in rows:
            entry = hub_pb2.LogEntry.FromString(row.entry)
            receipt = log.Receipt.FromString(entry.receipt.payload)
            note_batch(tx, node, log.Batch.FromString(entry.batch.payload), receipt)
            seq = row.seq


def linking_use(tx: Tx, now: int) -> list[dict[str, Any]]:
    """Of every member: what the chain says, and under ``hub`` what the hub says."""
    agreed = store.documents.agreed_on(tx)
    today = calendar.day_of(now)
    long_ago = calendar.packed(today - timedelta(days=probing.UNUSED_AFTER_DAYS))
    before, by_now = store.evaluation_totals.counts(tx, long_ago), store.evaluation_totals.counts(tx, _ever(now))
    said = {each["agency"]: each for each in json.loads(store.facts.get(tx, store.facts.LINKING_USE) or "[]")}
    looked_up_again = _looked_up_again(tx, agreed)
    found = []
    for member in agreed.roster.members if agreed.roster else []:
        evaluated, _ = before.get(member.agency, (0, 0))
        _, admitted = by_now.get(member.agency, (0, 0))
        unopened = max(0, evaluated - admitted - looked_up_again.get(member.agency, 0))
        found.append(
            {
                "agency": member.agency,
                "evaluated": evaluated,
                "admitted": admitted,
                "unopened": unopened,
                "probing": probing.is_probing(evaluated, unopened),
                "hub": {name: said[member.agency][name] for name in _HUB_SAYS} if member.agency in said else None,
            }
        )
    return found


def as_told(told: hub_pb2.LinkingUse) -> dict[str, Any]:
    """What the hub says of an agency, to be kept."""
    return {"agency": told.agency, **{name: getattr(told, name) for name in _HUB_SAYS}}


def _ever(now: int) -> int:
    """A day behind all that the chain can name: the hub's clock may be ahead."""
    return calendar.packed(calendar.day_of(now) + timedelta(days=366))


def _looked_up_again(tx: Tx, agreed: Agreed) -> dict[str, int]:
    """Ids that each agency had evaluated once more because the linking key was rotated: at most those it had opened."""
    found: dict[str, int] = {}
    for day in _rotated_on(agreed):
        for agency, (_, admitted) in store.evaluation_totals.counts(tx, day).items():
            found[agency] = found.get(agency, 0) + admitted
    return found


def _rotated_on(agreed: Agreed) -> Iterator[int]:
    """The days, YYYYMMDD, on which rosters were made that name another linking key than the ones before."""
    epoch = 0
    for roster in sorted(agreed.rosters_by_digest.values(), key=lambda each: each.version):
        if epoch and roster.linking.key_epoch > epoch:
            yield calendar.packed(calendar.day_of(roster.created_at))
        epoch = max(epoch, roster.linking.key_epoch)
