"""Joint documents: what the agencies agreed on, signed by enough of them, version after version.

A document of version N+1 takes effect when the threshold of the roster in force has signed it; a roster also needs its
own threshold, and roster 1 every agency it names.  One key counts once, versions have no gap, approvals after the
document's ``expires_at`` do not count (the hub stops collecting them; what is complete stays complete).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import Message
from samprasan.keys import sharing
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unproven
from samprasan.keys.signing import Verify, decode, expect_type, payload_type, signers_of
from samprasan.v1.documents_pb2 import Member, Policy, Roster
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DOCUMENT_KIND_POLICY, DOCUMENT_KIND_ROSTER, DocumentKind

FEDERATION_ID_BYTES = 16
MEMBERS_MAX = 16
CATEGORIES_MAX = 500
HUB = "hub"
_AGENCY = re.compile(r"[a-z0-9]{2,16}")
_KINDS: Mapping[type[Message], DocumentKind.ValueType] = {Roster: DOCUMENT_KIND_ROSTER, Policy: DOCUMENT_KIND_POLICY}
_NAMES = {DOCUMENT_KIND_ROSTER: "roster", DOCUMENT_KIND_POLICY: "policy"}

Body = Roster | Policy


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a document has come: who signed, who must still, and whether that is enough."""

    kind: DocumentKind.ValueType
    version: int
    digest: bytes
    signed: frozenset[str]
    missing: frozenset[str]
    complete: bool


def kind_name(kind: DocumentKind.ValueType) -> str:
    """``"roster"`` or ``"policy"``."""
    return _NAMES[kind]


def kind_of(body: Body) -> DocumentKind.ValueType:
    """Which kind of document ``body`` is."""
    return _KINDS[type(body)]


def read(envelope: Envelope) -> Body:
    """The document inside, well-formed but not yet believed.  Raises Malformed."""
    body: Body
    if envelope.payload_type == payload_type(Roster):
        expect_type(envelope, Roster)
        body = decode(Roster, envelope.payload)
    else:
        expect_type(envelope, Policy)
        body = decode(Policy, envelope.payload)
    _check_form(body)
    return body


def federation_id(roster_1: Envelope) -> bytes:
    """The first 16 bytes of SHA-256 of roster 1's payload."""
    return hashlib.sha256(roster_1.payload).digest()[:FEDERATION_ID_BYTES]


def signing_keys(roster: Roster) -> dict[bytes, str]:
    """Raw signing key → agency."""
    return {member.signing_key: member.agency for member in roster.members}


def member(roster: Roster, agency: str) -> Member:
    """The roster's entry for ``agency``; Refused ``agency_unknown``."""
    for entry in roster.members:
        if entry.agency == agency:
            return entry
    raise Refused("agency_unknown", agency=agency)


def standing(envelope: Envelope, body: Body, roster: Roster | None, verify: Verify) -> Standing:
    """Who of the roster in force (None before roster 1) signed ``envelope``, and whether that suffices.

    Raises Unproven ``key_twice`` and ``signature``, Refused ``document_version`` if ``body`` is a roster that does not
    follow the one in force.
    """
    judges = [roster] if roster else []
    if isinstance(body, Roster):
        _check_succession(body, roster)
        judges.append(body)
    elif roster is None:
        raise Refused("no_roster")
    signed: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    complete = True
    for judge in judges:
        found = signers_of(envelope, signing_keys(judge), verify)
        everyone = frozenset(entry.agency for entry in judge.members)
        needed = len(everyone) if roster is None else judge.threshold
        signed |= found
        missing |= everyone - found
        complete = complete and len(found) >= needed
    digest = hashlib.sha256(envelope.payload).digest()
    return Standing(kind_of(body), body.version, digest, signed, missing, complete)


def believe(envelope: Envelope, roster: Roster | None, verify: Verify) -> Body:
    """The document inside, signed by enough; Unproven ``document_signatures`` if by too few."""
    body = read(envelope)
    found = standing(envelope, body, roster, verify)
    if not found.complete:
        raise Unproven(
            "document_signatures", kind=kind_name(found.kind), version=found.version, signed=len(found.signed)
        )
    return body


def _check_succession(body: Roster, roster: Roster | None) -> None:
    expected = roster.version + 1 if roster else 1
    if body.version != expected:
        raise Refused("document_version", kind="roster", version=body.version, expected=expected)


def _check_form(body: Body) -> None:
    if body.version < 1 or body.expires_at <= body.created_at:
        raise Malformed("document_form", kind=kind_name(kind_of(body)), problem="version, created_at or expires_at")
    if isinstance(body, Roster):
        _check_roster(body)
    elif len(body.federation_id) != FEDERATION_ID_BYTES or len(body.categories) > CATEGORIES_MAX:
        raise Malformed("document_form", kind="policy", problem="federation_id or categories")


def _check_roster(roster: Roster) -> None:
    def require(holds: bool, problem: str) -> None:
        if not holds:
            raise Malformed("document_form", kind="roster", problem=problem)

    codes = [entry.agency for entry in roster.members]
    keys = {entry.signing_key for entry in roster.members} | {roster.hub.signing_key}
    require(len(roster.federation_id) == (0 if roster.version == 1 else FEDERATION_ID_BYTES), "federation_id")
    require(codes == sorted(set(codes)) and 1 <= len(codes) <= MEMBERS_MAX, "members")
    require(all(_AGENCY.fullmatch(code) and code != HUB for code in codes), "agency")
    require(1 <= roster.threshold <= len(codes), "threshold")
    require(all(len(key) == 32 for key in keys) and len(keys) == len(codes) + 1, "signing_key")
    require(all(len(entry.sealing_key) == 32 for entry in roster.members), "sealing_key")
    if roster.HasField("linking"):
        _check_linking(roster, require_codes=frozenset(codes))


def _check_linking(roster: Roster, require_codes: frozenset[str]) -> None:
    linking = roster.linking
    points = {entry.index: entry.point for entry in linking.commitments}
    holders = {entry.agency for entry in linking.commitments}
    try:
        if len(points) != len(linking.commitments) or len(holders) != len(points) or not holders <= require_codes:
            raise Unproven("share_commitments")
        sharing.check_commitments(points)
    except SamprasanError as problem:
        raise Malformed("document_form", kind="roster", problem="linking") from problem


def check_agency_code(agency: str) -> None:
    """That ``agency`` may be an agency's code; else Malformed ``agency_code``."""
    if not _AGENCY.fullmatch(agency) or agency == HUB:
        raise Malformed("agency_code", agency=agency)
