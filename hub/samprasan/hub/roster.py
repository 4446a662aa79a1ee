"""The roster in force and the policies, as the hub reads them from its documents."""

from functools import lru_cache

from samprasan.edge.database import Tx
from samprasan.hub.store import documents as documents_store
from samprasan.keys import documents, signing
from samprasan.keys.errors import Refused, Unproven
from samprasan.ledger import policy
from samprasan.v1.documents_pb2 import Policy, Roster
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DOCUMENT_KIND_POLICY, DOCUMENT_KIND_ROSTER


def in_force(tx: Tx) -> Roster | None:
    """The newest roster in force; None before the first."""
    rosters = documents_store.active(tx, DOCUMENT_KIND_ROSTER)
    return _roster(rosters[-1]) if rosters else None


def required(tx: Tx, agency: str) -> Roster:
    """The roster in force, of which ``agency`` is a member; else Refused ``no_roster`` or Unproven ``not_a_member``."""
    roster = in_force(tx)
    if roster is None:
        raise Refused("no_roster")
    if agency != documents.HUB and agency not in (member.agency for member in roster.members):
        raise Unproven("not_a_member", agency=agency)
    return roster


def federation_id(tx: Tx) -> bytes:
    """The federation's id; empty before roster 1."""
    rosters = documents_store.active(tx, DOCUMENT_KIND_ROSTER)
    return documents.federation_id(_envelope(rosters[0])) if rosters else b""


def policies(tx: Tx) -> dict[int, policy.Policy]:
    """Version → policy, of all in force."""
    found = (_policy(envelope) for envelope in documents_store.active(tx, DOCUMENT_KIND_POLICY))
    return {each.version: each for each in found}


def policies_by_digest(tx: Tx) -> dict[bytes, policy.Policy]:
    """Digest → policy, of all in force: what the fold needs to follow an Activate."""
    return {
        documents_digest(envelope): _policy(envelope) for envelope in documents_store.active(tx, DOCUMENT_KIND_POLICY)
    }


def documents_digest(envelope: bytes) -> bytes:
    """SHA-256 of the document inside."""
    return signing.digest(_envelope(envelope))


@lru_cache(maxsize=64)
def _envelope(data: bytes) -> Envelope:
    return Envelope.FromString(data)


@lru_cache(maxsize=16)
def _roster(data: bytes) -> Roster:
    return Roster.FromString(_envelope(data).payload)


@lru_cache(maxsize=64)
def _policy(data: bytes) -> policy.Policy:
    return policy.from_document(Policy.FromString(_envelope(data).payload))
