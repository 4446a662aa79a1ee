"""The roster and the policies that this node believes."""

from functools import lru_cache

from samprasan.edge.database import Tx
from samprasan.keys import documents
from samprasan.keys.errors import Refused
from samprasan.ledger import policy
from samprasan.node.store import documents as documents_store
from samprasan.v1.documents_pb2 import Policy, Roster
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DOCUMENT_KIND_POLICY, DOCUMENT_KIND_ROSTER


def in_force(tx: Tx) -> Roster | None:
    """The newest roster in force; None before the first."""
    rosters = documents_store.active(tx, DOCUMENT_KIND_ROSTER)
    return _roster(rosters[-1]) if rosters else None


def required(tx: Tx) -> Roster:
    """The roster in force; Refused ``no_roster`` before the first."""
    found = in_force(tx)
    if found is None:
        raise Refused("no_roster")
    return found


def federation_id(tx: Tx) -> bytes:
    """The federation's id; empty before roster 1."""
    rosters = documents_store.active(tx, DOCUMENT_KIND_ROSTER)
    return documents.federation_id(Envelope.FromString(rosters[0])) if rosters else b""


def policies(tx: Tx) -> list[policy.Policy]:
    """Every policy in force, oldest version first."""
    return [_policy(envelope) for envelope in documents_store.active(tx, DOCUMENT_KIND_POLICY)]


@lru_cache(maxsize=16)
def _roster(data: bytes) -> Roster:
    return Roster.FromString(Envelope.FromString(data).payload)


@lru_cache(maxsize=64)
def _policy(data: bytes) -> policy.Policy:
    return policy.from_document(Policy.FromString(Envelope.FromString(data).payload))
