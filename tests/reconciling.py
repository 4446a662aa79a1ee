"""A busy federation, records changed behind the programs' backs, and their reconciliation."""

from collections.abc import AsyncIterable, AsyncIterator, Callable
from decimal import Decimal
from functools import cache
from typing import Any

import sqlalchemy as sa
from samprasan.hub.accounts import reconciliation
from samprasan.node.counter import redemption
from samprasan.node.proof.reconciliation import Outcome
from samprasan.node.session import reconciliation as reconcile_session
from samprasan.node.tables import deeds
from samprasan.v1 import hub_pb2

from tests import federation
from tests.federation import AGENCIES, Federation, deed, publish
from tests.redemptions import wish

Answers = AsyncIterator[hub_pb2.ReconcileResponse]


class HubSide:
    """The hub's conversation behind the stream, as its service drives it; ``spoil`` changes what it says."""

    def __init__(
        self,
        fed: Federation,
        agency: str,
        spoil: Callable[[hub_pb2.ReconcileResponse], None] = lambda _: None,
        before_begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._fed, self._agency, self._spoil, self._before_begin = fed, agency, spoil, before_begin

    async def reconcile(self, requests: AsyncIterable[hub_pb2.ReconcileRequest]) -> Answers:
        hub = self._fed.hub
        talk: Any = None
        async for request in requests:
            if request.HasField("begin"):
                while reconciliation.count_entries(hub.db):
                    pass
                talk = reconciliation.begin_conversation(hub, self._agency, request.begin)
                self._before_begin()
                yield self._said(talk.begun())
            elif request.HasField("more"):
                while (cells := talk.cells()) is not None:
                    yield self._said(cells)
            elif request.HasField("ask"):
                yield self._said(talk.answer(request.ask))
            else:
                reconciliation.record_verdict(hub, talk, request.verdict)

    def _said(self, answer: hub_pb2.ReconcileResponse) -> hub_pb2.ReconcileResponse:
        self._spoil(answer)
        return answer


async def reconcile(fed: Federation, agency: str, **options: Any) -> Outcome:
    hub: Any = HubSide(fed, agency, **options)
    return await reconcile_session.reconcile(fed.nodes[agency].db, agency, hub)


def busy(fed: Federation) -> None:
    """Awards, corrections and redemptions at every agency, on accounts that they share."""
    publish(fed)
    for number, agency in enumerate(AGENCIES):
        fed.give(agency, *(deed(10 * number + each, each) for each in range(6)))
    fed.run()
    fed.give("mpc", deed(1, 1, quantity=Decimal(1)), deed(2, 2, status="revoked"))
    node = fed.nodes["mpc"]
    redemption.request_redemption(node, wish(subject=deed(3, 3).subject))
    fed.run()
    fed.run()


@cache
def busy_template() -> Federation:
    """One that has been :func:`busy`, to be copied."""
    made = federation.make()
    busy(made)
    return made


def in_nodes_database(fed: Federation, *changes: Any) -> None:
    with fed.nodes["mpc"].db.begin() as tx:
        for change in changes:
            tx.execute(change)


def doubled(fed: Federation) -> Any:
    """The statement that puts a second copy of record 5 beside it."""
    with fed.nodes["mpc"].db.read() as tx:
        row = tx.execute(sa.select(deeds).where(deeds.c.record_id == "R00005")).one()._asdict()
    return deeds.insert().values(row | {"deed_id": 999, "record_id": "R00005 again"})


LOCAL: dict[str, tuple[Callable[[Federation], Any], str, int, list[str]]] = {
    "edited": (
        lambda _: deeds.update().where(deeds.c.record_id == "R00005").values(credits=500),
        "local_edit",
        500 - 16,
        ["R00005"],
    ),
    "deleted": (lambda _: deeds.delete().where(deeds.c.record_id == "R00005"), "local_edit", -16, []),
    "added twice": (doubled, "double_count", 16, ["R00005 again"]),
}
