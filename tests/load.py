"""Deeds for served federations: given to nodes from outside, as a command would, and remembered."""

import random
import time
from contextlib import suppress

from federation import AGENCIES
from federation import Federation as LocalFederation
from samprasan.keys.errors import Refused
from samprasan.node import home as node_homes
from samprasan.node.counter import consent
from samprasan.node.home import Home
from samprasan.node.imports.deed import Consents
from samprasan.node.sync import outbox

from tests import federation as memory
from tests.federation import NodeParty

DEEDS_AT_ONCE = 40
SUBJECTS = 200
DRAIN_SECONDS = 60.0


class Load:
    """Gives agencies deeds to send, and remembers what was earned."""

    def __init__(self, served: LocalFederation, consents: Consents | None = None) -> None:
        """``consents`` comes with every deed; to share and redeem, if None."""
        self.homes: dict[str, Home] = {agency: node_homes.open_home(served.home(agency)) for agency in AGENCIES}
        self.earned = dict.fromkeys(AGENCIES, 0)
        self._said = {"consents": consents} if consents else {}
        self._number = 0

    def give(self, chance: random.Random, deeds: int = DEEDS_AT_ONCE, subjects: int = SUBJECTS) -> None:
        """Import some deeds at every agency."""
        for agency, home in self.homes.items():
            made = []
            for _ in range(deeds):
                self._number += 1
                made.append(memory.deed(self._number, chance.randrange(subjects), **self._said))
            party = NodeParty(home.node.db, home.node.world, home.node.identity)
            report = memory.bring_in(party, made)
            assert report.accepted == deeds
            self.earned[agency] += report.credits_shared

    def change_minds(self, chance: random.Random, people: int, subjects: int = SUBJECTS) -> None:
        """Some people let integrators see them, or do not any more, at one agency."""
        for _ in range(people):
            node = self.homes[chance.choice(sorted(self.homes))].node
            subject = memory.deed(0, chance.randrange(subjects)).subject
            change = chance.choice((consent.give, consent.withdraw))
            with suppress(Refused):  # the agency does not know them
                change(node, subject, ("integrators",))

    def outboxes(self) -> dict[str, outbox.Outbox]:
        return {a: outbox.outbox(home.node.db, home.node.world.now()) for a, home in self.homes.items()}

    def wait(self) -> None:
        """Until every outbox is empty."""
        until = time.monotonic() + DRAIN_SECONDS
        while any(not each.is_empty for each in self.outboxes().values()):
            assert time.monotonic() < until, self.outboxes()
            time.sleep(0.2)

    def close(self) -> None:
        """Close the nodes' databases."""
        for home in self.homes.values():
            home.node.db.close()
