"""Who may act on an account: whom the hub admitted to it; and how an account rests before it is nobody's."""

from typing import Any

import pytest
from samprasan.ledger import admissions, ledger, verify
from samprasan.v1 import log_pb2 as log

from tests.ledger.books import (
    ACCOUNT,
    ACTIVATED,
    ADMITTED_MS,
    DAY_MS,
    OTHER,
    SECRET,
    Ledger,
    admitted,
    award,
    declined,
    link,
    post,
    refund,
    reserve,
    unlink,
)

NOT_ADMITTED = declined(log.DECLINE_REASON_NOT_ADMITTED)
CLOSED = declined(log.DECLINE_REASON_ACCOUNT_CLOSED)
NOT_LINKED = declined(log.DECLINE_REASON_NOT_LINKED)
FRESH = b"f" * 16


def test_the_tag_is_of_agency_account_and_secret() -> None:
    tag = admissions.tag_of("mpc", bytes(16), bytes(range(16)))
    assert tag.hex("-", 4) == "402cb2e5-bfd009a5-261e7435-71f7a9ea"  # by sha256sum
    others = {
        admissions.tag_of(agency, account, secret)
        for agency in ("mpc", "nhco")
        for account in (ACCOUNT, OTHER)
        for secret in (SECRET, FRESH)
    }
    assert len(others) == 8


def test_who_knows_an_account_and_no_secret_is_not_linked() -> None:
    books = Ledger().opened(ACCOUNT).linked("mpc")
    for op, secret in enumerate((b"", FRESH)):
        assert books.apply("codi", link(ACCOUNT, (1, 2), op, secret)) == [NOT_ADMITTED]
        assert books.apply("codi", link(OTHER, (1, 2), 10 + op, secret)) == [NOT_ADMITTED]


def test_anothers_admission_is_of_no_use() -> None:
    books = Ledger().opened()
    books.apply("hub", admitted("mpc", ACCOUNT))
    assert books.apply("codi", link(ACCOUNT, (1,), 1)) == [NOT_ADMITTED]
    assert books.apply("mpc", link(OTHER, (1,), 1)) == [NOT_ADMITTED]
    assert books.apply("mpc", link(ACCOUNT, (1,), 2)) == [ledger.APPLIED]


def test_an_admission_is_spent_once_and_an_open_link_changes_without_one() -> None:
    books = Ledger().opened(ACCOUNT).linked("nhco").linked("mpc")
    assert books.apply("mpc", link(ACCOUNT, (1, 2, 3), 10, b"")) == [ledger.APPLIED]
    assert books.apply("mpc", unlink(11)) == [ledger.APPLIED]
    books.at += 8 * DAY_MS
    books.turn()
    assert books.apply("mpc", link(ACCOUNT, (1,), 12)) == [NOT_ADMITTED], "it left too long ago"
    assert books.apply("hub", admitted("mpc", ACCOUNT)) == [NOT_ADMITTED], "the same word again counts for nothing"
    assert books.apply("mpc", link(ACCOUNT, (1,), 13)) == [NOT_ADMITTED]
    books.apply("hub", admitted("mpc", ACCOUNT, FRESH, lapses_at=books.at + DAY_MS))
    assert books.apply("mpc", link(ACCOUNT, (1,), 14, FRESH)) == [ledger.APPLIED]


@pytest.mark.parametrize(("later", "outcome"), [(ADMITTED_MS - 1, ledger.APPLIED), (ADMITTED_MS, NOT_ADMITTED)])
def test_an_admission_lapses(later: int, outcome: log.Outcome) -> None:
    books = Ledger().opened(ACCOUNT)
    books.at += later
    assert books.apply("mpc", link(ACCOUNT, (1,), 1)) == [outcome]


