"""An agency's no to a proposed document, signed: it declines it, or withdraws what it proposed."""

from collections.abc import Iterable, Mapping, Set

from samprasan.keys import documents, rosters, signing
from samprasan.keys.documents import Body, Standing
from samprasan.keys.errors import Malformed, Unproven
from samprasan.keys.signing import Signer, Verify
from samprasan.v1.documents_pb2 import (
    DISSENT_REASON_UNSPECIFIED,
    DISSENT_REASON_WITHDRAWN,
    Dissent,
    DissentReason,
    Roster,
)
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DocumentKind

WITHDRAWN = "withdrawn"
_REASONS = {
    number: name.removeprefix("DISSENT_REASON_").lower()
    for name, number in DissentReason.items()
    if number != DISSENT_REASON_UNSPECIFIED
}
REASONS_TO_DECLINE = tuple(name for number, name in _REASONS.items() if number != DISSENT_REASON_WITHDRAWN)
"""``"mistake"``, ``"unclear"``, ``"later"``, ``"not_agreed"``."""


def compose(federation_id: bytes, proposal: Standing, agency: str, reason: str, signer: Signer) -> Envelope:
    """Its no to that proposal, signed; ``reason`` is one of the above, or ``WITHDRAWN``.

    Raises Malformed ``dissent_reason``.
    """
    number = next((number for number, name in _REASONS.items() if name == reason), None)
    if number is None:
        raise Malformed("dissent_reason", reasons=", ".join(REASONS_TO_DECLINE))
    body = Dissent(
        federation_id=federation_id,
        document=proposal.kind,
        version=proposal.version,
        digest=proposal.digest,
        agency=agency,
        reason=DissentReason.ValueType(number),
    )
    return signing.seal(body, signer)


def reason_of(body: Dissent) -> str:
    """Its reason, as commands name it."""
    return _REASONS[body.reason]


def check(envelope: Envelope, federation_id: bytes, keys: Mapping[str, Iterable[bytes]], verify: Verify) -> Dissent:
    """What it says, if the agency that it names signed it, by any of its ``keys`` (agency → public keys).

    Raises Malformed, Unproven ``signature``, or ``dissent`` for another federation's or one of no kind.  It goes
    into the log as it is, so there is room for nothing else in it.
    """
    signing.expect_type(envelope, Dissent)
    signing.expect_bare(envelope, 1)
    body = signing.decode(Dissent, envelope.payload)
    is_members = rosters.is_agency_code(body.agency) and body.federation_id == federation_id
    is_known = body.reason in _REASONS and body.document in DocumentKind.values()
    if not is_members or not is_known:
        raise Unproven("dissent", agency=body.agency)
    return signing.open_by_any(envelope, Dissent, keys.get(body.agency, ()), verify)


def check_end(
    digest: bytes,
    envelopes: Iterable[Envelope],
    federation_id: bytes,
    keys: Mapping[str, Iterable[bytes]],
    verify: Verify,
) -> list[Dissent]:
    """What ends the proposal with that digest: at least one no to it, and nothing else.

    Whether so many are enough, only who has the proposal can say.  Raises Malformed, Unproven as :func:`check`.
    """
    found = [check(each, federation_id, keys, verify) for each in envelopes]
    if not found or any(each.digest != digest for each in found):
        raise Unproven("dissent", agency=rosters.HUB)
    return found


def is_over(body: Body, roster: Roster, said: Iterable[Dissent]) -> bool:
    """Whether what was ``said`` against ``body`` ends it: its proposer withdraws it, or too few may still sign."""
    listed = list(said)
    declined: Set[str] = {each.agency for each in listed}
    is_withdrawn = any(each.reason == DISSENT_REASON_WITHDRAWN for each in listed)
    return is_withdrawn or not documents.can_complete(body, roster, declined)
