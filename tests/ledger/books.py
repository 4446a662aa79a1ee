"""A ledger that takes batches, and the updates to put into them."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from samprasan.ledger import admissions, benefits, calendar, ledger
from samprasan.ledger.benefits import Benefit, Catalogue
from samprasan.ledger.policy import Policy
from samprasan.ledger.state import Entry, State
from samprasan.v1 import documents_pb2 as documents
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.linking_pb2 import EvaluationTotal

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW = 1_795_402_800_000  # 23 November 2026, 10:00 in Bangkok
POLICY = Policy(
    version=1,
    valid_from=date(2025, 1, 1),
    credits_per_update_max=500,
    credits_per_agency_day_max=1_200,
    linking_elements_per_day=1000,
    hold_seconds_max=3_600,
    write_offs_per_agency_day_max=600,
    reserves_per_agency_day_max=2_000,
    categories={},
)
KINDS: dict[str, Any] = {
    "any": {},
    "few": {"stock": 2},
    "once": {"per_subject_max": 1, "period": documents.PERIOD_MONTH},
    "firms": {"kinds": [log.SUBJECT_KIND_ORGANIZATION]},
    "green": {"dimensions": [log.DIMENSION_ENVIRONMENT]},
    "past": {"valid_from": 20250101, "valid_until": 20251231},
    "soon": {"valid_from": 20261124, "valid_until": 20271231},
}
AGENCIES = ("mpc", "nhco", "codi")
SECRET = b"s" * 16
ADMITTED_MS = 48 * HOUR_MS
ACCOUNT, OTHER, NOBODYS = b"a" * 16, b"b" * 16, b"c" * 16


@dataclass
class Ledger:
    """A state and the batches it takes."""

    state: State = field(default_factory=State)
    entries: list[Entry] = field(default_factory=list)
    at: int = NOW

    def apply(self, agency: str, *updates: log.Update) -> list[log.Outcome]:
        entry = Entry(log.Batch(agency=agency, updates=updates), self.at)
        changes, outcomes = ledger.fold(self.state, entry, ACTIVATED)
        self.state.include(changes)
        self.entries.append(entry)
        return outcomes

    def opened(self, *account_ids: bytes) -> "Ledger":
        activate = log.Update(activate=log.Activate(document=log.DOCUMENT_KIND_POLICY, version=1, digest=b"p" * 32))
        covered = [evaluated(each, by) for each, by in zip(AGENCIES, AGENCIES[1:] + AGENCIES[:1], strict=True)]
        admissions_to_all = [admitted(agency, each) for each in account_ids for agency in AGENCIES]
        key = log.Update(activate=log.Activate(document=log.DOCUMENT_KIND_ROSTER, version=1, digest=b"r" * 32))
        self.apply("hub", key, activate, *covered, *admissions_to_all)
        self.publish(b"c")
        return self

    def publish(self, digest: bytes) -> None:
        activate = log.Activate(document=log.DOCUMENT_KIND_CATALOGUE, version=1, digest=digest * 32)
        self.apply("hub", log.Update(activate=activate))

    def expire_due(self) -> None:
        due = [key for key, hold in self.state.holds.items() if hold.state == 1 and hold.deadline <= self.at]
        for agency, hold_id in sorted(due):
            expired = log.Update(expire=log.Expire(agency=agency, hold_id=hold_id))
            assert self.apply("hub", expired) == [ledger.APPLIED]

    def turn(self, days: int = 0, prefix: bytes = b"") -> None:
        """The hub closes what is due on the day ``days`` from the ledger's own."""
        day = calendar.packed(calendar.day_of(self.at + days * DAY_MS))
        assert self.apply("hub", log.Update(turn=log.Turn(day=day, prefix=prefix))) == [ledger.APPLIED]

    def linked(self, agency: str = "mpc", account_id: bytes = ACCOUNT, purposes: tuple[int, ...] = (1, 2)) -> "Ledger":
        (outcome,) = self.apply(agency, link(account_id, purposes, op=len(self.entries)))
        assert outcome == ledger.APPLIED
        return self


def benefit(code: str, **changes: Any) -> Benefit:
    values: dict[str, Any] = {
        "code": code,
        "title_th": "ข้าวสาร",
        "title_en": "Rice",
        "credits": 10,
        "period": documents.PERIOD_EVER,
        "valid_from": 20260101,
        "valid_until": 20271231,
    }
    return benefits.from_message(documents.Benefit(**(values | changes)).SerializeToString(deterministic=True))


