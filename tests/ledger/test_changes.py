"""What a batch changed, as integrators are told of it."""

from typing import Any

import pytest
from samprasan.ledger import changes, ledger
from samprasan.ledger.state import Entry
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import documents_pb2 as documents
from samprasan.v1 import log_pb2 as log

from tests.ledger import books
from tests.ledger.books import ACCOUNT, OTHER, Ledger

SHOWN = (1, 2, 3)
PRIVATE = (1, 2)


class Told(Ledger):
    """A ledger that keeps what it has to tell."""

    def told(self, agency: str, *updates: log.Update) -> list[v1.Change]:
        entry = Entry(log.Batch(agency=agency, updates=updates), self.at)
        folded, _ = ledger.fold(self.state, entry, books.ACTIVATED)
        found = changes.changes_of_entry(entry, self.state, folded)
        self.state.include(folded)
        self.entries.append(entry)
        assert found.at == self.at
        return list(found.changes)


@pytest.fixture
def told() -> Told:
    ledger_ = Told()
    ledger_.opened(ACCOUNT, OTHER)
    return ledger_


def award(credits_: int, op: int, **values: Any) -> log.Update:
    return books.award(op, **({"credits": credits_, "dimension": log.DIMENSION_SOCIAL} | values))


def activate(digest: bytes) -> log.Update:
    return log.Update(activate=log.Activate(document=log.DOCUMENT_KIND_CATALOGUE, version=1, digest=digest * 32))


def facts(found: list[v1.Change]) -> list[tuple[Any, ...]]:
    return [(each.cause, each.dimension, each.credits, sum(each.earned), each.available) for each in found]


def test_a_subject_appears_with_its_totals_and_is_gone_without_them(told: Told) -> None:
    assert told.told("mpc", books.link(ACCOUNT, PRIVATE, op=1), award(5, op=2)) == []
    (linked,) = told.told("mpc", books.link(ACCOUNT, SHOWN, op=3))
    assert (linked.type, linked.account_id, sum(linked.earned)) == (v1.EVENT_TYPE_LINKED, ACCOUNT, 5)
    (gone,) = told.told("mpc", books.link(ACCOUNT, PRIVATE, op=4))
    assert gone == v1.Change(type=v1.EVENT_TYPE_UNLINKED, account_id=ACCOUNT, kind=log.SUBJECT_KIND_PERSON)


def test_one_linked_agency_that_says_no_hides_the_subject(told: Told) -> None:
    assert [each.type for each in told.told("mpc", books.link(ACCOUNT, SHOWN, op=1))] == [v1.EVENT_TYPE_LINKED]
    assert [each.type for each in told.told("nhco", books.link(ACCOUNT, PRIVATE, op=2))] == [v1.EVENT_TYPE_UNLINKED]
    assert told.told("mpc", award(5, op=3)) == []
    (again,) = told.told("nhco", books.unlink(4))
    assert (again.type, sum(again.earned)) == (v1.EVENT_TYPE_LINKED, 5)
    (gone,) = told.told("mpc", books.unlink(5))
    assert gone.type == v1.EVENT_TYPE_UNLINKED


def test_a_second_agency_that_says_yes_changes_nothing(told: Told) -> None:
    told.told("mpc", books.link(ACCOUNT, SHOWN, op=1))
    assert told.told("nhco", books.link(ACCOUNT, SHOWN, op=2)) == []
    assert told.told("nhco", books.unlink(3)) == []


