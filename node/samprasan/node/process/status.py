"""How a node stands: what ``status`` prints."""

import json
from typing import Any

from samprasan.edge.database import Database, Tx
from samprasan.edge.metrics import Gauge
from samprasan.keys import certificates
from samprasan.ledger import calendar, limit_usage
from samprasan.node import store
from samprasan.node.identity import Node
from samprasan.node.linking import ceremony, linking_use, rotation, shares
from samprasan.node.linking.allowance import linking_usage
from samprasan.node.states import AwardState
from samprasan.node.sync import outbox as sync_outbox
from samprasan.v1.documents_pb2 import Grant
from samprasan.v1.log_pb2 import DOCUMENT_KIND_POLICY

_STATES = (AwardState.QUEUED, AwardState.WAITING, AwardState.SETTLED, AwardState.DECLINED)
CONNECTED_MS = 120_000  # the service says hello every 60 s; one lost hello is no alarm


def status(node: Node, certificate: bytes | None) -> dict[str, Any]:
    """The answer of ``samprasan-node status``."""
    now = node.world.now()
    outbox = sync_outbox.outbox(node.db, now)
    with node.db.read() as tx:
        current = store.documents.agreed_on(tx).roster
        seen_at = int(store.facts.get(tx, store.facts.HUB_SEEN_AT) or 0)
        by_state = store.awards.by_state(tx)
        document = {
            "agency": node.identity.agency,
            "federation_id": store.documents.agreed_on(tx).federation_id.hex(),
            "roster": current.version if current else 0,
            "policy": store.documents.version_in_force(tx, DOCUMENT_KIND_POLICY),
            "approvals": len(store.documents.proposed(tx)),
            "linking": _linking(tx, node),
            "head": {"seq": outbox.head.seq, "digest": outbox.head.digest.hex()},
            "outbox": outbox.queued,
            "waiting_for_link": outbox.waiting_for_link,
            "leaving": store.links.leaving(tx),
            "deeds": {"local": store.deeds.local(tx)} | {name: by_state.get(name, 0) for name in _STATES},
            "credits_settled": store.awards.settled_credits(tx),
            "halted": outbox.halted or None,
            "agreed_at": _moment(int(store.facts.get(tx, store.facts.AGREED_AT) or 0)),
            "differences": json.loads(store.facts.get(tx, store.facts.DIFFERENCES) or "{}"),
            "warnings": limit_usage.near(linking_usage(tx, node.identity.agency, now)),
            "hub": {
                "connected": now - seen_at < CONNECTED_MS,
                "last_seen": _moment(seen_at),
            },
        }
    if certificate:
        ends = certificates.expires_at(certificate)
        document["expires"] = [{"what": "certificate", "at": ends.isoformat(timespec="seconds")}]
    return document


def _moment(at: int) -> str | None:
    return calendar.iso(at) if at else None


def gauges(node: Node) -> list[Gauge]:
    """What a monitoring system reads."""
    document = status(node, None)
    uses = document["linking"]["use"]

    def plain(name: str, help_text: str, value: float) -> Gauge:
        return Gauge(f"samprasan_node_{name}", help_text, {"": value})

    return [
        plain("outbox", "Awards and reversals without receipt.", document["outbox"]),
        plain("waiting_for_link", "Subjects without account.", document["waiting_for_link"]),
        plain("seq", "The newest signed batch.", document["head"]["seq"]),
        plain("halted", "1 if sending waits for an operator.", bool(document["halted"])),
        plain("differences", "Accounts that differ from the hub's totals.", sum(document["differences"].values())),
        plain("hub_connected", "1 if the hub answered within two minutes.", document["hub"]["connected"]),
        plain("limits_near", "Limits of which 70 % is taken.", len(document["warnings"])),
        Gauge(
            "samprasan_node_linking_unopened",
            "Ids evaluated for an agency more than 30 days ago of which it asked for no account, by the hub's chain.",
            {each["agency"]: each["unopened"] for each in uses},
        ),
        Gauge(
            "samprasan_node_linking_probing",
            "1 if too many are unopened.",
            {each["agency"]: each["probing"] for each in uses},
        ),
        Gauge(
            "samprasan_node_linking_unused",
            "Ids evaluated for an agency more than 30 days ago that led to nothing, as the hub says.",
            {each["agency"]: each["hub"]["unused"] for each in uses if each["hub"]},
        ),
    ]


def _linking(tx: Tx, node: Node) -> dict[str, Any]:
    """The key in force, this node's share of it, and the ceremony that the roster plans."""
    current = store.documents.agreed_on(tx).roster
    key = current.linking if current and current.HasField("linking") else None
    members = current.members if current else []
    grants = [store.documents.agreed_on(tx).grant_of(each.agency, node.world.now()) for each in members]
    return {
        "key_epoch": key.key_epoch if key else None,
        "share_version": key.share_version if key else None,
        "share": shares.index_held(tx, node.identity.agency, key) if key else None,
        "rotation": rotation.rotation_status(tx),
        "ceremony": ceremony.ceremony_status(tx, node),
        "open_questions": len(store.questions.open_questions(tx, node.world.now())),
        "grants": [_grant(tx, node.identity.agency, each) for each in grants if each],
        "use": linking_use.linking_use(tx, node.world.now()),
    }


def _grant(tx: Tx, own: str, grant: Grant) -> dict[str, Any]:
    """A grant, and how much of it was charged here; of one's own the peers know that."""
    return {
        "agency": grant.agency,
        "elements": grant.elements,
        "valid_until": calendar.iso(grant.valid_until),
        "charged_here": None if grant.agency == own else store.questions.charged_to(tx, grant.agency, grant.version),
    }


def settled_and_declined(db: Database) -> tuple[int, int]:
    """How many awards and reversals ever took effect, and how many were declined."""
    with db.read() as tx:
        by_state = store.awards.by_state(tx)
    applied = by_state.get(AwardState.SETTLED, 0) + by_state.get(AwardState.REPLACED, 0)
    return applied, by_state.get(AwardState.DECLINED, 0)


def sync_report(db: Database, now: int, before: tuple[int, int], seq_before: int) -> dict[str, Any]:
    """The answer of ``samprasan-node sync``, given how things stood before it."""
    outbox = sync_outbox.outbox(db, now)
    applied, declined = (now - then for now, then in zip(settled_and_declined(db), before, strict=True))
    with db.read() as tx:
        pushed = store.batches.updates_after(tx, seq_before)
    return {
        "pushed_updates": pushed,
        "applied": applied,
        "declined": declined,
        "pending": max(outbox.queued, outbox.waiting_for_link, outbox.links_due, outbox.in_flight),
        "halted": outbox.halted or None,
        "head": {"seq": outbox.head.seq, "digest": outbox.head.digest.hex()},
    }
