"""Who waits, and how long: callers that keep making faults or send faster than they may, and a task that failed.

Without it one broken or hostile caller takes as much of the server as everybody else together.  A few faults cost
nothing; the wait doubles from then on; a minute without a fault forgets them.
"""

from dataclasses import dataclass, field

FREE_FAULTS = 8  # a client of another version fails a few times before somebody looks
FIRST_WAIT_SECONDS = 0.02
WAIT_SECONDS_MAX = 8.0
FORGOTTEN_SECONDS = 60.0
WAITING_BYTES_MAX = 64 << 20  # of one caller, whose messages stay in memory while they wait
WAITING_CALL_BYTES = 4_096  # what a call takes beside its message
CALLERS_MAX = 10_000  # remembered at once; beyond, the one that was quiet longest is forgotten


@dataclass
class Patience:
    """Counts faults by caller; ``now`` is seconds of any clock that goes on."""

    _faults: dict[str, tuple[int, float]] = field(default_factory=dict)

    def fault(self, caller: str, now: float) -> None:
        """The caller sent what it should not have."""
        count = self._count(caller, now) + 1
        self._faults.pop(caller, None)
        self._faults[caller] = (count, now)
        if len(self._faults) > CALLERS_MAX:
            del self._faults[next(iter(self._faults))]

    def wait_seconds(self, caller: str, now: float) -> float:
        """How long its next call is to wait."""
        doublings = min(self._count(caller, now) - FREE_FAULTS - 1, 30)
        return 0.0 if doublings < 0 else min(FIRST_WAIT_SECONDS * 2**doublings, WAIT_SECONDS_MAX)

    def _count(self, caller: str, now: float) -> int:
        count, at = self._faults.get(caller, (0, now))
        return 0 if now - at > FORGOTTEN_SECONDS else count


@dataclass
class Pace:
    """So many calls at once and so many a second of each caller; what comes faster waits its turn.

    ``now`` is seconds of any clock that goes on.
    """

    at_once: int
    per_second: float
    _turns: dict[str, float] = field(default_factory=dict)  # when the next call has its turn, had none gone at once

    def wait_seconds(self, caller: str, now: float) -> float:
        """How long the caller's next call is to wait; it counts unless that is more than ``WAIT_SECONDS_MAX``."""
        turn = max(self._turns.pop(caller, now), now)
        wait = max(0.0, turn - now - (self.at_once - 1) / self.per_second)
        self._turns[caller] = turn + (1 / self.per_second if wait <= WAIT_SECONDS_MAX else 0.0)
        if len(self._turns) > CALLERS_MAX:
            del self._turns[next(iter(self._turns))]
        return wait


@dataclass
class Allowance:
    """So many at once and so many a second, as a bucket that fills again."""

    most: float
    per_second: float
    _left: float = -1.0
    _at: float = 0.0

    def admit(self, now: float) -> bool:
        """Whether one more is allowed at ``now``, seconds of any clock that goes on."""
        left = self.most if self._left < 0 else min(self.most, self._left + (now - self._at) * self.per_second)
        is_allowed = left >= 1
        self._left, self._at = left - is_allowed, now
        return is_allowed


@dataclass
class Pauses:
    """How long a task rests after a fault of ours, seconds: twice as long each time, up to ``most``.

    Once it worked for as long as ``most``, what was before is forgotten.
    """

    first: float
    most: float
    _next: float = 0.0

    def after(self, worked_seconds: float) -> float:
        """The next pause, behind a try that went well for so long."""
        pause = self.first if worked_seconds > self.most or not self._next else self._next
        self._next = min(2 * pause, self.most)
        return min(pause, self.most)
