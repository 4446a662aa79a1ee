"""Rows as the stores give them.  The fields of a whole row are the table's columns, in the same order.

A new row is made with its fields named, and goes to the database as the tuple that it is.  On SQLite a ``bool`` may
come as 0 or 1.
"""

from typing import NamedTuple, TypeVar

from samprasan.node.states import AwardState
from samprasan.v1 import documents_pb2, log_pb2

T = TypeVar("T")


def present(value: T | None) -> T:
    """A nullable column's value in a row that is known to have it."""
    assert value is not None
    return value


class SubjectRow(NamedTuple):
    """Somebody or something that earns, as this agency knows them."""

    subject_id: int
    id_index: bytes
    kind: log_pb2.SubjectKind.ValueType
    scheme: str
    sealed_id: bytes
    sealed_name: bytes
    share: bool
    redeem: bool
    wanted: bool
    sealed_key: bytes | None
    account_id: bytes | None
    linked: int
    link_settled: int
    totals: bytes | None
    integrators: bool
    publish: bool
    sealed_opened: bytes | None
    unlink_at: int | None
    withdrawn: int
    erasing: bool
    due: bool
    key_epoch: int
    rekey_at: int
    admission: bytes | None
    rests_until: int | None
    left_account: bytes | None


class DeedRow(NamedTuple):
    """A deed, as its record states it."""

    deed_id: int
    source: str
    record_id: str
    fingerprint: bytes
    import_id: int
    subject_id: int
    category: str
    quantity: str
    occurred_on: int
    area_code: str
    status: str
    share: bool
    credits: int
    dimension: int
    policy_version: int
    gone: bool


class AwardRow(NamedTuple):
    """An update about a deed for the hub; ``reverse_reason`` is 0 for an Award, else the Reverse's."""

    award_id: int
    deed_id: int
    subject_id: int
    op_id: bytes
    replaces: bytes | None
    reverse_reason: log_pb2.ReverseReason.ValueType
    credits: int
    dimension: log_pb2.Dimension.ValueType
    month: int
    policy_version: int
    state: AwardState
    seq: int | None
    reason: int
    restores: bytes | None = None
    owed: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it waits to be sealed, so that nobody has heard of it."""
        return self.state == AwardState.WAITING or (self.state == AwardState.QUEUED and self.seq is None)

    @property
    def stands(self) -> bool:
        """Whether the hub holds it, or will once it is there."""
        return self.state == AwardState.SETTLED or (self.state == AwardState.QUEUED and self.seq is not None)


class ImportRow(NamedTuple):
    """One import of a file, or of a record."""

    import_id: int
    source: str
    file_digest: bytes
    imported_at: int
    counts: str
    undone_at: int | None


class BatchRow(NamedTuple):
    """A sealed batch of the node's own chain, with its receipt once it is here."""

    seq: int
    digest: bytes
    envelope: bytes
    receipt: bytes | None


class HubEntryRow(NamedTuple):
    """An entry of the hub's own chain."""

    seq: int
    log_index: int
    digest: bytes
    entry: bytes


class HeardRow(NamedTuple):
    """A checkpoint that another agency knows."""

    agency: str
    note: bytes
    heard_at: int


class QuestionRow(NamedTuple):
    """Ids that a peer was asked to evaluate."""

    request_id: bytes
    asked_at: int
    evaluator: str
    purpose: int
    elements: int
    digest: bytes
    envelope: bytes
    sealed_plan: bytes
    expires_at: int
    posted: bool
    state: str
    retry_at: int


class EvaluationTotalRow(NamedTuple):
    """How many ids one agency had evaluated by another; ``acknowledged`` is signed by both, ``heard`` of the chain."""

    requester: str
    evaluator: str
    elements: int
    acknowledged: bytes
    waiting: str
    heard: int


class EvaluationRow(NamedTuple):
    """An evaluation of ids for a peer."""

    requester: str
    request_id: bytes
    digest: bytes
    purpose: int
    elements: int
    day: int
    answer: bytes
    expires_at: int
    granted: int
    grant_version: int


class CeremonyRow(NamedTuple):
    """An attempt to make a linking key."""

    roster_digest: bytes
    attempt: int
    sealed_line: bytes | None
    state: str
    culprit: str | None
    reason: str | None
    result: bytes | None


class CeremonyMessageRow(NamedTuple):
    """A dealer's message in a ceremony."""

    digest: bytes
    roster_digest: bytes
    attempt: int
    dealer: str
    holder: str
    sealed_envelope: bytes


class CeremonyLetterRow(NamedTuple):
    """A letter of a ceremony that goes to a peer."""

    letter_id: int
    roster_digest: bytes
    reader: str
    sealed_envelope: bytes
    posted: bool


class RedemptionRow(NamedTuple):
    """A redemption asked for at a counter."""

    redemption_id: int
    op_key: bytes
    subject_id: int
    hold_id: bytes
    owner: str
    benefit: str
    benefit_digest: bytes
    credits: int
    ttl_seconds: int
    authorised_by: str
    reserve_only: bool
    on_own_risk: bool
    asked_at: int
    state: str
    reason: int
    deadline: int | None
    decided_at: int | None
    number: int | None
    posted: int
    refunded: int
    is_over: bool


class HoldUpdateRow(NamedTuple):
    """An update about a hold for the hub."""

    update_id: int
    op_id: bytes
    change: str
    agency: str
    hold_id: bytes
    credits: int
    why: int
    state: str
    seq: int | None
    reason: int


class MoveRow(NamedTuple):
    """Deeds that are to be somebody else's."""

    move_id: int
    reason: documents_pb2.MoveReason.ValueType
    maker: str
    checker: str | None
    proposed_at: int
    subject_id: int
    scheme: str
    id_index: bytes
    sealed_id: bytes | None
    sealed_name: bytes | None
    credits: int
    state: str
    document: bytes | None


class ConsentsRow(NamedTuple):
    """A subject's consents, the purposes of its newest Link as bits, and what its first one spends."""

    account_id: bytes | None
    linked: int
    share: bool
    redeem: bool
    integrators: bool
    unlink_at: int | None
    admission: bytes | None


class ReserveRow(NamedTuple):
    """The part of a redemption that its Reserve names."""

    subject_id: int
    ttl_seconds: int
    owner: str
    benefit: str
    benefit_digest: bytes


class SendableAward(NamedTuple):
    """An award that may be sealed, and its subject's consents."""

    award: AwardRow
    consents: ConsentsRow


class SendableUpdate(NamedTuple):
    """A hold update that may be sealed; of another agency's hold without the redemption and consents."""

    update: HoldUpdateRow
    reserve: ReserveRow | None
    consents: ConsentsRow | None


class OrphanRow(NamedTuple):
    """An award without a deed, and the decision on it."""

    award: AwardRow
    account_id: bytes
    share: bool
    keep: bool | None
    maker: str | None
    checker: str | None


class KeptRow(NamedTuple):
    """The credits of an award without a deed that is kept."""

    subject_id: int
    dimension: int
    credits: int


class UnprovedRow(NamedTuple):
    """A batch with its receipt."""

    seq: int
    receipt: bytes
