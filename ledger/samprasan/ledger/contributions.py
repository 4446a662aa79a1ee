"""Contributions: what one agency's own batches did to each account; a function of its chain and its receipts alone.

Hub and node each work them out from what they keep, the hub from its totals, the node from its records, and compare.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from samprasan.ledger.corrections import leftover
from samprasan.v1 import log_pb2 as log


class Contribution(NamedTuple):
    """Credits of an agency's awards that stand on an account, by dimension, and what its holds spent, less its refunds.

    ``linked`` is 1 while the agency has an open Link there, so that an account that only one side knows shows, too.
    """

    health: int = 0
    economy: int = 0
    social: int = 0
    environment: int = 0
    spent: int = 0
    linked: int = 0

    def plus(self, other: "Contribution") -> "Contribution":
        """Both together."""
        return Contribution(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def minus(self, other: "Contribution") -> "Contribution":
        """What is over."""
        return Contribution(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def credits(self) -> int:
        """Credits that stand, over all dimensions."""
        return self.health + self.economy + self.social + self.environment


NOTHING = Contribution()


@dataclass(frozen=True, slots=True)
class Named:
    """What earlier batches of the agency said: op_id → Award, and hold_id → account."""

    awards: Mapping[bytes, log.Award] = field(default_factory=dict)
    holds: Mapping[bytes, bytes] = field(default_factory=dict)


def refers_to(batch: log.Batch) -> tuple[set[bytes], set[bytes]]:
    """op_ids of the awards, and of the holds, that a batch corrects or settles: what :class:`Named` has to have."""
    awards: set[bytes] = set()
    holds: set[bytes] = set()
    for update in batch.updates:
        match update.WhichOneof("change"):
            case "award" if update.award.replaces:
                awards.add(update.award.replaces)
            case "reverse":
                awards.add(update.reverse.award_op_id)
            case "post":
                holds.add(update.post.hold_id)
            case "refund" if update.refund.agency == batch.agency:
                holds.add(update.refund.hold_id)
    return awards, holds


def changes(batch: log.Batch, outcomes: Sequence[log.Outcome], named: Named) -> Iterator[tuple[bytes, Contribution]]:
    """What a batch changed: an account and by how much, in the order of its updates."""
    awards, holds = dict(named.awards), dict(named.holds)
    for update, outcome in zip(batch.updates, outcomes, strict=True):
        if outcome.kind != log.OUTCOME_KIND_APPLIED:
            continue
        match update.WhichOneof("change"):
            case "award":
                awards[update.op_id] = update.award
                if update.award.replaces:
                    yield _taken_back(awards[update.award.replaces])
                yield update.award.account_id, awarded(update.award.dimension, update.award.credits)
            case "reverse":
                taken = awards[update.reverse.award_op_id]
                yield taken.account_id, awarded(taken.dimension, outcome.left - taken.credits)
                if outcome.left:
                    awards[update.op_id] = leftover(taken, outcome.left)
            case "reserve":
                holds[update.op_id] = update.reserve.account_id
            case "post":
                yield holds[update.post.hold_id], Contribution(spent=update.post.credits)
            case "refund" if update.refund.agency == batch.agency:
                yield holds[update.refund.hold_id], Contribution(spent=-update.refund.credits)


def awarded(dimension: int, amount: int) -> Contribution:
    """Credits in one of the four dimensions."""
    return Contribution(*(amount if place == dimension - 1 else 0 for place in range(4)))


def _taken_back(award: log.Award) -> tuple[bytes, Contribution]:
    return award.account_id, awarded(award.dimension, -award.credits)
