"""The alarm against probing: who has ids evaluated that lead to nothing.

The agencies that evaluate report how many elements they evaluated for whom on which day; the log tells on how many
accounts of persons and organizations an agency ever awarded, and on how many it looked an id up again because the
linking key was rotated.  What was evaluated more than 30 days ago and led to
nothing is *unused*: some of it is people who changed their minds, much of it is somebody looking for people.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from samprasan.edge.database import Tx
from samprasan.hub import limits, store
from samprasan.keys.errors import Malformed
from samprasan.ledger import calendar
from samprasan.ledger.state import AgencyTotals
from samprasan.v1 import hub_pb2


@dataclass(frozen=True, slots=True)
class Use:
    """What an agency had evaluated more than 30 days ago, and what came of it."""

    agency: str
    evaluated: int
    used: int

    @property
    def unused(self) -> int:
        """Evaluated and not used."""
        return max(0, self.evaluated - self.used)

    @property
    def is_probing(self) -> bool:
        """Whether too much is unused to be chance."""
        most = max(limits.UNUSED_ALWAYS_ALLOWED, self.evaluated // limits.UNUSED_SHARE)
        return self.unused >= most


def record_evaluations(tx: Tx, evaluator: str, reported: Iterable[hub_pb2.Evaluated], now: int) -> None:
    """Keep what ``evaluator`` reports of members and of the last weeks; the rest tells nothing and is passed over.

    A node whose clock was once wrong, or that still counts for an agency that left, must not be shut out for it.
    Raises Malformed ``request`` for too many rows, or a count that cannot be.
    """
    members = {each.agency for each in store.documents.agreed_on(tx).roster_with(evaluator).members} - {evaluator}
    today = calendar.day_of(now)
    newest = calendar.packed(today + timedelta(days=1))  # the evaluator's clock may be a little ahead
    oldest = calendar.packed(today - timedelta(days=limits.EVALUATED_DAYS_MAX))
    rows = list(reported)
    if len(rows) > limits.EVALUATED_ROWS_MAX or any(not 0 < row.elements <= limits.EVALUATED_MAX for row in rows):
        raise Malformed("request", limit=limits.EVALUATED_ROWS_MAX)
    known = [row for row in rows if row.requester in members and oldest <= row.day <= newest]
    store.evaluations.record(tx, evaluator, {(row.requester, row.day): row.elements for row in known})


def linking_use(tx: Tx, now: int) -> list[Use]:
    """How every member of the federation stands."""
    current = store.documents.agreed_on(tx).roster
    until = calendar.packed(calendar.day_of(now) - timedelta(days=limits.UNUSED_AFTER_DAYS))
    counts, did = store.evaluations.up_to(tx, until), store.ledger.agency_totals(tx)
    again = store.pseudonyms.rekeyed_in_all(tx)
    codes = [each.agency for each in current.members] if current else []
    return [Use(code, counts.get(code, 0), did.get(code, AgencyTotals()).used + again.get(code, 0)) for code in codes]
