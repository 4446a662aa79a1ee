"""The key ceremony: a linking key, or new shares of one, that no dealer knows alone (Feldman, FOCS 1987).

Every dealer draws a line and commits to it; once all have, it tells each holder its point of the line.  A holder's
share is the sum of what it was told; the sum of the constants is the key, which nobody ever adds up.

- A new key: all three deal, the constants are random, and each proves that it knows its own (so that none can be chosen
  to cancel the others').
- New shares of the same key: holders of old shares deal, and a dealer's constant is its share times its Lagrange
  coefficient, which its old commitment proves.  All three do that to refresh, the other two to repair a lost share.

A dealer draws the same line whenever it draws for the same roster and attempt, so that one that is restored in the
middle repeats itself, and no two ceremonies share a line: from two points of a line its constant follows, which is the
dealer's old share where new shares of a key are dealt.

A fault is two signed messages of a dealer that contradict each other, or one that contradicts itself.  Commitments can
be judged by anybody; values only by their holder, where new shares are dealt.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from samprasan.keys import pseudonym, ristretto, rosters, sharing, signing
from samprasan.keys.errors import Malformed, SamprasanError, Unproven
from samprasan.keys.rosters import linking_keys
from samprasan.keys.sharing import Share
from samprasan.v1.ceremony_pb2 import CeremonyId, DealerCommitment, DealerValue
from samprasan.v1.documents_pb2 import LinkingKey, Roster, ShareCommitment
from samprasan.v1.envelope_pb2 import Envelope

LINE_BYTES = 2 * ristretto.SCALAR_BYTES
_TAG = b"samprasan/v1/ceremony"
_POINTS_BYTES = 2 * ristretto.ELEMENT_BYTES


@dataclass(frozen=True, slots=True, repr=False)
class Line:
    """What a dealer draws: ``constant + slope · index``.  ``repr`` never shows it."""

    constant: int
    slope: int

    def at(self, index: int) -> int:
        """The value for the holder with that index."""
        return (self.constant + self.slope * index) % ristretto.ORDER

    def encode(self) -> bytes:
        """64 bytes, to be kept sealed."""
        return ristretto.encode_scalar(self.constant) + ristretto.encode_scalar(self.slope)

    @classmethod
    def decode(cls, data: bytes) -> "Line":
        """From :meth:`encode`; else Malformed."""
        if len(data) != LINE_BYTES:
            raise Malformed("scalar")
        return cls(ristretto.decode_scalar(data[:32]), ristretto.decode_scalar(data[32:]))


@dataclass(frozen=True)
class Ceremony:
    """Which shares are made: the roster in force, whose plan says so, and the attempt."""

    federation_id: bytes
    roster: Roster
    roster_digest: bytes
    attempt: int

    @cached_property
    def id(self) -> CeremonyId:
        """As messages name it."""
        return CeremonyId(federation_id=self.federation_id, roster_digest=self.roster_digest, attempt=self.attempt)

    @cached_property
    def old_key(self) -> LinkingKey | None:
        """The key that gets new shares; None if a new one is made."""
        epoch = self.roster.plan.key_epoch
        return next((key for key in linking_keys(self.roster) if key.key_epoch == epoch), None)

    @cached_property
    def holders(self) -> dict[str, int]:
        """Agency → index of its share."""
        if self.old_key is not None:
            return {entry.agency: entry.index for entry in self.old_key.commitments}
        return {entry.agency: index for index, entry in enumerate(self.roster.members, 1)}

    @property
    def dealers(self) -> list[str]:
        """Their codes, ascending."""
        return list(self.roster.plan.dealers)

    def weight(self, dealer: str) -> int:
        """Lagrange's coefficient of a dealer's old share among the dealers."""
        others = [self.holders[each] for each in self.dealers if each != dealer]
        return sharing.coefficient(self.holders[dealer], others)


@dataclass(frozen=True, slots=True)
class Fault:
    """Who broke the rules, and how: ``commitment``, ``two_commitments``, ``value`` or ``two_values``."""

    agency: str
    reason: str


def draw(ceremony: Ceremony, dealer: str, old_share: Share | None, secret: bytes) -> Line:
    """A dealer's line, always the same for one ceremony.

    It follows from ``old_share`` if new shares of a key are dealt, else from ``secret``, 32 bytes of the dealer's
    keyring that nobody else has.
    """
    if ceremony.old_key is None:
        return Line(_derived(ceremony, dealer, secret, b"/constant"), _derived(ceremony, dealer, secret, b"/slope"))
    if old_share is None:
        raise Malformed("share")
    own = ristretto.encode_scalar(old_share.scalar)
    constant = ceremony.weight(dealer) * old_share.scalar % ristretto.ORDER
    return Line(constant, _derived(ceremony, dealer, own, b"/slope"))


def _derived(ceremony: Ceremony, dealer: str, secret: bytes, what: bytes) -> int:
    return ristretto.hash_to_scalar(secret + signing.encode(ceremony.id) + dealer.encode(), _TAG + what)


def commit(ceremony: Ceremony, dealer: str, line: Line) -> DealerCommitment:
    """Round 1, always the same for one line of one ceremony."""
    nonce = _derived(ceremony, dealer, line.encode(), b"/nonce")
    message = DealerCommitment(
        ceremony=ceremony.id,
        dealer=dealer,
        points=ristretto.multiply_base(line.constant) + ristretto.multiply_base(line.slope),
    )
    challenge = _challenge(message, ristretto.multiply_base(nonce))
    response = (nonce - challenge * line.constant) % ristretto.ORDER
    message.proof = ristretto.encode_scalar(challenge) + ristretto.encode_scalar(response)
    return message


def check_commitment(ceremony: Ceremony, message: DealerCommitment) -> None:
    """That it commits a dealer to a line whose constant it knows, and which is its share's if shares are renewed.

    Raises Unproven ``ceremony_commitment``.
    """
    try:
        if message.dealer not in ceremony.dealers or len(message.points) != _POINTS_BYTES:
            raise Malformed("element")
        constant, _slope = map(ristretto.decode_element, ristretto.elements(message.points))
        proof = pseudonym.Proof.decode(message.proof)
        nonce = ristretto.add(ristretto.multiply_base(proof.response), ristretto.multiply(proof.challenge, constant))
        holds = _challenge(message, nonce) == proof.challenge
        if ceremony.old_key is not None:
            points = {entry.agency: entry.point for entry in ceremony.old_key.commitments}
            expected = ristretto.multiply(ceremony.weight(message.dealer), points[message.dealer])
            holds = holds and constant == expected
    except Malformed:
        holds = False
    if not holds:
        raise Unproven("ceremony_commitment", agency=message.dealer)


def transcript(ceremony: Ceremony, commitments: Mapping[str, Envelope]) -> bytes:
    """What everybody must have seen alike: the ceremony and every dealer's commitment, 32 bytes."""
    digests = b"".join(signing.digest(commitments[dealer]) for dealer in ceremony.dealers)
    return hashlib.sha256(_TAG + signing.encode(ceremony.id) + digests).digest()