CATALOGUE = Catalogue("codi", 1, {code: benefit(code, **changes) for code, changes in KINDS.items()})
DEARER = Catalogue("codi", 2, {"any": benefit("any", credits=12), "few": benefit("few", stock=2)})
ACTIVATED: dict[bytes, Policy | Catalogue | documents.Roster] = {
    b"r" * 32: documents.Roster(linking=documents.LinkingKey(key_epoch=1)),
    b"p" * 32: POLICY,
    b"c" * 32: CATALOGUE,
    b"d" * 32: DEARER,
}


def op_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def link(account_id: bytes, purposes: tuple[int, ...], op: int, secret: bytes = SECRET) -> log.Update:
    named = [log.Purpose.ValueType(purpose) for purpose in purposes]
    change = log.Link(account_id=account_id, purposes=named, admission=secret)
    return log.Update(op_id=op_id(10**6 + op), link=change)


def admitted(agency: str, account_id: bytes, secret: bytes = SECRET, **changes: Any) -> log.Update:
    values: dict[str, Any] = {
        "agency": agency,
        "tag": admissions.tag_of(agency, account_id, secret),
        "kind": log.SUBJECT_KIND_PERSON,
        "key_epoch": 1,
        "lapses_at": NOW + ADMITTED_MS,
    }
    return log.Update(admitted=log.Admitted(**(values | changes)))


def evaluated(requester: str, evaluator: str, total: int = 1_000) -> log.Update:
    said = EvaluationTotal(requester=requester, evaluator=evaluator, total=total)
    return log.Update(evaluated=log.Evaluated(total=Envelope(payload=said.SerializeToString())))


def award(op: int = 1, **changes: Any) -> log.Update:
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "credits": 10,
        "dimension": 1,
        "month": 202611,
        "policy_version": 1,
    }
    return log.Update(op_id=op_id(op), award=log.Award(**(values | changes)))


def declined(reason: log.DeclineReason.ValueType) -> log.Outcome:
    return log.Outcome(kind=log.OUTCOME_KIND_DECLINED, reason=reason)


def applied(owed: int = 0, left: int = 0) -> log.Outcome:
    return log.Outcome(kind=log.OUTCOME_KIND_APPLIED, owed=owed, left=left)


def replacing(op: int, replaced: int, **changes: Any) -> log.Update:
    return award(op, replaces=op_id(replaced), **changes)


def reverse(op: int, reversed_op: int) -> log.Update:
    change = log.Reverse(award_op_id=op_id(reversed_op), reason=log.REVERSE_REASON_RECORD_CHANGED)
    return log.Update(op_id=op_id(op), reverse=change)


def reserve(op: int, code: str = "any", **changes: Any) -> log.Update:
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "credits": 10,
        "benefit_agency": "codi",
        "benefit": code,
        "benefit_digest": CATALOGUE.benefits[code].digest if code in KINDS else bytes(32),
        "ttl_seconds": 600,
    }
    return log.Update(op_id=op_id(op), reserve=log.Reserve(**(values | changes)))


def post(op: int, hold: int, credits_: int = 10) -> log.Update:
    return log.Update(op_id=op_id(op), post=log.Post(hold_id=op_id(hold), credits=credits_))


def void(op: int, hold: int) -> log.Update:
    return log.Update(op_id=op_id(op), void=log.Void(hold_id=op_id(hold), reason=log.VOID_REASON_CANCELLED))


def refund(op: int, hold: int, credits_: int = 10, agency: str = "mpc") -> log.Update:
    change = log.Refund(agency=agency, hold_id=op_id(hold), credits=credits_, reason=log.REFUND_REASON_MISTAKE)
    return log.Update(op_id=op_id(op), refund=change)


def expire(hold: int, agency: str = "mpc") -> log.Update:
    return log.Update(expire=log.Expire(agency=agency, hold_id=op_id(hold)))


def unlink(op: int, account_id: bytes = ACCOUNT, admission: bytes = b"") -> log.Update:
    return log.Update(op_id=op_id(op), unlink=log.Unlink(account_id=account_id, admission=admission))
