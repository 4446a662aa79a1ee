"""Others' clocks: whether one's own is right, measured with a clock that never jumps.

What each of them said last is carried on by the monotonic clock.  Their median counts, so that one wrong clock among
several decides nothing; of two in the middle it is the nearer to one's own.
"""

from collections.abc import Callable
from statistics import median_high, median_low

from samprasan.keys.errors import Unavailable

OFF_MAX_MS = 300_000  # what an hour of a bad line and of a bad quartz do not come to
ACTIVE_MS = 600_000  # who was not heard for ten minutes counts only if nobody was


class Clocks:
    """What others said of the time, since this process began."""

    def __init__(self, monotonic_ms: Callable[[], int]) -> None:
        """``monotonic_ms`` counts milliseconds from any moment on, and never jumps."""
        self._monotonic_ms = monotonic_ms
        self._heard: dict[str, tuple[int, int]] = {}

    def note(self, who: str, now: int) -> None:
        """Somebody's clock shows ``now``, milliseconds since the Unix epoch."""
        at = self._monotonic_ms()
        self._heard[who] = (now - at, at)

    def ahead_of(self, who: str, now: int) -> int:
        """How far somebody's clock is ahead of ``now``, milliseconds; 0 if it was never heard."""
        heard = self._heard.get(who)
        return heard[0] + self._monotonic_ms() - now if heard else 0

    def off(self, now: int) -> int | None:
        """How far ``now`` is ahead of the others' median, milliseconds; None if nobody was heard."""
        elapsed = self._monotonic_ms()
        heard = list(self._heard.values())
        active = [said for said, at in heard if elapsed - at <= ACTIVE_MS] or [said for said, _ in heard]
        if not active:
            return None
        middle = (median_low(active), median_high(active))
        return min((now - said - elapsed for said in middle), key=abs)

    def check(self, now: int) -> None:
        """Raises Unavailable ``hub_clock_unknown`` if nobody was heard, ``hub_clock_off`` if ``now`` is minutes off."""
        off = self.off(now)
        if off is None:
            raise Unavailable("hub_clock_unknown")
        if abs(off) > OFF_MAX_MS:
            raise Unavailable("hub_clock_off", seconds=round(off / 1000))