def value_for(ceremony: Ceremony, dealer: str, holder: str, line: Line, seen: bytes) -> DealerValue:
    """Round 2, for one holder; ``seen`` is the :func:`transcript`."""
    return DealerValue(
        ceremony=ceremony.id,
        dealer=dealer,
        holder=holder,
        transcript=seen,
        value=ristretto.encode_scalar(line.at(ceremony.holders[holder])),
    )


def check_value(ceremony: Ceremony, commitment: DealerCommitment, message: DealerValue) -> int:
    """The value, once it lies on the line that its dealer committed to; else Unproven ``ceremony_value``."""
    try:
        value = ristretto.decode_scalar(message.value)
        if message.holder not in ceremony.holders:
            raise Malformed("scalar")
        holds = ristretto.multiply_base(value) == _point_at(commitment, ceremony.holders[message.holder])
    except Malformed:
        holds = False
    if not holds:
        raise Unproven("ceremony_value", agency=message.dealer)
    return value


def share_of(ceremony: Ceremony, holder: str, values: Iterable[int]) -> Share:
    """A holder's new share: the sum of what the dealers told it."""
    plan = ceremony.roster.plan
    return Share(plan.key_epoch, plan.share_version, ceremony.holders[holder], sum(values) % ristretto.ORDER)


