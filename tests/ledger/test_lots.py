"""Lots: nobody's correction touches another's credits, what was spent is paid back first, and a day has its caps."""

import pytest
from samprasan.ledger import lots, verify
from samprasan.ledger.lots import Lot, Owed, Part
from samprasan.ledger.state import Totals
from samprasan.v1 import log_pb2 as log

from tests.ledger.books import (
    ACCOUNT,
    ACTIVATED,
    OTHER,
    Ledger,
    applied,
    award,
    declined,
    expire,
    op_id,
    post,
    refund,
    replacing,
    reserve,
    reverse,
    void,
)

OK = applied()


def restoring(op: int, restored: int, **changes: object) -> log.Update:
    return award(op, restores=op_id(restored), **changes)


def of(books: Ledger, account_id: bytes = ACCOUNT) -> Totals:
    assert verify.breaches(books.state) == []
    return books.state.accounts[account_id]


def shared() -> Ledger:
    """Somebody who is linked at two agencies."""
    return Ledger().opened(ACCOUNT, OTHER).linked().linked("nhco").linked(account_id=OTHER)


def worth(books: Ledger) -> tuple[int, int, int]:
    """Earned, available, written off."""
    found = of(books)
    return found.earned_in_all, found.available, found.written_off


def test_what_is_older_is_spent_first_and_no_correction_touches_anothers_credits() -> None:
    books = shared()
    books.apply("nhco", award(1, credits=10))
    books.apply("mpc", award(1, credits=10))
    books.apply("mpc", reserve(2), post(3, 2))
    assert of(books).lots == (Lot("nhco", 0, 0, 0), Lot("mpc", 0, 0, 10))
    assert books.apply("nhco", reverse(4, 1)) == [applied(owed=10)], "nhco's were spent, mpc's are not touched"
    assert worth(books) == (10, 10, 10)
    assert books.apply("mpc", reverse(5, 1)) == [OK]
    assert worth(books) == (0, 0, 10)


def test_what_is_verified_again_pays_what_was_spent_of_it_first() -> None:
    books = shared()
    books.apply("mpc", award(1, credits=10), reserve(2), post(3, 2))
    assert books.apply("mpc", reverse(4, 1)) == [applied(owed=10)]
    assert books.apply("mpc", restoring(5, 1, credits=10)) == [OK]
    assert worth(books) == (10, 0, 0)
    assert books.apply("mpc", award(6, credits=7)) == [OK]
    assert worth(books) == (17, 7, 0)


@pytest.mark.parametrize(("first", "then"), [(4, 10), (10, 16)])
def test_what_a_smaller_award_left_owed_is_paid_by_a_larger_one(first: int, then: int) -> None:
    books = shared()
    books.apply("mpc", award(1, credits=10), reserve(2), post(3, 2), reverse(4, 1))
    books.apply("mpc", restoring(5, 1, credits=first))
    assert worth(books) == (first, 0, 10 - first)
    books.apply("mpc", replacing(6, 5, credits=then))
    assert worth(books) == (then, then - 10, 0)


@pytest.mark.parametrize("how", ["void", "expire", "part", "refund"])
def test_what_comes_back_pays_what_is_owed_to_its_lot(how: str) -> None:
    books = shared()
    books.apply("mpc", award(1, credits=10), reserve(2))
    if how == "refund":
        books.apply("mpc", post(3, 2))
    assert books.apply("mpc", reverse(4, 1)) == [applied(owed=10)]
    assert worth(books) == (0, 0, 10)
    if how == "expire":
        books.at += 600_000
        assert books.apply("hub", expire(2)) == [OK]
    else:
        back = {"void": void(5, 2), "part": post(5, 2, 4), "refund": refund(5, 2)}[how]
        assert books.apply("mpc", back) == [OK]
    assert worth(books) == ((0, 0, 4) if how == "part" else (0, 0, 0)), "a person with no deed left has nothing"
    assert books.state.agencies["mpc"].written_off == of(books).written_off


def test_the_oldest_is_paid_first_and_another_lot_is_not() -> None:
    books = shared()
    books.apply("nhco", award(9, credits=4))
    books.apply("mpc", award(1, credits=6), award(2, credits=10))
    books.apply("mpc", reserve(3), reserve(4), post(5, 3), post(6, 4))
    assert of(books).available == 0
    books.apply("mpc", reverse(7, 1), reverse(8, 2))
    assert of(books).owed == (Owed("mpc", 0, 0, op_id(1), 6), Owed("mpc", 0, 0, op_id(2), 10))
    books.apply("mpc", refund(10, 4, 9))
    assert of(books).owed == (Owed("mpc", 0, 0, op_id(2), 7),), "six for the older one, three for the newer"
    books.apply("mpc", refund(11, 3, 10))
    assert of(books).owed == (Owed("mpc", 0, 0, op_id(2), 1),), "six of the ten were mpc's"
    assert worth(books) == (4, 4, 1)


