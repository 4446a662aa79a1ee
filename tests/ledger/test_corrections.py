"""Corrections: the awarder's alone, once an award, by the difference; what is spent is written off, never a debt."""

import pytest
from samprasan.ledger import ledger, verify
from samprasan.ledger.benefits import Catalogue
from samprasan.ledger.state import Totals
from samprasan.v1 import log_pb2 as log

from tests.ledger.books import (
    ACCOUNT,
    ACTIVATED,
    OTHER,
    Ledger,
    applied,
    award,
    benefit,
    declined,
    op_id,
    post,
    replacing,
    reserve,
    reverse,
)

APPLIED = ledger.APPLIED
DEAR = Catalogue("codi", 3, {"any": benefit("any", credits=16)})
ACTIVATED[b"e" * 32] = DEAR


def books_with_an_award(credits_: int = 16, spent: int = 0) -> Ledger:
    """One award at mpc, of which some credits were spent."""
    books = Ledger().opened(ACCOUNT, OTHER).linked().linked(account_id=OTHER)
    assert books.apply("mpc", award(1, credits=credits_)) == [APPLIED]
    if spent:
        dear = reserve(900, "any", credits=16, benefit_digest=DEAR.benefits["any"].digest)
        books.apply("hub", log.Update(activate=log.Activate(digest=b"e" * 32)))
        assert books.apply("mpc", dear, post(901, 900, spent)) == [APPLIED, APPLIED]
    return books


def of(books: Ledger, account_id: bytes = ACCOUNT) -> Totals:
    assert verify.breaches(books.state) == []
    return books.state.accounts[account_id]


@pytest.mark.parametrize(
    ("spent", "now", "earned", "available", "written_off"),
    [
        (0, 24, 24, 24, 0),
        (0, 4, 4, 4, 0),
        (0, 16, 16, 16, 0),
        (16, 24, 24, 8, 0),
        (16, 4, 4, 0, 12),
        (10, 8, 8, 0, 2),
        (10, 12, 12, 2, 0),
    ],
)
def test_a_replacing_award_moves_the_difference_and_writes_off_what_is_spent(
    spent: int, now: int, earned: int, available: int, written_off: int
) -> None:
    books = books_with_an_award(spent=spent)
    assert books.apply("mpc", replacing(2, 1, credits=now)) == [applied(owed=written_off)]
    found = of(books)
    assert (found.earned_in_all, found.available, found.written_off) == (earned, available, written_off)
    did = books.state.agencies["mpc"]
    assert (did.earned, did.written_off) == (earned, written_off)


@pytest.mark.parametrize(("spent", "written_off"), [(0, 0), (5, 5), (16, 16)])
def test_a_reverse_recovers_what_is_unspent(spent: int, written_off: int) -> None:
    books = books_with_an_award(spent=spent)
    assert books.apply("mpc", reverse(2, 1)) == [applied(owed=written_off)]
    found = of(books)
    assert (found.earned, found.available, found.spent, found.written_off) == ((0, 0, 0, 0), 0, spent, written_off)


def test_a_replacing_award_may_change_dimension_and_account() -> None:
    books = books_with_an_award(spent=4)
    assert books.apply("mpc", replacing(2, 1, credits=16, dimension=4)) == [APPLIED]
    assert of(books).earned == (0, 0, 0, 16)
    assert books.apply("mpc", replacing(3, 2, credits=16, account_id=OTHER)) == [applied(owed=4)]
    assert (of(books).earned_in_all, of(books).available, of(books).written_off) == (0, 0, 4)
    assert (of(books, OTHER).earned, of(books, OTHER).available) == ((16, 0, 0, 0), 16)


def test_an_award_is_corrected_once_and_its_correction_can_be_corrected_again() -> None:
    books = books_with_an_award()
    assert books.apply("mpc", replacing(2, 1, credits=8), replacing(3, 1, credits=500), reverse(4, 1)) == [
        APPLIED,
        declined(log.DECLINE_REASON_AWARD_CORRECTED),
        declined(log.DECLINE_REASON_AWARD_CORRECTED),
    ]
    assert books.apply("mpc", reverse(5, 2), reverse(6, 2)) == [APPLIED, declined(log.DECLINE_REASON_AWARD_CORRECTED)]
    assert of(books).available == 0
    assert books.apply("mpc", replacing(2, 1, credits=8)) == [log.Outcome(kind=log.OUTCOME_KIND_DUPLICATE)]


@pytest.mark.parametrize("number", [2, 3, 77])
def test_only_ones_own_award_that_took_effect_can_be_corrected(number: int) -> None:
    """Not another agency's (2), not one that was declined (3), not one that never was (77)."""
    books = books_with_an_award().linked("nhco")
    assert books.apply("nhco", award(2)) == [APPLIED]
    assert books.apply("mpc", award(3, credits=0)) == [declined(log.DECLINE_REASON_CREDITS_NOT_POSITIVE)]
    before = verify.digest_of(books.state), of(books)
    for update in (replacing(50 + number, number), reverse(60 + number, number)):
        assert books.apply("mpc", update) == [declined(log.DECLINE_REASON_AWARD_UNKNOWN)]
    assert of(books) == before[1]


def test_after_unlink_nothing_is_corrected() -> None:
    books = books_with_an_award()
    books.apply("mpc", log.Update(op_id=op_id(90), unlink=log.Unlink(account_id=ACCOUNT)))
    for update in (replacing(2, 1, account_id=OTHER), reverse(3, 1)):
        assert books.apply("mpc", update) == [declined(log.DECLINE_REASON_NOT_LINKED)]
    assert of(books).available == 16


def test_a_replacing_award_that_is_declined_leaves_the_first_one_standing() -> None:
    books = books_with_an_award()
    assert books.apply("mpc", replacing(2, 1, credits=501), reverse(3, 1)) == [
        declined(log.DECLINE_REASON_CREDITS_OVER_CAP),
        APPLIED,
    ]


def test_only_the_increase_counts_towards_the_cap_of_a_day() -> None:
    books = books_with_an_award(400)  # the policy of these tests allows 1,200 a day
    assert books.apply("mpc", replacing(2, 1, credits=500), award(3, credits=500)) == [APPLIED, APPLIED]
    assert books.apply("mpc", replacing(4, 3, credits=100), award(5, credits=201)) == [
        APPLIED,
        declined(log.DECLINE_REASON_DAY_CAP_REACHED),
    ]
    assert books.apply("mpc", award(6, credits=200)) == [APPLIED]
