"""The states of what a node keeps, and what may follow what.

The words stand in the database.  A state that ``NEXT`` leads nowhere from is an end; only a cut
of the log goes back, since receipts behind it count no more (:mod:`samprasan.node.recovery.cut`).
"""

from collections.abc import Mapping
from enum import StrEnum


class AwardState(StrEnum):
    """Of an award or a reversal: without batch it can still change, with one it is on its way.

    Waiting: the agency may do no more of it today.  Over: it was told, and its account is nobody's any more.
    """

    QUEUED = "queued"
    WAITING = "waiting"
    SETTLED = "settled"
    DECLINED = "declined"
    REPLACED = "replaced"
    OVER = "over"


class HoldUpdateState(StrEnum):
    """Of what the hub is told of a hold."""

    QUEUED = "queued"
    SETTLED = "settled"
    DECLINED = "declined"


class RedemptionState(StrEnum):
    """Of a redemption: asked until the hub has answered, held while credits are set aside."""

    ASKED = "asked"
    HELD = "held"
    POSTED = "posted"
    DECLINED = "declined"
    VOIDED = "voided"
    REFUNDED = "refunded"
    EXPIRED = "expired"
    DROPPED = "dropped"


class MoveState(StrEnum):
    """Of a move: proposed by one officer, waiting for another agency once a second officer confirmed it."""

    PROPOSED = "proposed"
    WAITING = "waiting"
    DONE = "done"
    DROPPED = "dropped"


class QuestionState(StrEnum):
    """Of a question to a peer."""

    OPEN = "open"
    ANSWERED = "answered"
    REFUSED = "refused"
    EXPIRED = "expired"


UNTOLD = (AwardState.QUEUED, AwardState.WAITING)  # the hub has not said yet what comes of it

# By kind, since words of two kinds that read alike are equal.
NEXT: Mapping[type[StrEnum], Mapping[StrEnum, frozenset[StrEnum]]] = {
    AwardState: {
        AwardState.QUEUED: frozenset({AwardState.WAITING, AwardState.SETTLED, AwardState.DECLINED}),
        AwardState.WAITING: frozenset({AwardState.QUEUED}),
        AwardState.SETTLED: frozenset(
            {AwardState.DECLINED, AwardState.REPLACED, AwardState.OVER}  # declined in the same transaction
        ),
        AwardState.REPLACED: frozenset({AwardState.OVER}),
    },
    HoldUpdateState: {
        HoldUpdateState.QUEUED: frozenset({HoldUpdateState.SETTLED, HoldUpdateState.DECLINED}),
    },
    RedemptionState: {
        RedemptionState.ASKED: frozenset({RedemptionState.HELD, RedemptionState.DECLINED, RedemptionState.DROPPED}),
        RedemptionState.HELD: frozenset({RedemptionState.POSTED, RedemptionState.VOIDED, RedemptionState.EXPIRED}),
        RedemptionState.POSTED: frozenset({RedemptionState.REFUNDED}),
        RedemptionState.DROPPED: frozenset({RedemptionState.ASKED}),  # somebody asks again under the same key
    },
    MoveState: {
        MoveState.PROPOSED: frozenset({MoveState.WAITING, MoveState.DONE, MoveState.DROPPED}),
        MoveState.WAITING: frozenset({MoveState.DONE, MoveState.DROPPED}),
    },
    QuestionState: {
        QuestionState.OPEN: frozenset({QuestionState.ANSWERED, QuestionState.REFUSED, QuestionState.EXPIRED}),
    },
}