def test_anybody_may_give_back_what_another_had_written_off() -> None:
    books = shared()
    books.apply("mpc", award(1, credits=10))
    books.apply("nhco", reserve(2), post(3, 2))
    books.apply("mpc", reverse(4, 1))
    assert books.state.agencies["mpc"].written_off == 10
    assert books.apply("nhco", refund(5, 2, agency="nhco")) == [OK]
    assert (worth(books), books.state.agencies["mpc"].written_off) == ((0, 0, 0), 0)


def test_a_move_and_its_way_back_leave_what_there_was() -> None:
    books = shared()
    books.apply("mpc", award(1, credits=10), reserve(2), post(3, 2))
    assert books.apply("mpc", replacing(4, 1, credits=10, account_id=OTHER)) == [applied(owed=10)]
    assert (worth(books), of(books, OTHER).available) == ((0, 0, 10), 10)
    back = replacing(5, 4, credits=10, restores=op_id(1))
    assert books.apply("mpc", back) == [OK]
    assert (worth(books), of(books, OTHER).available) == ((10, 0, 0), 0)


@pytest.mark.parametrize("what", ["stands", "twice", "elsewhere", "anothers", "unknown", "replaced"])
def test_only_what_was_taken_back_here_is_restored_and_once(what: str) -> None:
    books = shared()
    books.apply("mpc", award(1, credits=10), reserve(2), post(3, 2), award(10, credits=5))
    books.apply("nhco", award(11, credits=5))
    books.apply("nhco", reverse(12, 11))
    books.apply("mpc", reverse(4, 1), replacing(13, 10, credits=6))
    if what == "twice":
        assert books.apply("mpc", restoring(5, 1)) == [OK]
    changes = {"account_id": OTHER} if what == "elsewhere" else {}
    restored = {"stands": 13, "anothers": 11, "unknown": 99, "replaced": 10}.get(what, 1)
    before = verify.digest_of(books.state), of(books)
    assert books.apply("mpc", restoring(20, restored, **changes)) == [declined(log.DECLINE_REASON_RESTORES_NOTHING)]
    assert of(books) == before[1]


def test_two_debts_never_have_one_name() -> None:
    """An award that goes on with another's debt restores none: or what one owes would be paid with the other's."""
    books = shared()
    books.apply("mpc", award(1, credits=10), award(2, credits=10), reserve(3), reserve(4))
    assert books.apply("mpc", reverse(5, 1)) == [applied(owed=10)]
    assert books.apply("mpc", replacing(6, 2, credits=5)) == [applied(owed=5)]
    both = replacing(7, 6, credits=5, restores=op_id(1))
    assert books.apply("mpc", both) == [declined(log.DECLINE_REASON_RESTORES_NOTHING)]
    assert books.apply("mpc", void(8, 3), void(9, 4)) == [OK, OK]
    assert worth(books) == (5, 5, 0)


def test_a_chain_of_leftovers_is_a_row_each() -> None:
    books = shared()
    books.apply("mpc", award(1, credits=500), award(2, credits=500))
    for number in range(100, 200):
        books.apply("mpc", reserve(number))
    books.apply("mpc", reverse(3, 1))
    left = 2
    for number in range(10, 60):
        books.apply("mpc", award(1000 + number, credits=1))
        (outcome,) = books.apply("mpc", reverse(number, left))
        if outcome.left:
            left = number
    assert verify.breaches(books.state) == []
    again = verify.fold_log(books.entries, ACTIVATED)
    assert verify.digest_of(again) == verify.digest_of(books.state)
    assert len(books.state.leftovers) > 10


