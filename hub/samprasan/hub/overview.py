"""What the operator sees: the log, the shared totals, every agency."""

from typing import Any

from samprasan.edge.database import Store
from samprasan.hub.store import documents as documents_store
from samprasan.hub.store import ledger as ledger_store
from samprasan.hub.store import log as log_store
from samprasan.hub.store import members as members_store
from samprasan.ledger import calendar
from samprasan.ledger.ledger import AgencyTotals

CONNECTED_MS = 120_000  # a node says hello every 60 s; one lost hello is no alarm


def status(store: Store, now: int) -> dict[str, Any]:
    """The answer of ``samprasan-hub status``."""
    with store.read() as tx:
        agreed = documents_store.agreed_on(tx)
        awarded = ledger_store.agency_totals(tx)
        seen = members_store.last_seen(tx)
        codes = sorted({each.agency for each in members_store.invited(tx)})
        agencies = []
        for agency in codes:
            head = log_store.chain_head(tx, agency)
            seen_at = seen.get(agency, 0)
            did = awarded.get(agency, AgencyTotals())
            agencies.append(
                {
                    "agency": agency,
                    "connected": now - seen_at < CONNECTED_MS,
                    "seq": head.seq,
                    "digest": head.digest.hex(),
                    "last_seen": calendar.at(seen_at).isoformat(timespec="seconds") if seen_at else None,
                    "earned": did.earned,
                    "written_off": did.written_off,
                    "accounts": did.accounts,
                }
            )
        return {
            "federation_id": agreed.federation_id.hex(),
            "roster": agreed.roster.version if agreed.roster else 0,
            "log": {"size": log_store.head_now(tx).size},
            "totals": ledger_store.federation_totals(tx),
            "agencies": agencies,
        }
