"""An agency's no to a proposed document, signed: it declines it, or withdraws what it proposed."""

from collections.abc import Iterable, Mapping

from samprasan.keys import rosters, signing
from samprasan.keys.documents import Body, Standing
from samprasan.keys.errors import Malformed, Refused, Unproven
from samprasan.keys.signing import Signer, Verify
from samprasan.v1.documents_pb2 import (
    DISSENT_REASON_UNSPECIFIED,
    DISSENT_REASON_WITHDRAWN,
    Cut,
    Dissent,
    DissentReason,
    Roster,
)
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DOCUMENT_KIND_UNSPECIFIED, DocumentKind

WITHDRAWN = "withdrawn"
_REASONS = {
    number: name.removeprefix("DISSENT_REASON_").lower()
    for name, number in DissentReason.items()
    if number != DISSENT_REASON_UNSPECIFIED
}
_KINDS = set(DocumentKind.values()) - {DOCUMENT_KIND_UNSPECIFIED}
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
    """The no inside, if the agency that it names signed it, by any of its ``keys`` (agency → public keys).

    Raises Malformed, Unproven ``signature``, or ``dissent`` for another federation's or one of no kind.  It goes
    into the log as it is, so there is room for nothing else in it.
    """
    signing.expect_type(envelope, Dissent)
    body = signing.decode(Dissent, envelope.payload)
    is_members = rosters.is_agency_code(body.agency) and body.federation_id == federation_id
    is_known = body.reason in _REASONS and body.document in _KINDS
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
    """The noes that end the proposal with that digest: at least one, and all of one kind and version.

    Whether so many are enough, only an agency with the proposal can say.  Raises Malformed, Unproven as :func:`check`,
    or Unproven ``end_unproven``.
    """
    found = [check(each, federation_id, keys, verify) for each in envelopes]
    about = {(each.digest, each.document, each.version) for each in found}
    if len(about) != 1 or found[0].digest != digest:
        raise Unproven("end_unproven")
    return found


def takes_back(envelope: Envelope) -> bool:
    """Whether it says that its agency withdraws what it proposed."""
    return Dissent.FromString(envelope.payload).reason == DISSENT_REASON_WITHDRAWN


def check_declinable(body: Body, roster: Roster | None) -> None:
    """That agencies decide on ``body``, and that there is a log to say it in.

    Raises Refused ``confirmed_by_ceremony``, or ``not_declinable`` for roster 1 and for a cut, which takes effect while
    the hub appends nothing.
    """
    if isinstance(body, Roster) and body.version > 1 and rosters.confirming(body, roster):
        raise Refused("confirmed_by_ceremony")
    if isinstance(body, Cut) or (isinstance(body, Roster) and body.version == 1):
        raise Refused("not_declinable")