class TestCapsOfADay:
    """Of the policy in force: 1,200 credits made spendable, 600 written off, 2,000 set aside."""

    def test_a_move_counts_whole(self) -> None:
        books = shared()
        assert books.apply("mpc", award(1, credits=500)) == [OK]
        outcomes = [
            books.apply("mpc", replacing(number + 1, number, credits=500, account_id=(ACCOUNT, OTHER)[number % 2]))
            for number in (1, 2)
        ]
        assert outcomes == [[OK], [declined(log.DECLINE_REASON_DAY_CAP_REACHED)]]

    def test_giving_back_does_not_count_and_is_never_declined(self) -> None:
        books = shared()
        books.apply("mpc", award(1, credits=500), award(2, credits=500), award(3, credits=200))
        books.apply("mpc", reserve(4), post(5, 4))
        assert books.apply("mpc", award(6, credits=1)) == [declined(log.DECLINE_REASON_DAY_CAP_REACHED)]
        assert books.apply("mpc", refund(7, 4)) == [OK]

    def test_paying_what_is_owed_does_not_count(self) -> None:
        books = shared()
        books.apply("mpc", award(1, credits=10), reserve(2), post(3, 2), reverse(4, 1))
        books.apply("mpc", award(5, credits=500), award(6, credits=500), award(7, credits=190))
        assert books.apply("mpc", restoring(8, 1, credits=10)) == [OK]
        assert books.apply("mpc", award(9, credits=1)) == [declined(log.DECLINE_REASON_DAY_CAP_REACHED)]

    def test_over_the_cap_of_write_offs_a_reversal_recovers_what_is_unspent_and_leaves_the_rest(self) -> None:
        books = self.spent(650, available=50)
        assert books.apply("mpc", reverse(50, 1)) == [applied(owed=450)]  # of 500, the lot had 50
        assert books.apply("mpc", reverse(51, 2)) == [applied(owed=150, left=50)]
        assert worth(books) == (50, 0, 600)
        again = log.Outcome(kind=log.OUTCOME_KIND_DUPLICATE, left=50, owed=150)
        assert books.apply("mpc", reverse(51, 2)) == [again]
        assert books.apply("mpc", reverse(52, 51)) == [declined(log.DECLINE_REASON_WRITE_OFF_CAP_REACHED)]
        assert books.apply("mpc", reverse(53, 2)) == [declined(log.DECLINE_REASON_AWARD_CORRECTED)]
        books.at += 86_400_000
        assert books.apply("mpc", reverse(54, 51)) == [applied(owed=200)]
        assert worth(books) == (0, 0, 650)

    def test_over_the_cap_of_write_offs_other_corrections_are_declined(self) -> None:
        books = self.spent(700, available=0)
        assert books.apply("mpc", reverse(50, 1)) == [applied(owed=500)]
        reason = log.DECLINE_REASON_WRITE_OFF_CAP_REACHED
        assert books.apply("mpc", replacing(51, 2, credits=99)) == [declined(reason)]
        assert books.apply("mpc", replacing(52, 2, credits=200, account_id=OTHER)) == [declined(reason)]
        assert books.apply("mpc", replacing(53, 2, credits=100)) == [applied(owed=100)]

    def test_what_is_set_aside_has_a_cap_too(self) -> None:
        books = shared()
        for number in range(1, 4):
            books.at += 86_400_000
            books.apply("mpc", award(number, credits=500), award(10 + number, credits=500))
        books.at += 86_400_000
        for number in range(100, 300):
            assert books.apply("mpc", reserve(number), void(1000 + number, number)) == [OK, OK]
        assert books.apply("mpc", reserve(300)) == [declined(log.DECLINE_REASON_RESERVE_CAP_REACHED)]
        books.at += 86_400_000
        assert books.apply("mpc", reserve(301)) == [OK]

    @staticmethod
    def spent(credits_: int, available: int) -> Ledger:
        """Two awards of mpc of which so much was spent a day ago."""
        books = shared()
        books.apply("mpc", award(1, credits=500), award(2, credits=credits_ + available - 500))
        for number in range(100, 100 + credits_ // 10):
            assert books.apply("mpc", reserve(number), post(1000 + number, number)) == [OK, OK]
        books.at += 86_400_000
        return books


class TestLots:
    """What the ledger keeps of an account's credits."""

    def test_what_lapses_first_is_drawn_first_then_what_is_older(self) -> None:
        held = (Lot("mpc", 0, 0, 5), Lot("nhco", 0, 20300930, 5), Lot("codi", 0, 20290930, 5), Lot("x1", 0, 0, 5))
        left, parts = lots.drawn(held, 17)
        assert parts == (
            Part("codi", 0, 20290930, 5),
            Part("nhco", 0, 20300930, 5),
            Part("mpc", 0, 0, 5),
            Part("x1", 0, 0, 2),
        )
        assert [each.remaining for each in left] == [0, 0, 0, 3]
        assert lots.returned(left, (), parts)[0] == held

    def test_the_last_that_was_drawn_comes_back_first(self) -> None:
        parts = (Part("mpc", 0, 0, 5), Part("nhco", 0, 0, 5))
        assert lots.divided(parts, 7) == (
            (Part("mpc", 0, 0, 5), Part("nhco", 0, 0, 2)),
            (Part("nhco", 0, 0, 3),),
        )
        assert lots.divided(parts, 0) == ((), parts)
        assert lots.divided(parts, 10) == (parts, ())

    def test_of_a_lot_so_many_awards_owe_and_what_the_oldest_owes_goes_to_the_next(self) -> None:
        debts: lots.Debts = (Owed("nhco", 0, 0, op_id(1), 7),)
        for number in range(1, lots.OWED_MAX + 3):
            debts = lots.owing(debts, ("mpc", 0, 0), op_id(number), number)
        assert len(debts) == lots.OWED_MAX + 1
        assert debts[:2] == (Owed("nhco", 0, 0, op_id(1), 7), Owed("mpc", 0, 0, op_id(3), 6))
        assert sum(each.credits for each in debts) == 7 + sum(range(1, lots.OWED_MAX + 3))

    def test_an_op_id_of_another_agency_is_another_debt(self) -> None:
        debts = (Owed("mpc", 0, 0, op_id(1), 5), Owed("nhco", 0, 0, op_id(1), 5))
        assert lots.settled(debts, "nhco", op_id(1), 5) == debts[:1]
        assert lots.passed_on(debts, "nhco", op_id(1), op_id(2)) == (debts[0], Owed("nhco", 0, 0, op_id(2), 5))
