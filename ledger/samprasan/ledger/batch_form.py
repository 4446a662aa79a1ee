"""Whether a batch can be read at all, before any state is looked at.

A batch that fails here is refused as a whole, for ever; what the rules decline one by one is :mod:`.ledger`'s.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from samprasan.keys import evaluation_totals
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import SamprasanError
from samprasan.keys.rosters import HUB, MEMBERS_MAX, is_agency_code
from samprasan.ledger.toml_fields import CODE
from samprasan.v1 import log_pb2 as log

UPDATES_MAX = 1000  # a batch is one transaction; 1,000 amortise a signature and a commit to under 1 µs an update
BATCH_BYTES_MAX = 1 << 20  # gRPC's habit; 1,000 updates need about 70 KiB
ID_BYTES = 16
DIGEST_BYTES = 32
PREFIX_BYTES_MAX = 2
_RANDOM_BITS = 74  # of a UUIDv7 (RFC 9562 section 5.7)
OP_ID_RANDOM_BYTES = 10  # the 74 random bits of a UUIDv7, and a few to spare

Refusal: TypeAlias = log.RefusalReason.ValueType | None


def check(batch: log.Batch, payload_bytes: int, federation_id: bytes, signer: str) -> Refusal:
    """Why the batch, signed by ``signer`` and ``payload_bytes`` long, must be refused; None if it need not."""
    if payload_bytes > BATCH_BYTES_MAX or not 1 <= len(batch.updates) <= UPDATES_MAX:
        return log.REFUSAL_REASON_OVER_LIMIT
    if batch.agency != signer or batch.federation_id != federation_id:
        return log.REFUSAL_REASON_NOT_ITS_OWN
    if batch.seq < 1 or len(batch.previous) != DIGEST_BYTES:
        return log.REFUSAL_REASON_UNREADABLE_FIELD
    readable = _HUB_CHANGES if signer == HUB else _AGENCY_CHANGES
    op_id_bytes = 0 if signer == HUB else ID_BYTES
    for update in batch.updates:
        kind = update.WhichOneof("change")
        reads = readable.get(kind) if kind else None
        if reads is None or len(update.op_id) != op_id_bytes or not reads(getattr(update, kind or "")):
            return log.REFUSAL_REASON_UNREADABLE_FIELD
    return None


def new_op_id(random_bytes: bytes, now: int) -> bytes:
    """A UUIDv7 (RFC 9562) with its time cut to the day, from at least 10 random bytes.

    The hub learns the day and nothing finer, and ids of one day still end near each other in an index.
    """
    time = now // DAY_MS * DAY_MS
    random = int.from_bytes(random_bytes, "big") & ((1 << _RANDOM_BITS) - 1)
    value = time << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & ((1 << 62) - 1)
    return value.to_bytes(16, "big")


def _names_account(change: Any) -> bool:
    return len(change.account_id) == ID_BYTES


def _may_admit(change: Any) -> bool:
    return _names_account(change) and len(change.admission) in {0, ID_BYTES}


def _reads_admitted(admitted: log.Admitted) -> bool:
    of_whom = is_agency_code(admitted.agency) and len(admitted.tag) == ID_BYTES
    return of_whom and admitted.kind in _KINDS and admitted.lapses_at > 0 and may_be_public(admitted)


def may_be_public(admitted: log.Admitted) -> bool:
    """Whether the admission is by pseudonym, or of a kind of which there are public ids: no person has one."""
    return admitted.key_epoch > 0 or admitted.kind != log.SUBJECT_KIND_PERSON


def _reads_evaluated(evaluated: log.Evaluated) -> bool:
    try:
        said = evaluation_totals.read(evaluated.total)
    except SamprasanError:
        return False
    return is_agency_code(said.requester) and is_agency_code(said.evaluator) and said.total > 0


def _reads_award(award: log.Award) -> bool:
    return len(award.account_id) == ID_BYTES and {len(award.replaces), len(award.restores)} <= {0, ID_BYTES}


def _reads_reverse(reverse: log.Reverse) -> bool:
    return len(reverse.award_op_id) == ID_BYTES and reverse.reason in _REVERSE_REASONS


def _reads_reserve(reserve: log.Reserve) -> bool:
    named = is_agency_code(reserve.benefit_agency) and bool(CODE.fullmatch(reserve.benefit))
    return _names_account(reserve) and named and len(reserve.benefit_digest) == DIGEST_BYTES


def _names_hold(change: Any) -> bool:
    return len(change.hold_id) == ID_BYTES


def _reads_void(void: log.Void) -> bool:
    return _names_hold(void) and void.reason in _VOID_REASONS


def _reads_refund(refund: log.Refund) -> bool:
    return _reads_expire(refund) and refund.reason in _REFUND_REASONS


def _reads_expire(change: Any) -> bool:
    return _names_hold(change) and is_agency_code(change.agency)


def _reads_link(link: log.Link) -> bool:
    purposes = list(link.purposes)
    known = all(purpose in _PURPOSES for purpose in purposes)
    return _may_admit(link) and bool(purposes) and known and purposes == sorted(set(purposes))


def _reads_activate(activate: log.Activate) -> bool:
    return len(activate.digest) == DIGEST_BYTES and activate.version > 0 and activate.document > 0


def _reads_withdrawn(withdrawn: log.Withdrawn) -> bool:
    return len(withdrawn.digest) == DIGEST_BYTES and 0 < len(withdrawn.dissents) <= MEMBERS_MAX


_PURPOSES = frozenset({log.PURPOSE_SHARE, log.PURPOSE_REDEEM, log.PURPOSE_INTEGRATORS})
_KINDS = frozenset(set(log.SubjectKind.values()) - {log.SUBJECT_KIND_UNSPECIFIED})
_REVERSE_REASONS = frozenset({log.REVERSE_REASON_RECORD_CHANGED, log.REVERSE_REASON_IMPORT_UNDONE})
_VOID_REASONS = frozenset({log.VOID_REASON_CANCELLED, log.VOID_REASON_NOT_GIVEN})
_REFUND_REASONS = frozenset({log.REFUND_REASON_RETURNED, log.REFUND_REASON_NOT_GIVEN, log.REFUND_REASON_MISTAKE})
_AGENCY_CHANGES: dict[str, Callable[[Any], bool]] = {
    "link": _reads_link,
    "unlink": _may_admit,
    "award": _reads_award,
    "reverse": _reads_reverse,
    "reserve": _reads_reserve,
    "post": _names_hold,
    "void": _reads_void,
    "refund": _reads_refund,
}
_HUB_CHANGES: dict[str, Callable[[Any], bool]] = {
    "admitted": _reads_admitted,
    "activate": _reads_activate,
    "expire": _reads_expire,
    "evaluated": _reads_evaluated,
    "withdrawn": _reads_withdrawn,
    "turn": lambda turn: turn.day > 0 and len(turn.prefix) <= PREFIX_BYTES_MAX,
}
