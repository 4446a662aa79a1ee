"""People at counters: they redeem, fetch, change their minds, ask again; now and then a node cheats."""

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from samprasan.hub.tables import holds
from samprasan.keys.errors import SamprasanError
from samprasan.ledger import batch_form
from samprasan.node import store
from samprasan.node.counter import redemption
from samprasan.node.counter.redemption import Wish
from samprasan.node.tables import redemptions
from samprasan.v1.log_pb2 import HoldState

from tests import federation
from tests.federation import Federation, NodeParty

SUBJECTS = 40
_ENDS = {"posted", "declined", "voided", "expired", "refunded", "dropped"}


class Counters:
    """The counters of some agencies."""

    def __init__(self, fed: Federation, chance: random.Random, agencies: Sequence[str]) -> None:
        self.fed = fed
        self.chance = chance
        self.agencies = agencies
        self.owners: Sequence[str] = ("codi",)  # whose benefits are asked for
        self.wishes: dict[str, list[Wish]] = {agency: [] for agency in fed.nodes}

    def act(self, number: int, *, hostile: bool) -> tuple[str, ...]:
        """Something happens at a counter; what, for the trace."""
        agency = self.chance.choice(self.agencies)
        node, known = self.fed.nodes[agency], self.wishes[agency]
        if hostile and known:
            return ("spent again", agency, str(self._spend_again(node, self.chance.choice(known).op_key)))
        what = self.chance.choice(("ask", "ask", "ask", "again", "post", "void", "refund", "give up"))
        if what == "ask" or not known:
            known.append(self._wish(number))
            return (what, agency, self._tried(redemption.request_redemption, node, known[-1]))
        wish = self.chance.choice(known)
        if what == "again":
            return (what, agency, self._tried(redemption.request_redemption, node, wish))
        if what == "give up":
            return (what, agency, str(redemption.drop_unsent(node.db, wish.op_key)))
        arguments = {"post": (None,), "void": ("cancelled",), "refund": (None, "mistake")}[what]
        return (what, agency, self._tried(getattr(redemption, what), node, wish.op_key, *arguments))

    def disagreements(self) -> list[str]:
        """Redemptions that have no end, or another one than their hold has at the hub."""
        problems = []
        with self.fed.hub.db.read() as tx:
            at_hub = {row.hold_id: row for row in tx.execute(sa.select(holds))}
        for agency in self.agencies:
            with self.fed.nodes[agency].db.read() as tx:
                rows = list(tx.execute(sa.select(redemptions)))
            for row in rows:
                hold = at_hub.pop(row.hold_id, None)
                if row.state not in _ENDS:
                    problems.append(f"a redemption of {agency} is still {row.state}")
                elif _said(hold) != (row.state if row.state not in {"declined", "dropped"} else None):
                    problems.append(f"a redemption of {agency} is {row.state} here and {_said(hold)} at the hub")
                elif hold is not None and (hold.posted, hold.refunded) != (row.posted, row.refunded):
                    problems.append(f"{agency} spent {row.posted}, the hub says {hold.posted}")
                elif hold is not None and hold.deadline != row.deadline:
                    problems.append(f"{agency} and the hub let a hold run out at other times")
        return [*problems, *(f"the hub has a hold of {row.agency} that it does not know" for row in at_hub.values())]

    def _wish(self, number: int) -> Wish:
        benefit = self.chance.choice(("rice", "rice", "book"))
        return Wish(
            number.to_bytes(16, "big"),
            federation.deed(0, self.chance.randrange(SUBJECTS)).subject,
            self.chance.choice(self.owners) if len(self.owners) > 1 else self.owners[0],
            benefit,
            "card",
            area="720803",
            reserve_only=self.chance.random() < 0.4,
        )

    def _tried(self, step: Any, node: NodeParty, *arguments: Any) -> str:
        try:
            step(node, *arguments)
        except SamprasanError as problem:
            return problem.code
        return ""

    def _spend_again(self, node: NodeParty, op_key: bytes) -> bool:
        """A node that has lost its mind, or its memory, spends a hold once more under a new op_id."""
        with suppress(SamprasanError), node.db.begin() as tx:
            row = store.redemptions.of_op_key(tx, op_key)
            if row is None or row.state != "posted":
                return False
            op_id = batch_form.new_op_id(node.world.random_bytes(10), node.world.now())
            update = {"op_id": op_id, "change": "post", "agency": node.name, "hold_id": row.hold_id}
            store.redemptions.queue(tx, [update | {"credits": row.credits, "why": 0}])
            return True
        return False


def _said(hold: Any) -> str | None:
    """What the hub says of a hold, in the node's words."""
    return None if hold is None else HoldState.Name(hold.state).removeprefix("HOLD_STATE_").lower()