def test_an_admission_is_over_with_its_linking_key() -> None:
    books = Ledger().opened()
    books.apply("hub", admitted("mpc", ACCOUNT), admitted("nhco", ACCOUNT, key_epoch=2))
    books.apply("hub", admitted("codi", OTHER, kind=log.SUBJECT_KIND_COMMUNITY, key_epoch=0))
    books.state.key_epochs = frozenset({2})
    assert books.apply("mpc", link(ACCOUNT, (1,), 1)) == [NOT_ADMITTED]
    assert books.apply("nhco", link(ACCOUNT, (1,), 1)) == [ledger.APPLIED]
    assert books.apply("codi", link(OTHER, (1,), 1)) == [ledger.APPLIED], "a public id is of no key"


@pytest.mark.parametrize(("opened", "other"), [(1, 0), (0, 1)])
def test_an_account_is_of_pseudonyms_or_of_a_public_id_and_so_is_every_admission_to_it(opened: int, other: int) -> None:
    books = Ledger().opened()
    of_a_firm: dict[str, Any] = {"kind": log.SUBJECT_KIND_ORGANIZATION}
    books.apply("hub", admitted("mpc", ACCOUNT, key_epoch=opened, **of_a_firm))
    books.apply("hub", admitted("codi", ACCOUNT, key_epoch=other, **of_a_firm))
    assert books.apply("mpc", link(ACCOUNT, (1,), 1)) == [ledger.APPLIED]
    assert books.apply("codi", link(ACCOUNT, (1, 2), 2)) == [NOT_ADMITTED]
    books.apply("hub", admitted("codi", ACCOUNT, FRESH, key_epoch=opened, **of_a_firm))
    assert books.apply("codi", link(ACCOUNT, (1, 2), 3, FRESH)) == [ledger.APPLIED]


def test_the_first_link_says_what_kind_the_account_is_of_and_nobody_changes_it() -> None:
    books = Ledger().opened()
    books.apply("hub", admitted("mpc", ACCOUNT, kind=log.SUBJECT_KIND_COMMUNITY), admitted("nhco", ACCOUNT))
    assert books.apply("mpc", link(ACCOUNT, (1,), 1)) == [ledger.APPLIED]
    assert books.apply("nhco", link(ACCOUNT, (1,), 1)) == [NOT_ADMITTED]
    assert books.state.accounts[ACCOUNT].kind == log.SUBJECT_KIND_COMMUNITY


def test_an_unused_admission_can_be_given_up_and_touches_nobody() -> None:
    books = Ledger().opened(ACCOUNT).linked("nhco")
    assert books.apply("mpc", unlink(1)) == [NOT_LINKED]
    assert books.apply("mpc", unlink(2, ACCOUNT, FRESH)) == [NOT_ADMITTED]
    assert books.apply("mpc", unlink(3, ACCOUNT, SECRET), unlink(4, ACCOUNT, SECRET)) == [ledger.APPLIED, NOT_ADMITTED]
    assert books.apply("mpc", link(ACCOUNT, (1,), 5)) == [NOT_ADMITTED]
    assert books.state.accounts[ACCOUNT].links == 1


def test_only_accounts_that_took_an_evaluation_count_as_used() -> None:
    books = Ledger().opened()
    public: dict[str, Any] = {"kind": log.SUBJECT_KIND_COMMUNITY, "key_epoch": 0}
    books.apply("hub", admitted("mpc", ACCOUNT), admitted("mpc", OTHER, **public))
    books.apply("mpc", link(ACCOUNT, (1, 2), 1), link(OTHER, (1, 2), 2))
    books.apply("mpc", award(3), award(4), award(5, account_id=OTHER))
    assert books.state.agencies["mpc"].used == 1
    books.apply("mpc", unlink(6, OTHER), link(OTHER, (1, 2), 7, b""), award(8, account_id=OTHER))
    assert books.state.agencies["mpc"].used == 1


def left(agency: str = "mpc") -> Ledger:
    """An account that earned and that its last agency has left."""
    books = Ledger().opened(ACCOUNT).linked(agency)
    assert books.apply(agency, award(1), unlink(2)) == [ledger.APPLIED] * 2
    return books


