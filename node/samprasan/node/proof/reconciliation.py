"""Reconciliation, the node's side: its records against the hub's totals, and who is right.

The sketch finds the accounts that differ; then three views of each are laid side by side: what the records say, what
the hub has, and what the node's own signed batches and the hub's receipts prove.  Where the proof agrees with the hub
the records were changed, lost or doubled; where it agrees with the records the hub's totals are wrong.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from samprasan.edge.database import Database, Tx
from samprasan.keys.chain import Head
from samprasan.ledger import contributions
from samprasan.ledger.contributions import NOTHING, Contribution, Named
from samprasan.ledger.corrections import leftover
from samprasan.node import limits, store
from samprasan.node.rows import present
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

if TYPE_CHECKING:
    from samprasan.ledger.sketch import Keys

Cause: TypeAlias = hub_pb2.DifferenceCause.ValueType


@dataclass(frozen=True, slots=True)
class Records:
    """What the records say at one position of the node's chain, by account."""

    head: Head
    have: Mapping[bytes, Contribution]
    secret: bytes

    def keys(self, mine: bytes, theirs: bytes) -> "Keys":
        """The session's keys, of both nonces."""
        from samprasan.ledger.sketch import Keys  # what it counts with takes a while to load

        return Keys.drawn(mine + theirs + self.secret)


