"""Joint documents: what the agencies agreed on, signed by enough of them, version after version.

A document of version N+1 takes effect when the threshold of the roster in force has signed it; a roster also needs its
own threshold and each member of whom it says something new, with the key it had and the key it gets; one that changes
who takes part or how many decide needs all of the old; and roster 1 every agency it names.  One key counts once,
versions have no gap, approvals after the document's ``expires_at`` do not count (the hub stops collecting them; what is
complete stays complete; what came of a ceremony is confirmed however long it takes).  A roster that changes a linking
key needs every holder of a share of it: its signature says that the ceremony came out so for it, too.  A catalogue is
its owner's alone: one signature, and versions of its own.  What concerns one integrator has versions of its own, too.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from samprasan.keys import checkpoint, identifiers, plain_text, rosters
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Malformed, Refused, Unproven
from samprasan.keys.rosters import FEDERATION_ID_BYTES, MEMBERS_MAX, is_agency_code
from samprasan.keys.signing import Verify, decode, expect_type, payload_type, signers_of
from samprasan.v1.documents_pb2 import (
    MOVE_REASON_TWO_IDS,
    MOVE_REASON_TWO_SUBJECTS,
    MOVE_REASON_WRONG_ID,
    Catalogue,
    Cause,
    Cut,
    Grant,
    Integrator,
    Move,
    Policy,
    Roster,
)
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import (
    DOCUMENT_KIND_CATALOGUE,
    DOCUMENT_KIND_CUT,
    DOCUMENT_KIND_GRANT,
    DOCUMENT_KIND_INTEGRATOR,
    DOCUMENT_KIND_MOVE,
    DOCUMENT_KIND_POLICY,
    DOCUMENT_KIND_ROSTER,
    Dimension,
    DocumentKind,
    SubjectKind,
)

CATEGORIES_MAX = 500
_MOVE_DOMAIN = b"samprasan/v1/move"
_INTEGRATOR = re.compile(r"[a-z][a-z0-9-]{1,15}")
INTEGRATOR_DAYS_MAX = 731  # what takes longer is agreed on again
STREAMS_MAX = 10_000
SNAPSHOTS_MAX = 10_000  # on one day
_TITLE_LENGTH_MAX = 200
_PURPOSE_LENGTH_MAX = 1000
GRANT_ELEMENTS_MAX = 100_000_000  # more people than there are
GRANT_DAYS_MAX = 366  # what takes longer is agreed on again
BENEFITS_MAX = 200  # of one agency, told in 256 KiB
MOVE_AWARDS_MAX = 100_000  # of one subject; nobody has a thousandth of that
_ID_BYTES = 16

Body = Roster | Policy | Grant | Move | Catalogue | Cut | Integrator
_KINDS: Mapping[type[Body], DocumentKind.ValueType] = {
    Roster: DOCUMENT_KIND_ROSTER,
    Policy: DOCUMENT_KIND_POLICY,
    Grant: DOCUMENT_KIND_GRANT,
    Move: DOCUMENT_KIND_MOVE,
    Catalogue: DOCUMENT_KIND_CATALOGUE,
    Cut: DOCUMENT_KIND_CUT,
    Integrator: DOCUMENT_KIND_INTEGRATOR,
}
_NAMES = {kind: body.__name__.lower() for body, kind in _KINDS.items()}
_MOVE_REASONS = (MOVE_REASON_WRONG_ID, MOVE_REASON_TWO_IDS, MOVE_REASON_TWO_SUBJECTS)
_BY_PAYLOAD_TYPE: Mapping[str, type[Body]] = {payload_type(kind): kind for kind in _KINDS}


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a document has come: who signed, who must still, and whether that is enough."""

    kind: DocumentKind.ValueType
    series: str
    version: int
    digest: bytes
    signed: frozenset[str]
    missing: frozenset[str]
    complete: bool


def kind_name(kind: DocumentKind.ValueType) -> str:
    """``"roster"``, ``"policy"``, ``"grant"``, ``"move"``, ``"catalogue"``, ``"cut"``, ``"integrator"`` or a number."""
    return _NAMES.get(kind, str(kind))


def kind_of(body: Body) -> DocumentKind.ValueType:
    """Which kind of document ``body`` is."""
    return _KINDS[type(body)]


def owner_of(body: Body) -> str:
    """Whose own document it is, for which its signature is enough; else an empty text."""
    return body.agency if isinstance(body, Catalogue) else ""


def series_of(body: Body) -> str:
    """Within its kind, what it is a version of: an agency's catalogue, an integrator; empty if all are one series.

    Of a series with a name the newest version counts, and versions in between need not be known.
    """
    return body.name if isinstance(body, Integrator) else owner_of(body)


