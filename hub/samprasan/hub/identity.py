"""The hub as its steps are given it: its database, and a world with its clock and its signing key."""

from dataclasses import dataclass

from samprasan.edge.database import Database
from samprasan.edge.world import World


@dataclass(frozen=True)
class Hub:
    """The one value that every step of the hub is given."""

    db: Database
    world: World
