"""Limits that fill up over time: at 70 % whoever runs the thing is told which setting it is, while there is time."""

from collections.abc import Iterable
from typing import Any, NamedTuple

NEAR_SHARE = 0.7  # of a limit: it is shown from here on, before it is in the way


class Nearing(NamedTuple):
    """A limit called ``setting`` of which ``used`` of ``most`` is taken, by ``agency`` if it is one agency's."""

    setting: str
    agency: str
    used: int
    most: int

    @property
    def is_near(self) -> bool:
        """Whether it is time to say so."""
        return self.used >= self.most * NEAR_SHARE


def near(found: Iterable[Nearing]) -> list[dict[str, Any]]:
    """Those that are near, as status shows and the log tells them."""
    return [each._asdict() for each in found if each.is_near]