def short_id(digest: bytes) -> str:
    """A document as people name it in a list of their own: the first 12 hexadecimal digits of its digest."""
    return digest.hex()[:12]


def counts_alone(kind: DocumentKind.ValueType) -> bool:
    """Whether all documents of a kind are versions of one, so that no two are in force under the same number."""
    return kind not in {DOCUMENT_KIND_CATALOGUE, DOCUMENT_KIND_INTEGRATOR}


def read(envelope: Envelope) -> Body:
    """The document inside, well-formed but not yet believed.  Raises Malformed."""
    kind = _BY_PAYLOAD_TYPE.get(envelope.payload_type, Policy)
    expect_type(envelope, kind)
    body: Body = decode(kind, envelope.payload)
    _check_form(body)
    return body


def check_texts(body: Body) -> None:
    """That no text of a new document has a 13-digit id in it, written as ids are; else Malformed ``document_id``."""
    for field, text in _texts(body):
        if identifiers.holds_id(text):
            raise Malformed("document_id", kind=kind_name(kind_of(body)), field=field)


def federation_id(roster_1: Envelope) -> bytes:
    """The first 16 bytes of SHA-256 of roster 1's payload."""
    return hashlib.sha256(roster_1.payload).digest()[:FEDERATION_ID_BYTES]


def check_signatures(envelope: Envelope, body: Body, roster: Roster | None, verify: Verify) -> Standing:
    """Who of the roster in force (None before roster 1) signed ``envelope``, and whether that suffices.

    Raises Unproven ``key_twice`` and ``signature``, Refused ``document_version`` or ``roster_mixed`` if ``body`` is a
    roster that does not follow the one in force.
    """
    if isinstance(body, Roster):
        rosters.check_succession(body, roster)
    elif roster is None:
        raise Refused("no_roster")
    judges = _judges(body, roster)
    asked = [_asked(body, judge) for judge in judges]
    by_judge = [
        signers_of(envelope, rosters.signing_keys(judge), verify) & everyone
        for judge, everyone in zip(judges, asked, strict=True)
    ]
    # A member of before is named by the key of before: one that the proposal alone gives it is perhaps not its own.
    before = asked[0] if len(asked) > 1 else frozenset()
    signed = by_judge[0].union(by_judge[-1] - before)
    return Standing(
        kind=kind_of(body),
        series=series_of(body),
        version=body.version,
        digest=hashlib.sha256(envelope.payload).digest(),
        signed=signed,
        missing=frozenset().union(*asked) - signed,
        complete=_suffice(body, roster, by_judge),
    )


def can_complete(body: Body, roster: Roster, declined: Set[str]) -> bool:
    """Whether ``body`` could still take effect behind ``roster`` without these agencies."""
    return _suffice(body, roster, [_asked(body, judge) - declined for judge in _judges(body, roster)])


def is_in_time(body: Body, roster: Roster | None, moment: int) -> bool:
    """Whether ``body`` may take effect behind ``roster`` at that moment, milliseconds since the Unix epoch.

    Roster 1 waits for everybody, what came of a ceremony for its nodes, and a cut until all that it leaves is there.
    Nobody approves a catalogue, so that it cannot come too late.
    """
    waits = isinstance(body, Roster) and (body.version == 1 or rosters.is_result(body, roster))
    return waits or isinstance(body, Cut | Catalogue) or moment < body.expires_at


def _judges(body: Body, roster: Roster | None) -> list[Roster]:
    """The rosters of which each has to agree: that in force, and a roster itself."""
    return [*([roster] if roster else []), *([body] if isinstance(body, Roster) else [])]


def _asked(body: Body, judge: Roster) -> frozenset[str]:
    """Whose signatures count for that roster."""
    owner = owner_of(body)
    return frozenset({owner}) if owner else frozenset(entry.agency for entry in judge.members)


def _suffice(body: Body, roster: Roster | None, by_judge: Sequence[frozenset[str]]) -> bool:
    """Whether it is enough that these sign; ``by_judge`` says it for each of :func:`_judges`."""
    for judge, signed in zip(_judges(body, roster), by_judge, strict=True):
        needed = len(judge.members) if roster is None else judge.threshold
        if len(signed) < (1 if owner_of(body) else needed):
            return False
    if not isinstance(body, Roster):
        return True
    return (
        rosters.confirming(body, roster) <= frozenset().union(*by_judge)
        and rosters.changed_members(body, roster) <= by_judge[-1]
        and (roster is None or rosters.bound_members(body, roster) <= by_judge[0])
        and (roster is None or _changed_of_before(body, roster) <= by_judge[0])
    )


def _changed_of_before(body: Roster, roster: Roster) -> frozenset[str]:
    """Members of ``roster`` of whom ``body`` says something else."""
    return rosters.changed_members(body, roster) & {each.agency for each in roster.members}