def test_nothing_can_be_done_with_an_account_that_rests() -> None:
    books = Ledger().opened(ACCOUNT).linked()
    books.apply("mpc", award(1, credits=30), reserve(2), post(3, 2), unlink(4))
    refused = [award(5), reserve(6), refund(7, 2), unlink(8)]
    assert books.apply("mpc", *refused) == [NOT_LINKED, NOT_LINKED, CLOSED, NOT_LINKED]


def test_who_had_left_comes_back_within_the_week_and_nothing_is_lost() -> None:
    books = left()
    books.at += 7 * DAY_MS
    books.turn()
    assert books.apply("mpc", link(ACCOUNT, (1, 2), 3, b"")) == [ledger.APPLIED]
    assert books.state.accounts[ACCOUNT].available == 10
    assert books.apply("mpc", award(4)) == [ledger.APPLIED]
    books.at += 30 * DAY_MS
    books.turn()
    assert not books.state.accounts[ACCOUNT].closed


def test_who_left_lately_comes_back_to_an_account_that_others_kept_open() -> None:
    books = left().linked("nhco")
    books.at += 7 * DAY_MS
    assert books.apply("mpc", link(ACCOUNT, (1,), 12, b"")) == [ledger.APPLIED]
    assert books.apply("mpc", unlink(13)) == [ledger.APPLIED]
    books.at += 8 * DAY_MS
    assert books.apply("mpc", link(ACCOUNT, (1,), 14, b"")) == [NOT_ADMITTED]


def test_who_left_long_ago_does_not_revive_an_account_that_another_left_since() -> None:
    books = Ledger().opened(ACCOUNT).linked("mpc").linked("nhco")
    assert books.apply("mpc", unlink(1)) == [ledger.APPLIED]
    books.at += 6 * DAY_MS
    assert books.apply("nhco", unlink(2)) == [ledger.APPLIED]
    books.at += 2 * DAY_MS
    assert books.apply("mpc", link(ACCOUNT, (1,), 3, b"")) == [NOT_ADMITTED]
    assert books.apply("nhco", link(ACCOUNT, (1,), 4, b"")) == [ledger.APPLIED]


def test_who_was_never_linked_revives_an_account_with_an_admission_alone() -> None:
    books = left()
    assert books.apply("nhco", link(ACCOUNT, (1, 2), 1, b"")) == [NOT_ADMITTED]
    assert books.apply("nhco", link(ACCOUNT, (1, 2), 2)) == [ledger.APPLIED]


@pytest.mark.parametrize("turned", [True, False])
def test_after_the_week_the_account_is_nobodys(turned: bool) -> None:
    books = left()
    books.at += 8 * DAY_MS
    books.apply("hub", admitted("nhco", ACCOUNT, FRESH, lapses_at=books.at + DAY_MS))
    if turned:
        books.turn()
    assert books.state.accounts[ACCOUNT].closed == turned
    assert books.apply("mpc", link(ACCOUNT, (1,), 1, b"")) == [NOT_ADMITTED]
    assert books.apply("nhco", link(ACCOUNT, (1,), 1, FRESH)) == [CLOSED]


def test_a_turn_closes_what_is_due_in_its_range_and_not_what_a_day_to_come_would() -> None:
    books = Ledger().opened(ACCOUNT, OTHER).linked().linked(account_id=OTHER)
    books.apply("mpc", unlink(1), unlink(2, OTHER))
    books.turn(days=8)
    assert not any(each.closed for each in books.state.accounts.values())
    books.at += 8 * DAY_MS
    books.turn(prefix=ACCOUNT[:1])
    assert [books.state.accounts[each].closed for each in (ACCOUNT, OTHER)] == [True, False]
    books.turn()
    books.turn()
    assert books.state.accounts[OTHER].closed
    assert not books.state.resting
    assert verify.digest_of(verify.fold_log(books.entries, ACTIVATED)) == verify.digest_of(books.state)
