"""A ledger that takes batches, and the updates to put into them."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from samprasan.ledger import ledger
from samprasan.ledger.ledger import Entry, State
from samprasan.ledger.policy import Policy
from samprasan.v1 import log_pb2 as log

NOW = 1_795_402_800_000  # 23 November 2026, 10:00 in Bangkok
POLICY = Policy(1, date(2025, 1, 1), 500, 1_200, 1000, {})
ACCOUNT, OTHER, CLOSED = b"a" * 16, b"b" * 16, b"c" * 16


@dataclass
class Ledger:
    """A state and the batches it takes."""

    state: State = field(default_factory=State)
    entries: list[Entry] = field(default_factory=list)
    at: int = NOW

    def take(self, agency: str, *updates: log.Update) -> list[log.Outcome]:
        entry = Entry(log.Batch(agency=agency, updates=updates), self.at)
        changes, outcomes = ledger.fold(self.state, entry, {b"p" * 32: POLICY})
        self.state.include(changes)
        self.entries.append(entry)
        return outcomes

    def opened(self, *account_ids: bytes) -> "Ledger":
        activate = log.Update(activate=log.Activate(document=log.DOCUMENT_KIND_POLICY, version=1, digest=b"p" * 32))
        opened = [log.Update(opened=log.Opened(account_id=each, kind=log.SUBJECT_KIND_PERSON)) for each in account_ids]
        self.take("hub", activate, *opened)
        return self

    def linked(self, agency: str = "mpc", account_id: bytes = ACCOUNT, purposes: tuple[int, ...] = (1, 2)) -> "Ledger":
        (outcome,) = self.take(agency, link(account_id, purposes, op=len(self.entries)))
        assert outcome == ledger.APPLIED
        return self


def op_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def link(account_id: bytes, purposes: tuple[int, ...], op: int) -> log.Update:
    named = [log.Purpose.ValueType(purpose) for purpose in purposes]
    return log.Update(op_id=op_id(10**6 + op), link=log.Link(account_id=account_id, purposes=named))


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


def replacing(op: int, replaced: int, **changes: Any) -> log.Update:
    return award(op, replaces=op_id(replaced), **changes)


def reverse(op: int, reversed_op: int) -> log.Update:
    change = log.Reverse(award_op_id=op_id(reversed_op), reason=log.REVERSE_REASON_RECORD_CHANGED)
    return log.Update(op_id=op_id(op), reverse=change)
