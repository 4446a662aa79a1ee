"""The fold: what each update does, what is declined and why, and that everything adds up."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from samprasan.ledger import ledger, lots, verify
from samprasan.ledger.lots import Lot, Owed
from samprasan.ledger.state import Entry, Totals
from samprasan.v1 import log_pb2 as log

from tests.ledger.books import (
    ACCOUNT,
    ACTIVATED,
    DAY_MS,
    KINDS,
    NOBODYS,
    NOW,
    OTHER,
    POLICY,
    SECRET,
    Ledger,
    admitted,
    award,
    declined,
    link,
    op_id,
    post,
    refund,
    replacing,
    reserve,
    reverse,
    unlink,
    void,
)


def test_an_award_adds_to_one_dimension_and_can_be_spent() -> None:
    books = Ledger().opened(ACCOUNT).linked()
    assert (
        books.apply("mpc", award(1, credits=10, dimension=3), award(2, credits=5, dimension=1)) == [ledger.APPLIED] * 2
    )
    lots = (Lot("mpc", 0, 0, 15),)
    assert books.state.accounts[ACCOUNT] == Totals(
        log.SUBJECT_KIND_PERSON, earned=(5, 0, 10, 0), available=15, links=1, lots=lots, only_of="mpc"
    )
    assert books.state.agencies["mpc"].earned == 15


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"account_id": OTHER}, log.DECLINE_REASON_NOT_LINKED),
        ({"credits": 0}, log.DECLINE_REASON_CREDITS_NOT_POSITIVE),
        ({"credits": -5}, log.DECLINE_REASON_CREDITS_NOT_POSITIVE),
        ({"credits": 501}, log.DECLINE_REASON_CREDITS_OVER_CAP),
        ({"dimension": 0}, log.DECLINE_REASON_DIMENSION_INVALID),
        ({"dimension": 5}, log.DECLINE_REASON_DIMENSION_INVALID),
        ({"month": 0}, log.DECLINE_REASON_MONTH_INVALID),
        ({"month": 202613}, log.DECLINE_REASON_MONTH_INVALID),
        ({"month": 202612}, log.DECLINE_REASON_MONTH_INVALID),
        ({"month": 202412}, log.DECLINE_REASON_POLICY_UNKNOWN),
        ({"policy_version": 2}, log.DECLINE_REASON_POLICY_UNKNOWN),
    ],
)
def test_a_bad_award_is_declined_changes_nothing_and_stops_no_other(changes: Any, reason: Any) -> None:
    books = Ledger().opened(ACCOUNT).linked()
    before = books.state.accounts[ACCOUNT]
    outcomes = books.apply("mpc", award(1, **changes), award(2))
    assert outcomes == [declined(reason), ledger.APPLIED]
    lots = (Lot("mpc", 0, 0, 10),)
    assert books.state.accounts[ACCOUNT] == before._replace(earned=(10, 0, 0, 0), available=10, lots=lots)


def test_without_ones_own_link_for_sharing_nothing_is_awarded() -> None:
    books = Ledger().opened(ACCOUNT).linked("nhco").linked("codi", purposes=(2,))
    for agency in ("mpc", "codi"):
        assert books.apply(agency, award()) == [declined(log.DECLINE_REASON_NOT_LINKED)]


def test_the_cap_of_a_day_ends_with_the_day_in_bangkok() -> None:
    books = Ledger().opened(ACCOUNT).linked()
    full = [award(number, credits=400) for number in range(3)]
    assert books.apply("mpc", *full, award(9, credits=1)) == [ledger.APPLIED] * 3 + [
        declined(log.DECLINE_REASON_DAY_CAP_REACHED)
    ]
    books.at += 14 * 3_600_000 - 1
    assert books.apply("mpc", award(10, credits=1)) == [declined(log.DECLINE_REASON_DAY_CAP_REACHED)]
    books.at += 1
    assert books.apply("mpc", award(11, credits=1)) == [ledger.APPLIED]


def test_a_retry_is_a_duplicate_and_the_same_op_id_with_other_content_is_declined() -> None:
    books = Ledger().opened(ACCOUNT).linked()
    first = books.apply("mpc", award(1), award(1), award(1, credits=11), award(2, credits=0), award(2, credits=0))
    assert first == [
        ledger.APPLIED,
        log.Outcome(kind=log.OUTCOME_KIND_DUPLICATE),
        declined(log.DECLINE_REASON_OP_REUSED),
        declined(log.DECLINE_REASON_CREDITS_NOT_POSITIVE),
        log.Outcome(kind=log.OUTCOME_KIND_DUPLICATE, reason=log.DECLINE_REASON_CREDITS_NOT_POSITIVE),
    ]
    assert books.apply("mpc", award(1)) == [log.Outcome(kind=log.OUTCOME_KIND_DUPLICATE)]
    assert books.state.accounts[ACCOUNT].available == 10
    books.linked("nhco")
    assert books.apply("nhco", award(1)) == [ledger.APPLIED], "an op_id is unique for its agency"


def test_the_fold_does_not_change_what_it_is_given() -> None:
    books = Ledger().opened(ACCOUNT).linked()
    before = verify.digest_of(books.state)
    ledger.fold(books.state, Entry(log.Batch(agency="mpc", updates=[award()]), NOW), {})
    assert verify.digest_of(books.state) == before


class AnyOrder(RuleBasedStateMachine):
    """Whatever agencies send in whatever order, the books add up, and folding the log anew gives the same bytes.

    Batches come again as a whole, and the state is lost and folded anew from the log, as after a crash.
    """

    accounts = st.sampled_from([ACCOUNT, OTHER, NOBODYS])
    secrets = st.sampled_from([SECRET, b"t" * 16, b"u" * 16])
    agencies = st.sampled_from(["mpc", "nhco", "codi"])
    ops = st.integers(1, 40)
    holds = st.integers(3001, 3012)
    prices = st.sampled_from([10, 10, 10, 10, 4, 11, 0, -1])

    def __init__(self) -> None:
        super().__init__()
        self.books = Ledger().opened(ACCOUNT, OTHER)
        self.spent = 0
        self.credited = 0
        self.standing: dict[tuple[str, int], int] = {}

    @rule(agency=agencies, account=accounts, secret=secrets)
    def admits(self, agency: str, account: bytes, secret: bytes) -> None:
        self.books.apply("hub", admitted(agency, account, secret, lapses_at=self.books.at + DAY_MS))

    @rule(agency=agencies, account=accounts, op=ops, secret=secrets, purposes=st.sampled_from([(1,), (2,), (1, 2)]))
    def links(self, agency: str, account: bytes, op: int, secret: bytes, purposes: tuple[int, ...]) -> None:
        self.books.apply(agency, link(account, purposes, op, secret))

    @rule(agency=agencies, account=accounts, op=ops, secret=st.one_of(st.just(b""), st.just(b""), secrets))
    def unlinks(self, agency: str, account: bytes, op: int, secret: bytes) -> None:
        self.books.apply(agency, unlink(10**7 + op, account, secret))

    @rule(prefix=st.sampled_from([b"", b"a", b"b"]))
    def turns(self, prefix: bytes) -> None:
        self.books.turn(prefix=prefix)

    @rule(agency=agencies, account=accounts, op=ops, replaced=ops, restored=ops, amount=st.integers(1, 500))
    def replaces_and_restores(
        self, agency: str, account: bytes, op: int, replaced: int, restored: int, amount: int
    ) -> None:
        update = replacing(8000 + op, replaced, account_id=account, credits=amount, restores=op_id(restored))
        (outcome,) = self.books.apply(agency, update)
        if outcome.kind == log.OUTCOME_KIND_APPLIED:
            self.credited += amount - self.standing.pop((agency, replaced))
            self.standing[agency, 8000 + op] = amount

    @rule(agency=agencies, account=accounts, op=ops, amount=st.integers(-2, 502), dimension=st.integers(0, 5))
    def awards(self, agency: str, account: bytes, op: int, amount: int, dimension: int) -> None:
        update = award(op, account_id=account, credits=amount, dimension=dimension)
        (outcome,) = self.books.apply(agency, update)
        if outcome.kind == log.OUTCOME_KIND_APPLIED:
            assert 1 <= amount <= 500
            self.credited += amount
            self.standing[agency, op] = amount

    @rule(agency=agencies, account=accounts, op=ops, replaced=ops, amount=st.integers(1, 500))
    def replaces(self, agency: str, account: bytes, op: int, replaced: int, amount: int) -> None:
        update = replacing(1000 + op, replaced, account_id=account, credits=amount, dimension=1 + amount % 4)
        (outcome,) = self.books.apply(agency, update)
        if outcome.kind == log.OUTCOME_KIND_APPLIED:
            self.credited += amount - self.standing.pop((agency, replaced))
            self.standing[agency, 1000 + op] = amount

    @rule(agency=agencies, op=ops, reversed_op=st.one_of(ops, st.integers(1001, 1040)))
    def reverses(self, agency: str, op: int, reversed_op: int) -> None:
        (outcome,) = self.books.apply(agency, reverse(2000 + op, reversed_op))
        if outcome.kind == log.OUTCOME_KIND_APPLIED:
            self.credited -= self.standing.pop((agency, reversed_op)) - outcome.left
            if outcome.left:
                self.standing[agency, 2000 + op] = outcome.left

    @rule(agency=agencies, account=accounts, op=ops, restored=st.one_of(ops, st.integers(1001, 1040)), amount=prices)
    def restores(self, agency: str, account: bytes, op: int, restored: int, amount: int) -> None:
        """Of what the awarder owes nothing is added before it is paid."""
        before = self.books.state.accounts.get(account)
        owed = lots.owed_by(before.owed, agency, op_id(restored)) if before else 0
        update = award(7000 + op, account_id=account, credits=amount, restores=op_id(restored))
        (outcome,) = self.books.apply(agency, update)
        if outcome.kind == log.OUTCOME_KIND_APPLIED:
            assert before is not None
            assert self.books.state.accounts[account].available == before.available + max(0, amount - owed)
            self.credited += amount
            self.standing[agency, 7000 + op] = amount

    @rule(agency=agencies, account=accounts, op=holds, code=st.sampled_from([*KINDS, "none"]), price=prices)
    def reserves(self, agency: str, account: bytes, op: int, code: str, price: int) -> None:
        self.books.apply(agency, reserve(op, code, account_id=account, credits=price))

    @rule(agency=agencies, op=ops, hold=holds, amount=prices)
    def posts(self, agency: str, op: int, hold: int, amount: int) -> None:
        (outcome,) = self.books.apply(agency, post(4000 + op, hold, amount))
        self.spent += amount if outcome == ledger.APPLIED else 0

    @rule(agency=agencies, op=ops, hold=holds)
    def voids(self, agency: str, op: int, hold: int) -> None:
        self.books.apply(agency, void(5000 + op, hold))

    @rule(agency=agencies, of=agencies, op=ops, hold=holds, amount=prices)
    def refunds(self, agency: str, of: str, op: int, hold: int, amount: int) -> None:
        (outcome,) = self.books.apply(agency, refund(6000 + op, hold, amount, of))
        self.spent -= amount if outcome == ledger.APPLIED else 0

    @rule(minutes=st.one_of(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.just(9 * 24 * 60)))
    def time_passes(self, minutes: int) -> None:
        """What has run out is over before anything else applies, as the hub sees to it."""
        self.books.at += minutes * 60_000
        self.books.expire_due()

    @rule(digest=st.sampled_from([b"c", b"d"]))
    def publishes(self, digest: bytes) -> None:
        self.books.publish(digest)

    @rule(back=st.integers(1, 10))
    def comes_again(self, back: int) -> None:
        """Every update of an earlier batch is a duplicate, or was declined for its op_id."""
        entry = self.books.entries[-min(back, len(self.books.entries))]
        if entry.batch.agency != "hub":
            assert ledger.APPLIED not in self.books.apply(entry.batch.agency, *entry.batch.updates)

    @rule()
    def crashes(self) -> None:
        self.books.state = verify.fold_log(self.books.entries, ACTIVATED)

    @invariant()
    def adds_up(self) -> None:
        state = self.books.state
        assert verify.breaches(state) == []
        accounts = state.accounts.values()
        written_off = sum(each.written_off for each in accounts)
        assert sum(each.available + each.held + each.spent for each in accounts) == self.credited + written_off
        assert self.credited == sum(self.standing.values())
        for each in accounts:
            assert each.written_off <= each.spent + each.held, "what is written off is what was spent, or is held"
        for agency, did in state.agencies.items():
            standing = sum(amount for (who, _), amount in self.standing.items() if who == agency)
            assert did.earned == standing
            assert did.spendable_on_day <= POLICY.credits_per_agency_day_max
            assert did.written_off_on_day <= POLICY.write_offs_per_agency_day_max
            assert did.reserved_on_day <= POLICY.reserves_per_agency_day_max
        assert sum(each.spent for each in accounts) == self.spent
        stock = [(offer.benefit.stock, offer.taken) for offer in state.offers.values()]
        assert all(most is None or taken <= most for most, taken in stock)
        for account_id, each in state.accounts.items():
            linked = [who for (who, whose), purposes in state.links.items() if whose == account_id and purposes - {0}]
            assert each.links == len(linked)
            assert (each.closes_on > 0) == (not linked), "an account rests once nobody is linked, and is closed later"

    def teardown(self) -> None:
        again = verify.fold_log(self.books.entries, ACTIVATED)
        assert verify.digest_of(again) == verify.digest_of(self.books.state)


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestAnyOrder = AnyOrder.TestCase


def test_books_that_do_not_add_up_are_told() -> None:
    books = Ledger().opened(ACCOUNT).linked()
    books.apply("mpc", award())
    books.state.accounts[ACCOUNT] = books.state.accounts[ACCOUNT]._replace(available=11)
    assert verify.breaches(books.state) == [f"account {ACCOUNT.hex()} does not conserve"]
    books.state.accounts[ACCOUNT] = books.state.accounts[ACCOUNT]._replace(earned=(11, 0, 0, 0))
    account = f"account {ACCOUNT.hex()} does not conserve"
    assert verify.breaches(books.state) == [account, "accounts hold 11 earned credits, agencies awarded 10"]
    right = books.state.accounts[ACCOUNT]._replace(earned=(10, 0, 0, 0), available=10)
    spent = right._replace(spent=1, written_off=1, owed=(Owed("mpc", 0, 0, op_id(1), 1),))
    books.state.accounts[ACCOUNT] = spent
    assert "accounts show 1 credits written off, agencies 0" in verify.breaches(books.state)
    for wrong in (
        right._replace(lots=(Lot("mpc", 0, 0, 9),)),
        right._replace(lots=(Lot("mpc", 0, 0, -1), Lot("nhco", 0, 0, 11))),
        spent._replace(owed=()),
        right._replace(written_off=1, available=11, lots=(Lot("mpc", 0, 0, 11),), owed=spent.owed),
    ):
        books.state.accounts[ACCOUNT] = wrong
        assert account in verify.breaches(books.state)