@dataclass(frozen=True, slots=True)
class Difference:
    """An account on which the two sides differ; ``seq`` is the batch that the hub's totals seem to lack, else 0."""

    account_id: bytes
    here: Contribution
    hub: Contribution
    cause: Cause
    record_ids: Sequence[str] = ()
    seq: int = 0

    def as_document(self) -> dict[str, Any]:
        """As ``samprasan-node reconcile`` says it."""
        return {
            "account_id": self.account_id.hex(),
            "record_ids": list(self.record_ids),
            "here": _shown(self.here),
            "hub": _shown(self.hub),
            "likely_cause": cause_name(self.cause),
            "seq": self.seq or None,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reconciliation came to."""

    head: Head
    accounts: int
    differences: Sequence[Difference]
    bytes: int
    round_trips: int

    @property
    def causes(self) -> dict[str, int]:
        """Likely cause → accounts."""
        return dict(Counter(cause_name(each.cause) for each in self.differences))

    @property
    def verdict(self) -> hub_pb2.ReconcileVerdict:
        """For the hub's operator: numbers alone."""
        counts = Counter(each.cause for each in self.differences)
        return hub_pb2.ReconcileVerdict(
            causes=[hub_pb2.CauseCount(cause=cause, accounts=count) for cause, count in sorted(counts.items())]
        )

    def as_document(self) -> dict[str, Any]:
        """The answer of ``samprasan-node reconcile``."""
        return {
            "agreed": not self.differences,
            "accounts": self.accounts,
            "seq": self.head.seq,
            "differences": [each.as_document() for each in self.differences],
            "bytes": self.bytes,
            "round_trips": self.round_trips,
        }


def cause_name(cause: Cause) -> str:
    """As documents and messages name it."""
    return hub_pb2.DifferenceCause.Name(cause).removeprefix("DIFFERENCE_CAUSE_").lower()


def _shown(have: Contribution) -> dict[str, int | bool]:
    return have._asdict() | {"linked": bool(have.linked)}


def record_outcome(db: Database, now: int, outcome: Outcome) -> None:
    """Keep when node and hub last agreed, and what differs since."""
    with db.begin() as tx:
        if not outcome.differences:
            store.facts.write(tx, store.facts.AGREED_AT, str(now))
        store.facts.write(tx, store.facts.DIFFERENCES, json.dumps(outcome.causes))


def settled_at(db: Database) -> Head:
    """The newest batch that the hub has confirmed."""
    with db.read() as tx:
        return _settled(tx)


def _settled(tx: Tx) -> Head:
    seq = store.batches.settled_seq(tx)
    return Head(seq, store.batches.digest_at(tx, seq) or Head().digest)


def records(db: Database, agency: str, head: Head) -> Records | None:
    """What the records say now, if now is at ``head``."""
    with db.read() as tx:
        if _settled(tx) != head:
            return None
        accounts = store.record_totals.linked(tx)
        by_subject = store.record_totals.by_subject(tx)
        secret = store.documents.agreed_on(tx).federation_id + agency.encode()
    have = {key: by_subject.get(subject_id, NOTHING)._replace(linked=1) for subject_id, key in accounts.items()}
    return Records(head, have, secret)


def ever_linked(db: Database) -> set[bytes]:
    """Every account that the node's own chain linked, whatever the records know of it."""
    found = set()
    for batch, receipt in _chain(db, settled_at(db).seq):
        for update, outcome in zip(batch.updates, receipt.outcomes, strict=True):
            if update.HasField("link") and outcome.kind == log.OUTCOME_KIND_APPLIED:
                found.add(update.link.account_id)
    return found


def explain(db: Database, here: Records, hub: Mapping[bytes, Contribution]) -> list[Difference]:
    """What is behind each account of ``hub`` that is not what the records say."""
    proved = _proved(db, hub.keys(), here.head.seq)
    with db.read() as tx:
        rows = store.links.subjects_of(tx, hub.keys())
        subjects = {row.account_id: row.subject_id for row in rows}
        erasing = {row.account_id for row in rows if row.erasing}
        suspects: dict[int, list[store.record_totals.Suspect]] = {}
        for each in store.record_totals.suspects(tx):
            suspects.setdefault(each.subject_id, []).append(each)
        known = store.record_totals.op_ids_of(tx, {op_id for each in proved.values() for op_id in each.standing})
        known |= store.redemptions.hold_ids_of(tx, subjects.values())
    found = []
    for account_id, theirs in sorted(hub.items()):
        if account_id in erasing:
            continue  # the records went first; the account is given up once no hold is open
        proof = proved[account_id]
        mine = here.have.get(account_id, NOTHING)
        lost = [op_id for op_id in proof.standing if op_id not in known]
        mine = mine.plus(_sum(proof.standing[op_id] for op_id in lost if op_id in proof.given_up))
        forgotten = proof.given_up & proof.spent.keys() - known
        mine = mine.plus(Contribution(spent=sum(proof.spent[hold_id] for hold_id in forgotten)))
        if mine == theirs:
            continue  # somebody who had left, and came back: what was before was forgotten on purpose
        own = suspects.get(subjects.get(account_id, 0), [])
        cause, seq = _cause(theirs, proof, own, has_lost=bool(lost))
        named = sorted({each.record_id for each in own if each.record_id})
        found.append(Difference(account_id=account_id, here=mine, hub=theirs, cause=cause, record_ids=named, seq=seq))
    return found


def standing_awards(
    db: Database, accounts: Sequence[bytes], seq: int
) -> dict[bytes, dict[bytes, tuple[int, log.Award]]]:
    """Account → op id → batch and award, of awards that stand by the node's own chain.

    Awards from before the account was given up are left out.
    """
    return {
        account_id: {
            op_id: (proof.sealed[op_id], award)
            for op_id, award in proof.standing.items()
            if op_id not in proof.given_up
        }
        for account_id, proof in _proved(db, accounts, seq).items()
    }


def _cause(
    hub: Contribution,
    proof: "_Proof",
    suspects: Sequence[store.record_totals.Suspect],
    *,
    has_lost: bool,
) -> tuple[Cause, int]:
    if hub != proof.total:
        lacking = proof.total.minus(hub)
        seq = next((seq for seq, part in proof.parts.items() if part == lacking), 0)
        return (hub_pb2.DIFFERENCE_CAUSE_MISSING_BATCH if seq else hub_pb2.DIFFERENCE_CAUSE_HUB_TOTALS), seq
    what = {each.what for each in suspects}
    if "doubled" in what:
        return hub_pb2.DIFFERENCE_CAUSE_DOUBLE_COUNT, 0
    if what - {"orphaned"} or not (has_lost or what):
        return hub_pb2.DIFFERENCE_CAUSE_LOCAL_EDIT, 0
    return hub_pb2.DIFFERENCE_CAUSE_RESTORED_BACKUP, 0


@dataclass
class _Proof:
    """What batches and receipts prove of one account.

    ``parts`` by batch, ``standing`` awards by op_id and the batch each was ``sealed`` in, what was ``spent`` by
    hold_id, and those of both that were before the account was given up.
    """

    total: Contribution = NOTHING
    parts: dict[int, Contribution] = field(default_factory=dict)
    standing: dict[bytes, log.Award] = field(default_factory=dict)
    sealed: dict[bytes, int] = field(default_factory=dict)
    spent: dict[bytes, int] = field(default_factory=dict)
    given_up: frozenset[bytes] = frozenset()


def _proved(db: Database, account_ids: Any, seq: int) -> dict[bytes, _Proof]:
    """The proofs of these accounts, in one walk along the chain up to ``seq``."""
    found = {account_id: _Proof() for account_id in account_ids}
    awards: dict[bytes, log.Award] = {}
    holds: dict[bytes, bytes] = {}
    for batch, receipt in _chain(db, seq):
        for account_id, change in contributions.changes(batch, receipt.outcomes, Named(awards, holds)):
            if account_id in found:
                proof = found[account_id]
                proof.total = proof.total.plus(change)
                proof.parts[batch.seq] = proof.parts.get(batch.seq, NOTHING).plus(change)
        for update, outcome in zip(batch.updates, receipt.outcomes, strict=True):
            if outcome.kind == log.OUTCOME_KIND_APPLIED:
                _note(found, batch.seq, update, outcome.left, (awards, holds))
    for proof in found.values():
        proof.parts = {number: part for number, part in proof.parts.items() if part != NOTHING}
    return found


def _note(
    found: Mapping[bytes, _Proof],
    seq: int,
    update: log.Update,
    left: int,
    named: tuple[dict[bytes, log.Award], dict[bytes, bytes]],
) -> None:
    """Keep what later batches may refer to, what stands, and whether the account is linked.

    ``left`` is what a reversal had to leave of its award; ``named`` are awards, and the accounts of holds.
    """
    awards, holds = named
    match update.WhichOneof("change"):
        case "award":
            _withdraw(found, awards, update.award.replaces)
            _stand(found, awards, update.op_id, update.award, seq)
        case "reverse":
            _withdraw(found, awards, update.reverse.award_op_id)
            if left:
                taken = awards[update.reverse.award_op_id]
                _stand(found, awards, update.op_id, leftover(taken, left), seq)
        case "reserve":
            holds[update.op_id] = update.reserve.account_id
        case "post" if holds.get(update.post.hold_id) in found:
            found[holds[update.post.hold_id]].spent[update.post.hold_id] = update.post.credits
        case "refund" if holds.get(update.refund.hold_id) in found:
            found[holds[update.refund.hold_id]].spent[update.refund.hold_id] -= update.refund.credits
        case "link" if update.link.account_id in found:
            proof = found[update.link.account_id]
            proof.total = proof.total._replace(linked=1)
        case "unlink" if update.unlink.account_id in found:
            proof = found[update.unlink.account_id]
            proof.total = proof.total._replace(linked=0)
            proof.given_up = frozenset((*proof.standing, *proof.spent))


def _stand(
    found: Mapping[bytes, _Proof], awards: dict[bytes, log.Award], op_id: bytes, award: log.Award, seq: int
) -> None:
    awards[op_id] = award
    if award.account_id in found:
        found[award.account_id].standing[op_id] = award
        found[award.account_id].sealed[op_id] = seq


def _withdraw(found: Mapping[bytes, _Proof], awards: Mapping[bytes, log.Award], op_id: bytes) -> None:
    award = awards.get(op_id)
    if award is not None and award.account_id in found:
        found[award.account_id].standing.pop(op_id, None)


def _sum(awards: Iterator[log.Award]) -> Contribution:
    total = NOTHING
    for award in awards:
        total = total.plus(contributions.awarded(award.dimension, award.credits))
    return total


def _chain(db: Database, seq: int) -> Iterator[tuple[log.Batch, log.Receipt]]:
    """The node's own batches with their receipts, a few in memory at a time."""
    for first in range(1, seq + 1, limits.BATCHES_READ_AT_ONCE):
        with db.read() as tx:
            rows = store.batches.between(tx, first, min(first + limits.BATCHES_READ_AT_ONCE, seq + 1))
        for row in rows:
            batch = log.Batch.FromString(Envelope.FromString(row.envelope).payload)
            yield batch, log.Receipt.FromString(Envelope.FromString(present(row.receipt)).payload)