def test_awards_and_corrections_are_told_by_what_they_change(told: Told) -> None:
    told.told("mpc", books.link(ACCOUNT, SHOWN, op=1))
    found = told.told("mpc", award(12, op=2), award(12, op=2), award(6, op=3, account_id=OTHER))
    assert facts(found) == [(documents.CAUSE_AWARD, log.DIMENSION_SOCIAL, 12, 12, 12)]
    assert found[0].agency == "mpc"
    more = told.told("mpc", award(20, op=4, replaces=books.op_id(2)))
    assert facts(more) == [(documents.CAUSE_AWARD, log.DIMENSION_SOCIAL, 8, 20, 20)]
    less = told.told("mpc", award(5, op=5, replaces=books.op_id(4)))
    assert facts(less) == [(documents.CAUSE_REVERSE, log.DIMENSION_SOCIAL, 15, 5, 5)]
    elsewhere = told.told("mpc", award(5, op=6, replaces=books.op_id(5), dimension=log.DIMENSION_HEALTH))
    assert facts(elsewhere) == [
        (documents.CAUSE_AWARD, log.DIMENSION_HEALTH, 5, 5, 5),
        (documents.CAUSE_REVERSE, log.DIMENSION_SOCIAL, 5, 5, 5),
    ]
    assert told.told("mpc", award(5, op=7, replaces=books.op_id(6), dimension=log.DIMENSION_HEALTH, month=202610)) == []
    gone = told.told("mpc", books.reverse(8, 7))
    assert facts(gone) == [(documents.CAUSE_REVERSE, log.DIMENSION_HEALTH, 5, 0, 0)]


def test_an_award_that_moves_to_another_account_is_told_of_both(told: Told) -> None:
    told.told("mpc", books.link(ACCOUNT, SHOWN, op=1), books.link(OTHER, SHOWN, op=2), award(7, op=3))
    found = told.told("mpc", award(7, op=4, replaces=books.op_id(3), account_id=OTHER))
    assert [(each.account_id, each.cause) for each in found] == [
        (ACCOUNT, documents.CAUSE_REVERSE),
        (OTHER, documents.CAUSE_AWARD),
    ]


def test_a_hold_is_told_from_its_beginning_to_its_end(told: Told) -> None:
    told.told("mpc", books.link(ACCOUNT, SHOWN, op=1), award(50, op=2))
    found = told.told("mpc", books.reserve(3), books.post(4, 3, credits_=6), books.refund(5, 3, credits_=6))
    assert [(each.cause, each.credits, each.available, each.held, each.spent) for each in found] == [
        (documents.CAUSE_RESERVE, 10, 40, 10, 0),
        (documents.CAUSE_POST, 6, 44, 0, 6),
        (documents.CAUSE_REFUND, 6, 50, 0, 0),
    ]
    found = told.told("mpc", books.reserve(6), books.void(7, 6), books.reserve(8))
    assert [(each.cause, each.credits) for each in found] == [
        (documents.CAUSE_RESERVE, 10),
        (documents.CAUSE_VOID, 10),
        (documents.CAUSE_RESERVE, 10),
    ]
    told.at += 2 * books.HOUR_MS
    (expired,) = told.told("hub", books.expire(8))
    assert (expired.cause, expired.credits, expired.agency) == (documents.CAUSE_EXPIRE, 10, "mpc")


def test_benefits_and_policies_are_told_when_they_change(told: Told) -> None:
    assert told.told("hub", activate(b"c")) == []  # the same catalogue once more
    found = told.told("hub", activate(b"d"))
    kinds = {each.benefit.code: each.type for each in found}
    assert kinds == {"any": v1.EVENT_TYPE_BENEFIT_CHANGED} | {
        code: v1.EVENT_TYPE_BENEFIT_WITHDRAWN for code in books.KINDS if code not in {"any", "few"}
    }
    assert all(each.agency == "codi" for each in found)
    again = told.told("hub", activate(b"c"))
    assert {each.benefit.code: each.type for each in again} == {
        code: v1.EVENT_TYPE_BENEFIT_CHANGED for code in books.KINDS if code != "few"
    }
    policy = log.Update(activate=log.Activate(document=log.DOCUMENT_KIND_POLICY, version=1, digest=b"p" * 32))
    assert told.told("hub", policy) == [v1.Change(type=v1.EVENT_TYPE_POLICY_ACTIVATED, policy_version=1)]