def result(ceremony: Ceremony, commitments: Mapping[str, Envelope]) -> Roster:
    """The next roster, the same whoever makes it: the one in force with the new shares' commitments."""
    opened = [DealerCommitment.FromString(commitments[dealer].payload) for dealer in ceremony.dealers]
    plan = ceremony.roster.plan
    key = LinkingKey(
        key_epoch=plan.key_epoch,
        share_version=plan.share_version,
        commitments=[
            ShareCommitment(agency=holder, index=index, point=_sum(_point_at(each, index) for each in opened))
            for holder, index in sorted(ceremony.holders.items(), key=lambda item: item[1])
        ],
        transcript=transcript(ceremony, commitments),
    )
    made = Roster()
    made.CopyFrom(ceremony.roster)
    made.federation_id = ceremony.federation_id
    made.version += 1
    made.expires_at = made.created_at + rosters.RESULT_LIFETIME_MS
    made.ClearField("plan")
    replaces = not made.HasField("linking") or made.linking.key_epoch == key.key_epoch
    (made.linking if replaces else made.next).CopyFrom(key)
    return made


def may_show_values(ceremony: Ceremony) -> bool:
    """Whether values may be shown to others as evidence: never those of a line whose constant is a share."""
    return ceremony.old_key is None


def find_fault(ceremony: Ceremony, commitments: Iterable[Envelope], values: Iterable[Envelope]) -> Fault | None:
    """The first fault that these messages prove; their signatures were verified before.

    That a value was told beside two transcripts is none: a node that is restored may have seen other commitments.
    """
    seen: dict[tuple[str, str], bytes] = {}
    known: dict[str, DealerCommitment] = {}
    for envelope in commitments:
        made = DealerCommitment.FromString(envelope.payload)
        if seen.setdefault((made.dealer, ""), envelope.payload) != envelope.payload:
            return Fault(made.dealer, "two_commitments")
        if not _holds(check_commitment, ceremony, made):
            return Fault(made.dealer, "commitment")
        known[made.dealer] = made
    for envelope in values:
        told = DealerValue.FromString(envelope.payload)
        if seen.setdefault((told.dealer, told.holder), told.value) != told.value:
            return Fault(told.dealer, "two_values")
        commitment = known.get(told.dealer)
        if commitment and not _holds(check_value, ceremony, commitment, told):
            return Fault(told.dealer, "value")
    return None


def _holds(check: Callable[..., object], *arguments: object) -> bool:
    try:
        check(*arguments)
    except SamprasanError:
        return False
    return True


def _point_at(commitment: DealerCommitment, index: int) -> bytes:
    constant, slope = ristretto.elements(commitment.points)
    return ristretto.add(constant, ristretto.multiply(index, slope))


def _sum(points: Iterable[bytes]) -> bytes:
    total = ristretto.IDENTITY
    for point in points:
        total = ristretto.add(total, point)
    return total


def _challenge(message: DealerCommitment, nonce_point: bytes) -> int:
    """Of a Schnorr proof, bound to the ceremony, the dealer and both points."""
    bound = signing.encode(message.ceremony) + message.dealer.encode() + b"/" + message.points
    return ristretto.hash_to_scalar(bound + nonce_point, _TAG + b"/proof")
