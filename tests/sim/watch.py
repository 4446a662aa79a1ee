"""What an enemy must not reach, looked at from outside after each of its deeds."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from samprasan.hub import store as hub_store
from samprasan.hub import tables as hub_tables
from samprasan.ledger import calendar
from samprasan.node.tables import evaluations, questions
from samprasan.node.tables import subjects as node_subjects
from samprasan.v1.documents_pb2 import Benefit
from samprasan.v1.log_pb2 import PURPOSE_INTEGRATORS, PURPOSE_REDEEM

from tests.federation import Federation
from tests.sim.adversary import ENEMY, Enemy

_ACCOUNTS = "SELECT account_id, available, held, spent, written_off, links, closed, closes_on, lots FROM accounts"
_HOLDS = "SELECT agency, hold_id, account_id, owner, credits, posted, refunded FROM holds"
_USES = "SELECT uses.count, offers.message FROM uses JOIN offers USING (owner, benefit)"


@dataclass
class Watch:
    """The accounts before a deed, and what the enemy has done on each day."""

    fed: Federation
    enemy: Enemy
    cap: int
    write_off_cap: int
    reserve_cap: int
    made: Counter[int] = field(default_factory=Counter)
    lost: Counter[int] = field(default_factory=Counter)
    reserved: Counter[int] = field(default_factory=Counter)
    before: dict[bytes, Any] = field(default_factory=dict)
    holds: dict[tuple[str, bytes], Any] = field(default_factory=dict)
    links: dict[bytes, frozenset[int]] = field(default_factory=dict)

    def begin(self) -> None:
        """The enemy is about to do something."""
        self.before, self.holds, self.links = self._accounts(), self._holds(), self._links()
        self.enemy.shown, self.enemy.compared, self.enemy.introduced = [], [], []

    def problems(self, kind: str) -> Iterator[str]:
        """What it has reached that it must not reach."""
        today = calendar.packed(calendar.day_of(self.fed.clock()))
        own, after = set(self.enemy.own), self._accounts()
        for account_id, now in after.items():
            then = self.before.get(account_id)
            if then is None or then == now:
                continue
            if account_id not in own and kind != "refund":  # it may refund what was had of its own benefits
                yield "an account changed that the hub never named to it"
            self.made[today] += max(0, _worth(now) - _worth(then))
            self.lost[today] += max(0, now.written_off - then.written_off)
            if now.written_off > now.spent + now.held:
                yield "more is written off than was spent or is held"
            if now.closed and not then.closed and now.closes_on > today:
                yield "an account is closed before its rest is over"
            if now.closes_on and now.links:
                yield "an account is to be closed that agencies are linked to"
        if self.made[today] > self.cap:
            yield f"{self.made[today]} credits became spendable on one day"
        if self.lost[today] > self.write_off_cap:
            yield f"{self.lost[today]} credits were written off on one day"
        new = [each for key, each in self._holds().items() if key not in self.holds and key[0] == ENEMY]
        self.reserved[today] += sum(each.credits for each in new)
        if self.reserved[today] > self.reserve_cap:
            yield f"{self.reserved[today]} credits were set aside on one day"
        yield from self._beyond_its_links()

    def _beyond_its_links(self) -> Iterator[str]:
        """Holds and totals of accounts under a Link that does not say so, or under none."""
        may_redeem = {
            account_id
            for links in (self.links, self._links())
            for account_id, purposes in links.items()
            if PURPOSE_REDEEM in purposes
        }
        if not may_redeem.issuperset(self.enemy.shown):
            yield "it was shown the balance of somebody who did not agree to redeem"
        if not self._links().keys() >= set(self.enemy.compared):
            yield "it was told what the hub has on an account that it is not linked to"
        yield from self._introduced()
        for (agency, hold_id), now in self._holds().items():
            then = self.holds.get((agency, hold_id))
            if then is None and agency == ENEMY and now.account_id not in may_redeem:
                yield "it set credits aside of somebody who did not agree to redeem"
            if then is not None and then != now and ENEMY not in (agency, now.owner):
                yield "it changed a hold of others"

    def _introduced(self) -> Iterator[str]:
        """Tokens for integrators of somebody whom not every linked agency may show to them."""
        links, own = hub_tables.links, self._links()
        with self.fed.hub.db.read() as tx:
            is_open = (links.c.account_id.in_(self.enemy.introduced), links.c.purposes > 1)
            query = sa.select(links.c.purposes).where(*is_open)
            agreed = [hub_store.ledger.purposes_of(each) for each in tx.execute(query).scalars()]
        agreed += [own.get(each, frozenset()) for each in self.enemy.introduced]
        if any(PURPOSE_INTEGRATORS not in each for each in agreed):
            yield "it introduced somebody who did not agree to be shown to integrators"

    def _accounts(self) -> dict[bytes, Any]:
        with self.fed.hub.db.read() as tx:
            return {row.account_id: row for row in tx.exec_driver_sql(_ACCOUNTS)}

    def _holds(self) -> dict[tuple[str, bytes], Any]:
        with self.fed.hub.db.read() as tx:
            return {(row.agency, row.hold_id): row for row in tx.exec_driver_sql(_HOLDS)}

    def _links(self) -> dict[bytes, frozenset[int]]:
        links = hub_tables.links
        with self.fed.hub.db.read() as tx:
            query = sa.select(links.c.account_id, links.c.purposes).where(links.c.agency == ENEMY, links.c.purposes > 1)
            own = tx.execute(query)
            return {row.account_id: hub_store.ledger.purposes_of(row.purposes) for row in own}

    def uses(self) -> Iterator[str]:
        """Benefits that somebody had more often than their owner says."""
        with self.fed.hub.db.read() as tx:
            for count, message in tx.exec_driver_sql(_USES):
                most = Benefit.FromString(message).per_subject_max
                if most and count > most:
                    yield f"somebody had a benefit {count} times that is for {most}"

    def strangers(self) -> Iterator[str]:
        """Links to accounts that were never named to it; what it says of others."""
        with self.fed.hub.db.read() as tx:
            links = hub_tables.links
            linked = set(
                tx.execute(sa.select(links.c.account_id).where(links.c.agency == ENEMY, links.c.purposes > 1)).scalars()
            )
            said = [
                (pair[0], each.total) for pair, each in hub_store.evaluations.totals(tx).items() if pair[1] == ENEMY
            ]
        if not linked <= set(self.enemy.own):
            yield "it is linked to an account that the hub never named to it"
        for agency, elements in said:
            if agency != ENEMY and elements > self._asked(agency):
                yield f"{agency} is said to have had more evaluated than it asked for"

    def _asked(self, agency: str) -> int:
        with self.fed.nodes[agency].db.read() as tx:
            query = sa.select(sa.func.coalesce(sa.func.sum(questions.c.elements), 0))
            return int(tx.execute(query.where(questions.c.evaluator == ENEMY)).scalar_one())

    def opened_unseen(self) -> Iterator[str]:
        """Accounts opened by pseudonyms that nobody evaluated; kinds that honest agencies did not say."""
        evaluated = 0
        for agency in sorted(self.fed.nodes):
            node = self.fed.nodes[agency]
            with node.db.read() as tx:
                query = sa.select(sa.func.coalesce(sa.func.sum(evaluations.c.elements), 0))
                evaluated += int(tx.execute(query.where(evaluations.c.requester == ENEMY)).scalar_one())
        with self.fed.hub.db.read() as tx:
            kinds = dict(iter(tx.execute(sa.select(hub_tables.accounts.c.account_id, hub_tables.accounts.c.kind))))
            did = hub_store.ledger.agency_totals(tx)[ENEMY]
            by_key = tx.execute(sa.select(hub_tables.subjects.c.account_id).where(hub_tables.subjects.c.key_epoch > 0))
            opened = set(self.enemy.own) & set(by_key.scalars())
        if max(len(opened), did.admitted) > did.evaluated:
            yield f"it has accounts of {len(opened)} pseudonyms, {did.evaluated} were evaluated for it"
        if did.evaluated > evaluated:
            yield f"it is said to have had {did.evaluated} ids evaluated, it had {evaluated}"
        for agency in sorted(set(self.fed.nodes) - {ENEMY}):
            node = self.fed.nodes[agency]
            with node.db.read() as tx:
                rows = list(tx.execute(sa.select(node_subjects).where(node_subjects.c.account_id.is_not(None))))
            if any(kinds.get(row.account_id, row.kind) != row.kind for row in rows):
                yield f"somebody of {agency} is another kind of subject at the hub"


def _worth(account: Any) -> int:
    """What can be spent, is held, or was."""
    return int(account.available + account.held + account.spent)