def believe(envelope: Envelope, roster: Roster | None, verify: Verify) -> Body:
    """The document inside, signed by enough; Unproven ``document_signatures`` if by too few."""
    body = read(envelope)
    found = check_signatures(envelope, body, roster, verify)
    if not found.complete:
        raise Unproven(
            "document_signatures", kind=kind_name(found.kind), version=found.version, signed=len(found.signed)
        )
    return body


def _check_form(body: Body) -> None:
    if body.version < 1 or body.expires_at <= body.created_at:
        raise Malformed("document_form", kind=kind_name(kind_of(body)), problem="version, created_at or expires_at")
    for field, text in _texts(body):
        if not plain_text.is_plain(text):
            raise Malformed("document_text", kind=kind_name(kind_of(body)), field=field)
    if isinstance(body, Roster):
        rosters.check_form(body)
        return
    for holds, problem in ((len(body.federation_id) == FEDERATION_ID_BYTES, "federation_id"), *_form_of(body)):
        if not holds:
            raise Malformed("document_form", kind=kind_name(kind_of(body)), problem=problem)


def _texts(message: Message) -> Iterator[tuple[str, str]]:
    """Every text, at any depth, with the name of its field."""
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if isinstance(each, Message):
                yield from _texts(each)
            elif isinstance(each, str):
                yield field.name, each


def _form_of(body: Policy | Grant | Move | Catalogue | Cut | Integrator) -> list[tuple[bool, str]]:
    """Whether each field reads, and its name."""
    if isinstance(body, Policy):
        return [(len(body.categories) <= CATEGORIES_MAX, "categories")]
    if isinstance(body, Catalogue):
        return [(is_agency_code(body.agency), "agency"), (len(body.benefits) <= BENEFITS_MAX, "benefits")]
    if isinstance(body, Cut):
        return [(_reads_as_checkpoint(body.checkpoint), "checkpoint")]
    if isinstance(body, Integrator):
        return _form_of_integrator(body)
    if isinstance(body, Grant):
        lasts = body.valid_until - body.created_at
        return [
            (is_agency_code(body.agency), "agency"),
            (1 <= body.elements <= GRANT_ELEMENTS_MAX, "elements"),
            (0 < lasts <= GRANT_DAYS_MAX * DAY_MS, "valid_until"),
        ]
    return [
        (is_agency_code(body.agency), "agency"),
        (len(body.account) == _ID_BYTES, "account"),
        (1 <= body.awards <= MOVE_AWARDS_MAX, "awards"),
        (body.credits > 0, "credits"),
        (body.reason in _MOVE_REASONS, "reason"),
        (len(body.move_id) == _ID_BYTES, "move_id"),
    ]


def account_in_move(account_id: bytes, move_id: bytes) -> bytes:
    """What a Move calls the account, 16 bytes: everybody reads it, and only who knows the account finds it again."""
    return hashlib.sha256(_MOVE_DOMAIN + account_id + move_id).digest()[:_ID_BYTES]


def _form_of_integrator(body: Integrator) -> list[tuple[bool, str]]:
    lasts = body.valid_until - body.created_at
    scope = body.scope
    return [
        (is_integrator_name(body.name), "name"),
        (0 < len(body.title) <= _TITLE_LENGTH_MAX, "title"),
        (0 < len(body.purpose) <= _PURPOSE_LENGTH_MAX, "purpose"),
        (_is_set(scope.agencies) and all(map(is_agency_code, scope.agencies)), "agencies"),
        (len(scope.agencies) <= MEMBERS_MAX, "agencies"),
        (_is_set(scope.dimensions) and set(scope.dimensions) <= set(Dimension.values()) - {0}, "dimensions"),
        (_is_set(scope.kinds) and set(scope.kinds) <= set(SubjectKind.values()) - {0}, "kinds"),
        (_is_set(scope.causes) and set(scope.causes) <= set(Cause.values()) - {0}, "causes"),
        (1 <= body.quotas.streams <= STREAMS_MAX, "streams"),
        (1 <= body.quotas.snapshots_per_day <= SNAPSHOTS_MAX, "snapshots_per_day"),
        (0 < lasts <= INTEGRATOR_DAYS_MAX * DAY_MS, "valid_until"),
    ]


def _is_set(values: Iterable[Any]) -> bool:
    """Whether they are ascending, each once."""
    listed = list(values)
    return listed == sorted(set(listed))


def _reads_as_checkpoint(note: bytes) -> bool:
    try:
        return checkpoint.read(note).checkpoint.size > 0
    except Malformed:
        return False


def is_integrator_name(name: str) -> bool:
    """Whether ``name`` may be an integrator's."""
    return bool(_INTEGRATOR.fullmatch(name))
