"""A party's chain of batches: sequence numbers without a gap, each naming the digest of the one before.

A batch either extends the head, was there before, leaves a gap, or forks.  A gap is cured by sending what lies between;
a fork by no sending at all.
"""

from dataclasses import dataclass
from enum import Enum

DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Head:
    """The newest batch of a chain: its ``seq`` (0 if there is none) and SHA-256 of its payload."""

    seq: int = 0
    digest: bytes = bytes(DIGEST_BYTES)


START = Head()


class Fit(Enum):
    """How a batch fits behind a head."""

    NEXT = "next"
    KNOWN = "known"  # at or before the head: the same bytes if its digest is the stored one, else a fork
    GAP = "gap"
    FORK = "fork"


def fit(head: Head, seq: int, previous: bytes) -> Fit:
    """Where a batch that says ``seq`` and ``previous`` belongs; KNOWN must still be compared with what is stored."""
    if seq <= head.seq:
        return Fit.KNOWN
    if seq > head.seq + 1:
        return Fit.GAP
    return Fit.NEXT if previous == head.digest else Fit.FORK


class Heads(Enum):
    """What two parties' heads of the same chain say."""

    SAME = "same"
    BEHIND = "behind"  # the other side lacks batches of mine
    AHEAD = "ahead"  # the other side has batches that I do not
    FORK = "fork"


def compare(mine: Head, theirs: Head, mine_at_theirs: bytes | None) -> Heads:
    """How ``theirs`` stands to ``mine``; ``mine_at_theirs`` is my digest at their seq, None if I have none there."""
    if theirs.seq > mine.seq:
        return Heads.AHEAD
    if theirs.seq and theirs.digest != mine_at_theirs:
        return Heads.FORK
    return Heads.SAME if theirs.seq == mine.seq else Heads.BEHIND
