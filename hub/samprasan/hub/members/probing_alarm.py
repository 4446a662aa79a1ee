"""The alarm against probing: who has ids evaluated that lead to nothing.

The log tells how many elements an agency had evaluated, as it signed itself, and on how many
accounts of persons and organizations an agency ever awarded, and on how many it looked an id up again because the
linking key was rotated.  What was evaluated more than 30 days ago and led to
nothing is *unused*: some of it is people who changed their minds, much of it is somebody looking for people.
"""

from dataclasses import dataclass
from datetime import timedelta

from samprasan.edge.database import Tx
from samprasan.hub import store
from samprasan.ledger import calendar, probing
from samprasan.ledger.state import AgencyTotals


@dataclass(frozen=True, slots=True)
class Use:
    """What an agency had evaluated more than 30 days ago, and what came of it.

    ``alone`` counts accounts of persons and organizations that it was linked to and no other agency ever was.
    """

    agency: str
    evaluated: int
    used: int
    alone: int = 0

    @property
    def unused(self) -> int:
        """Evaluated and not used."""
        return max(0, self.evaluated - self.used)

    @property
    def is_probing(self) -> bool:
        """Whether too much is unused to be chance."""
        return probing.is_probing(self.evaluated, self.unused)


def linking_use(tx: Tx, now: int) -> list[Use]:
    """How every member of the federation stands."""
    current = store.documents.agreed_on(tx).roster
    until = calendar.packed(calendar.day_of(now) - timedelta(days=probing.UNUSED_AFTER_DAYS))
    counts, did = store.evaluations.up_to(tx, until), store.ledger.agency_totals(tx)
    again = store.pseudonyms.rekeyed_in_all(tx)
    codes = [each.agency for each in current.members] if current else []
    found = []
    for code in codes:
        totals = did.get(code, AgencyTotals())
        found.append(Use(code, counts.get(code, 0), totals.used + again.get(code, 0), totals.alone))
    return found
