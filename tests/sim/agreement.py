"""What a simulated hub and its nodes say, once all faults are over: each difference is a problem."""

from collections.abc import Iterator, Mapping

import sqlalchemy as sa
from samprasan.hub import store as hub_store
from samprasan.hub.tables import subjects as hub_subjects
from samprasan.ledger.state import USED
from samprasan.node import store as node_store
from samprasan.node.sync import outbox
from samprasan.node.tables import batches, subjects

from tests.federation import Federation, NodeParty


def credits_that_differ(fed: Federation, earned: Mapping[str, int]) -> Iterator[str]:
    """Each agency's credits are what was earned, at the hub and at its node; every receipt is the log's."""
    with fed.hub.db.read() as tx:
        awarded = hub_store.ledger.agency_totals(tx)
        totals = hub_store.ledger.federation_totals(tx)
        receipts = {(row.agency, row.seq): row.receipt for row in hub_store.log.entries(tx)}
    for agency, node in fed.nodes.items():
        found = awarded[agency].earned if agency in awarded else 0
        if found != earned[agency]:
            yield f"the hub has {found} credits of {agency}, {earned[agency]} were earned"
        yield from _waiting(node)
        with node.db.read() as tx:
            settled = node_store.awards.settled_credits(tx)
            seen = list(tx.execute(sa.select(batches.c.seq, batches.c.receipt).where(batches.c.receipt.is_not(None))))
        if settled != earned[agency]:
            yield f"{agency} holds {settled} settled credits, {earned[agency]} were earned"
        for seq, receipt in seen:
            if receipts.get((agency, seq)) != receipt:
                yield f"{agency} holds a receipt for batch {seq} that the log does not"
    worth = totals["available"] + totals["spent"] - totals["written_off"]
    if worth != sum(earned.values()) or totals["held"]:
        yield f"{worth} are there or were spent, {sum(earned.values())} were earned"


def links_that_differ(fed: Federation) -> Iterator[str]:
    """Nothing waits, who was erased is gone, and each node says what the hub says of its Links and pseudonyms."""
    with fed.hub.db.read() as tx:
        links = hub_store.ledger.load_all(tx).links
        known = {row.account_id for row in tx.execute(sa.select(hub_subjects.c.account_id))}
    held = set()
    for agency, node in fed.nodes.items():
        yield from _waiting(node)
        at_hub = {key[1]: purposes - {USED} for key, purposes in links.items() if key[0] == agency}
        with node.db.read() as tx:
            rows = list(tx.execute(sa.select(subjects)))
        held |= {row.account_id for row in rows}
        here = {row.account_id: hub_store.ledger.purposes_of(row.linked) for row in rows if row.linked}
        if here != {account_id: purposes for account_id, purposes in at_hub.items() if purposes}:
            yield f"{agency} and the hub say otherwise of its Links"
        if any(row.erasing for row in rows) or not here.keys() <= known:
            yield f"somebody of {agency} was not erased, or cannot be found"
    if not known <= held:
        yield f"the hub holds {len(known - held)} pseudonyms that no node knows of"


def _waiting(node: NodeParty) -> Iterator[str]:
    found = outbox.outbox(node.db, node.world.now())
    if not found.is_empty:
        yield f"{node.name} still waits: {found}"
