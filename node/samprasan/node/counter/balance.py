"""Balances: what a subject owns across all agencies, read from the hub under the subject's own consent here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from samprasan.edge.database import Tx
from samprasan.keys.errors import Refused, Unproven
from samprasan.keys.identifiers import Identifier
from samprasan.ledger import calendar
from samprasan.ledger.policy import DIMENSIONS
from samprasan.node import store
from samprasan.node.identity import Node
from samprasan.v1 import hub_pb2, log_pb2
from samprasan.v1.envelope_pb2 import Envelope

_REDEEM_BIT = 1 << log_pb2.PURPOSE_REDEEM
_FIELDS = ("earned", "available", "pending", "held", "spent", "expired", "written_off")


@dataclass(frozen=True, slots=True)
class Found:
    """A subject whose balance may be read; ``request`` is None until the hub knows the Link."""

    request: hub_pb2.GetTotalsRequest | None
    remembered: Envelope | None
    earned_here: int


def find_or_want(node: Node, identifier: Identifier) -> Found:
    """The subject with that id, marked as wanted if it has no account yet.

    Raises Refused ``subject_unknown`` or ``no_consent``.
    """
    with node.db.begin() as tx:
        row = store.subjects.find(tx, node.identity.index(identifier))
        if row is None:
            raise Refused("subject_unknown")
        if not row.redeem:
            raise Refused("no_consent")
        linked = row.account_id is not None and row.link_settled & _REDEEM_BIT
        if not linked and not row.wanted:
            store.subjects.mark_wanted(tx, row.subject_id)
        request = hub_pb2.GetTotalsRequest(request_id=node.world.random_bytes(16), account_ids=[row.account_id or b""])
        return Found(
            request if linked else None,
            Envelope.FromString(row.totals) if row.totals else None,
            store.awards.settled_credits(tx, row.subject_id),
        )


def accept_totals(node: Node, request: hub_pb2.GetTotalsRequest, envelope: Envelope) -> Envelope:
    """Take the hub's signed answer to ``request``; Unproven ``answer_foreign`` if it answers another."""
    with node.db.begin() as tx:
        (account,) = _answered(tx, node, request, envelope)
        if account.declined:
            raise Refused("not_linked")
        store.subjects.keep_totals(tx, account.account_id, envelope.SerializeToString())
    return envelope


def is_linked_elsewhere(node: Node, request: hub_pb2.GetTotalsRequest, envelope: Envelope) -> bool:
    """Whether another agency is linked to the account that ``request`` is about; Unproven ``answer_foreign``."""
    with node.db.read() as tx:
        return any(each.linked_elsewhere for each in _answered(tx, node, request, envelope))


def _answered(
    tx: Tx, node: Node, request: hub_pb2.GetTotalsRequest, envelope: Envelope
) -> Sequence[hub_pb2.AccountTotals]:
    agreed = store.documents.agreed_on(tx)
    totals = node.world.open(envelope, hub_pb2.Totals, agreed.required_roster.hub.signing_key)
    ours = (totals.request_id, totals.agency, totals.federation_id)
    asked = (request.request_id, node.identity.agency, agreed.federation_id)
    if ours != asked or [account.account_id for account in totals.accounts] != list(request.account_ids):
        raise Unproven("answer_foreign", kind="Totals")
    return totals.accounts


def document(identifier: Identifier, envelope: Envelope, earned_here: int, *, fresh: bool) -> dict[str, Any]:
    """The answer of ``samprasan-node balance``."""
    totals = hub_pb2.Totals.FromString(envelope.payload)
    account = totals.accounts[0]
    return {
        "scheme": identifier.scheme.value,
        **{name: getattr(account, name) for name in _FIELDS},
        "earned_here": earned_here,
        "by_dimension": dict(zip(DIMENSIONS, account.earned_by_dimension, strict=True)),
        "as_of": calendar.iso(totals.as_of),
        "fresh": fresh,
    }
