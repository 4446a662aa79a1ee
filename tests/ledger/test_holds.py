"""Holds: set aside together or not at all, ended once, and every refusal with its own reason."""

from typing import Any

import pytest
from samprasan.keys.errors import Malformed
from samprasan.ledger import batch_form, benefits, calendar, holds, ledger, verify
from samprasan.ledger.state import Totals
from samprasan.v1 import documents_pb2 as documents
from samprasan.v1 import log_pb2 as log

from tests.ledger.books import (
    ACCOUNT,
    CATALOGUE,
    HOUR_MS,
    NOW,
    OTHER,
    Ledger,
    admitted,
    award,
    benefit,
    declined,
    expire,
    link,
    op_id,
    post,
    refund,
    reserve,
    unlink,
    void,
)

APPLIED = ledger.APPLIED
FILE = """
[[benefit]]
code = "rice-5kg"
title = { th = "ข้าวสาร 5 กก.", en = "Rice, 5 kg" }
credits = 40
stock = 100
per_subject_max = 2
period = "month"
kinds = ["person", "community"]
dimensions = ["environment", "social"]
areas = ["7208", "71"]
valid_from = 2026-10-01
valid_until = 2027-09-30
"""


def books_with(credits_: int = 30) -> Ledger:
    books = Ledger().opened(ACCOUNT, OTHER).linked().linked("nhco").linked(account_id=OTHER)
    assert books.apply("mpc", award(1, credits=credits_)) == [APPLIED]
    return books


def of(books: Ledger) -> tuple[int, int, int]:
    """Available, held, spent."""
    assert verify.breaches(books.state) == []
    found: Totals = books.state.accounts[ACCOUNT]
    return found.available, found.held, found.spent


def state_of(books: Ledger, hold: int = 100) -> str:
    return log.HoldState.Name(books.state.holds["mpc", op_id(hold)].state).removeprefix("HOLD_STATE_").lower()


def test_credits_and_stock_are_set_aside_then_spent_and_the_rest_comes_back() -> None:
    books = books_with()
    assert books.apply("mpc", reserve(100, "few")) == [APPLIED]
    assert of(books) == (20, 10, 0)
    assert books.state.offers["codi", "few"].taken == 1
    assert books.apply("mpc", post(101, 100, 7)) == [APPLIED]
    assert of(books) == (23, 0, 7)
    assert (state_of(books), books.state.agencies["mpc"].spent) == ("posted", 7)


def test_a_voided_and_an_expired_hold_leave_everything_as_it_was() -> None:
    books = books_with()
    assert books.apply("mpc", reserve(100, "few"), void(101, 100)) == [APPLIED, APPLIED]
    assert books.apply("mpc", reserve(102, "few")) == [APPLIED]
    books.at += 600_000
    assert books.apply("hub", expire(102)) == [APPLIED]
    assert of(books) == (30, 0, 0)
    assert (state_of(books), state_of(books, 102)) == ("voided", "expired")
    assert books.state.offers["codi", "few"].taken == 0


@pytest.mark.parametrize("part", [10, 4])
def test_what_was_spent_is_given_back_once_by_who_reserved_or_the_benefits_owner(part: int) -> None:
    for agency in ("mpc", "codi"):
        books = books_with()
        books.apply("mpc", reserve(100, "once"), post(101, 100))
        assert books.apply(agency, refund(102, 100, part)) == [APPLIED]
        assert of(books) == (20 + part, 0, 10 - part)
        assert books.state.agencies["mpc"].spent == 10 - part
        again = books.apply("mpc", refund(103, 100, 1))
        assert again == [declined(log.DECLINE_REASON_HOLD_ENDED)]
        may_again = books.apply("mpc", reserve(104, "once"))
        assert may_again == [APPLIED if part == 10 else declined(log.DECLINE_REASON_CAP_REACHED)]


@pytest.mark.parametrize(
    ("code", "changes", "reason"),
    [
        ("any", {"account_id": b"x" * 16}, log.DECLINE_REASON_NOT_LINKED),
        ("any", {"credits": 0}, log.DECLINE_REASON_CREDITS_NOT_POSITIVE),
        ("any", {"credits": -10}, log.DECLINE_REASON_CREDITS_NOT_POSITIVE),
        ("any", {"credits": 9}, log.DECLINE_REASON_PRICE_DIFFERS),
        ("any", {"credits": 11}, log.DECLINE_REASON_PRICE_DIFFERS),
        ("any", {"account_id": OTHER}, log.DECLINE_REASON_INSUFFICIENT_CREDITS),
        ("none", {}, log.DECLINE_REASON_BENEFIT_UNKNOWN),
        ("any", {"benefit_agency": "mpc"}, log.DECLINE_REASON_BENEFIT_UNKNOWN),
        ("any", {"benefit_digest": bytes(32)}, log.DECLINE_REASON_BENEFIT_CHANGED),
        ("past", {}, log.DECLINE_REASON_BENEFIT_EXPIRED),
        ("soon", {}, log.DECLINE_REASON_BENEFIT_EXPIRED),
        ("firms", {}, log.DECLINE_REASON_NOT_ELIGIBLE),
        ("green", {}, log.DECLINE_REASON_NOT_ELIGIBLE),
        ("any", {"ttl_seconds": 0}, log.DECLINE_REASON_TTL_INVALID),
        ("any", {"ttl_seconds": 3_601}, log.DECLINE_REASON_TTL_INVALID),
    ],
)
def test_what_cannot_be_reserved_is_declined_and_changes_nothing(code: str, changes: Any, reason: Any) -> None:
    books = books_with()
    assert books.apply("mpc", reserve(100, code, **changes)) == [declined(reason)]
    assert of(books) == (30, 0, 0)
    assert books.apply("mpc", reserve(100, code, **changes)) == [
        log.Outcome(kind=log.OUTCOME_KIND_DUPLICATE, reason=reason)
    ]


def test_without_ones_own_link_to_redeem_nothing_is_reserved() -> None:
    books = Ledger().opened(ACCOUNT).linked("mpc", purposes=(1, 3)).linked("nhco")
    books.apply("mpc", award(1))
    for agency in ("mpc", "codi"):
        assert books.apply(agency, reserve(100)) == [declined(log.DECLINE_REASON_NOT_LINKED)]
    assert books.apply("nhco", reserve(100)) == [APPLIED]


def test_the_last_piece_is_given_once_and_one_given_back_is_there_again() -> None:
    books = books_with(50)
    asked = [reserve(100 + each, "few") for each in range(3)]
    assert books.apply("mpc", *asked) == [APPLIED, APPLIED, declined(log.DECLINE_REASON_SOLD_OUT)]
    assert books.apply("mpc", void(200, 100), reserve(201, "few")) == [APPLIED, APPLIED]
    assert books.apply("mpc", post(202, 101), post(203, 201), refund(204, 101)) == [APPLIED] * 3
    assert books.apply("nhco", reserve(205, "few")) == [APPLIED]


def test_a_subjects_share_of_a_period_is_counted_over_all_agencies_and_ends_with_it() -> None:
    books = books_with()
    assert books.apply("mpc", reserve(100, "once")) == [APPLIED]
    assert books.apply("nhco", reserve(100, "once")) == [declined(log.DECLINE_REASON_CAP_REACHED)]
    books.at += 30 * 24 * HOUR_MS
    books.expire_due()
    assert books.apply("nhco", reserve(101, "once")) == [APPLIED]


def test_credits_that_are_held_cannot_be_spent_a_second_time() -> None:
    books = books_with(15)
    assert books.apply("mpc", reserve(100)) == [APPLIED]
    assert books.apply("nhco", reserve(100)) == [declined(log.DECLINE_REASON_INSUFFICIENT_CREDITS)]
    assert books.apply("mpc", void(101, 100)) == [APPLIED]
    assert books.apply("nhco", reserve(102)) == [APPLIED]


@pytest.mark.parametrize(
    ("before", "then", "reason"),
    [
        ([], post(300, 100), log.DECLINE_REASON_HOLD_UNKNOWN),
        ([], void(300, 100), log.DECLINE_REASON_HOLD_UNKNOWN),
        ([], refund(300, 100), log.DECLINE_REASON_HOLD_UNKNOWN),
        ([reserve(100)], post(300, 100, 0), log.DECLINE_REASON_CREDITS_NOT_POSITIVE),
        ([reserve(100)], post(300, 100, -1), log.DECLINE_REASON_CREDITS_NOT_POSITIVE),
        ([reserve(100)], post(300, 100, 11), log.DECLINE_REASON_CREDITS_OVER_CAP),
        ([reserve(100)], refund(300, 100), log.DECLINE_REASON_HOLD_OPEN),
        ([reserve(100)], unlink(300), log.DECLINE_REASON_HOLD_OPEN),
        ([reserve(100), post(101, 100)], post(300, 100), log.DECLINE_REASON_HOLD_ENDED),
        ([reserve(100), post(101, 100)], void(300, 100), log.DECLINE_REASON_HOLD_ENDED),
        ([reserve(100), post(101, 100)], refund(300, 100, 11), log.DECLINE_REASON_CREDITS_OVER_CAP),
        ([reserve(100), post(101, 100, 6)], refund(300, 100, 7), log.DECLINE_REASON_CREDITS_OVER_CAP),
        ([reserve(100), post(101, 100)], refund(300, 100, 0), log.DECLINE_REASON_CREDITS_NOT_POSITIVE),
        ([reserve(100), void(101, 100)], post(300, 100), log.DECLINE_REASON_HOLD_ENDED),
        ([reserve(100), void(101, 100)], refund(300, 100), log.DECLINE_REASON_HOLD_ENDED),
        ([reserve(100), post(101, 100), refund(102, 100, 1)], refund(300, 100, 1), log.DECLINE_REASON_HOLD_ENDED),
        ([reserve(100), post(101, 100), unlink(102)], refund(300, 100), log.DECLINE_REASON_NOT_LINKED),
    ],
)
def test_a_hold_ends_once_and_as_it_may(before: list[log.Update], then: log.Update, reason: Any) -> None:
    books = books_with()
    assert books.apply("mpc", *before) == [APPLIED] * len(before)
    balance = of(books)
    assert books.apply("mpc", then) == [declined(reason)]
    assert of(books) == balance


def test_another_agencys_hold_is_not_ones_own() -> None:
    books = books_with()
    books.apply("mpc", reserve(100), reserve(101), post(102, 101))
    for update in (post(300, 100), void(301, 100), refund(302, 101)):
        assert books.apply("nhco", update) == [declined(log.DECLINE_REASON_HOLD_UNKNOWN)]
    assert of(books) == (10, 10, 10)


def test_what_is_nobodys_any_more_is_not_refunded() -> None:
    books = Ledger().opened(ACCOUNT).linked()
    books.apply("mpc", award(1, credits=30), reserve(100), post(101, 100), unlink(102))
    assert books.apply("codi", refund(103, 100)) == [declined(log.DECLINE_REASON_ACCOUNT_CLOSED)]


@pytest.mark.parametrize("late", [0, 1, HOUR_MS])
def test_a_hold_is_over_at_its_deadline_whether_or_not_the_hub_has_said_so(late: int) -> None:
    books = books_with()
    books.apply("mpc", reserve(100, ttl_seconds=60))
    books.at = NOW + 60_000 - 1
    assert books.apply("hub", expire(100)) == [declined(log.DECLINE_REASON_HOLD_OPEN)]
    books.at = NOW + 60_000 + late
    assert books.apply("mpc", post(101, 100), void(102, 100)) == [declined(log.DECLINE_REASON_HOLD_ENDED)] * 2
    assert books.apply("hub", expire(100), expire(100), expire(7)) == [
        APPLIED,
        declined(log.DECLINE_REASON_HOLD_ENDED),
        declined(log.DECLINE_REASON_HOLD_UNKNOWN),
    ]
    assert of(books) == (30, 0, 0)


def test_a_later_catalogue_changes_terms_and_withdraws_what_it_does_not_name() -> None:
    books = books_with()
    books.apply("mpc", reserve(100, "few"), reserve(101, "once"))
    books.publish(b"d")
    assert books.apply("mpc", reserve(102)) == [declined(log.DECLINE_REASON_BENEFIT_CHANGED)]
    assert books.apply("mpc", reserve(103, "once")) == [declined(log.DECLINE_REASON_BENEFIT_EXPIRED)]
    assert books.state.offers["codi", "few"].taken == 1, "what was given stays counted"
    assert books.apply("mpc", post(104, 100), post(105, 101)) == [APPLIED, APPLIED]
    books.publish(b"c")
    assert books.apply("mpc", reserve(106, "once")) == [declined(log.DECLINE_REASON_CAP_REACHED)]


def test_a_redemption_counts_as_a_use_of_the_account() -> None:
    books = books_with()
    books.state.key_epochs = frozenset({1})
    books.apply("hub", admitted("codi", ACCOUNT, b"f" * 16, key_epoch=1))
    books.apply("codi", link(ACCOUNT, (1, 2), 90, b"f" * 16))
    assert books.state.agencies["codi"].used == 0
    books.apply("codi", reserve(100))
    assert books.state.agencies["codi"].used == 1


def test_holds_that_do_not_add_up_are_told() -> None:
    books = books_with()
    books.apply("mpc", reserve(100, "few"))
    offer = books.state.offers["codi", "few"]
    books.state.offers["codi", "few"] = offer._replace(taken=0)
    assert verify.breaches(books.state) == ["holds do not add up to what offers say"]
    books.state.offers["codi", "few"] = offer
    books.state.holding["mpc", ACCOUNT] = 2
    assert verify.breaches(books.state) == ["holds do not add up to what open holds say"]


def read(text: str) -> documents.Catalogue:
    return benefits.from_toml(text, "codi", bytes(16), 1, 1, 2)


def test_a_catalogue_file_says_everything_about_a_benefit() -> None:
    (found,) = benefits.from_document(read(FILE)).benefits.values()
    assert (found.code, found.credits, found.stock, found.per_subject_max) == ("rice-5kg", 40, 100, 2)
    assert (found.kinds, found.dimensions, found.areas) == (frozenset({1, 3}), frozenset({3, 4}), ("71", "7208"))
    assert (found.covers("720803"), found.covers("730101")) == (True, False)
    assert (found.valid_from.isoformat(), found.valid_until.isoformat()) == ("2026-10-01", "2027-09-30")
    plain = "\n".join(line for line in FILE.splitlines() if line.split(" ")[0] not in {"stock", "areas", "kinds"})
    (found,) = benefits.from_document(read(plain)).benefits.values()
    assert (found.stock, found.areas, found.kinds) == (None, (), frozenset())
    assert found.covers("")


@pytest.mark.parametrize(
    ("old", "new", "code", "key"),
    [
        ("credits = 40", "", "entry_missing", "credits"),
        ("credits = 40", "credits = 40\nprice = 3", "entry_unknown", "price"),
        ("credits = 40", "credits = 0", "entry_value", "credits"),
        ("credits = 40", "credits = -1", "entry_value", "credits"),
        ("credits = 40", 'credits = "40"', "entry_value", "credits"),
        ("stock = 100", "stock = 1.5", "entry_value", "stock"),
        ("stock = 100", "stock = -1", "entry_value", "stock"),
        ('period = "month"', 'period = "week"', "entry_value", "period"),
        ('kinds = ["person"', 'kinds = ["cat"', "entry_value", "kinds"),
        ('kinds = ["person", "community"]', 'kinds = "person"', "entry_value", "kinds"),
        ('dimensions = ["environment"', 'dimensions = ["wealth"', "entry_value", "dimensions"),
        ('areas = ["7208"', 'areas = ["720"', "entry_value", "areas"),
        ('areas = ["7208"', 'areas = ["๗๒"', "entry_value", "areas"),
        ("valid_until = 2027-09-30", "valid_until = 2026-09-30", "entry_value", "valid_until"),
        ("valid_from = 2026-10-01", 'valid_from = "2026-10-01"', "entry_value", "valid_from"),
        ('code = "rice-5kg"', 'code = "Rice 5"', "entry_value", "code"),
        ('en = "Rice, 5 kg"', 'en = ""', "entry_value", "title"),
        ("[[benefit]]", "[benefit]", "entry_value", "benefit"),
        ("[[benefit]]", "[[benefit", "toml", ""),
        ("[[benefit]]", "[[offer]]", "entry_missing", "benefit"),
    ],
)
def test_a_catalogue_file_with_a_mistake_is_refused_naming_it(old: str, new: str, code: str, key: str) -> None:
    assert old in FILE
    with pytest.raises(Malformed) as refused:
        read(FILE.replace(old, new, 1))
    assert refused.value.code == code
    assert key in str(refused.value.values.get("key", ""))


def test_one_code_twice_is_refused() -> None:
    with pytest.raises(Malformed):
        read(FILE + FILE)


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "Rice"},
        {"credits": 0},
        {"period": 0},
        {"period": 9},
        {"kinds": [2, 1]},
        {"kinds": [1, 1]},
        {"kinds": [7]},
        {"dimensions": [0]},
        {"areas": ["720"]},
        {"areas": ["72", "71"]},
        {"valid_from": 20261340},
        {"valid_from": 20280101},
    ],
)
def test_a_benefit_in_a_document_that_cannot_be_is_malformed(changes: Any) -> None:
    with pytest.raises(Malformed):
        benefit(**({"code": "rice"} | changes))


def test_periods_of_bangkok_and_the_fiscal_year() -> None:
    day = calendar.unpacked(20261001)
    found = [benefit("x", period=period).period_of(day) for period in range(1, 5)]
    assert found == [0, 20261001, 202610, 2027]
    assert CATALOGUE.benefits["once"].period_of(day) == 202610


def test_an_agency_has_so_many_open_holds_on_an_account_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "OPEN_HOLDS_MAX", 2)
    books = books_with(100)
    asked = [reserve(100 + each) for each in range(3)]
    assert books.apply("mpc", *asked) == [APPLIED, APPLIED, declined(log.DECLINE_REASON_CAP_REACHED)]
    assert books.apply("mpc", void(200, 100), reserve(103)) == [APPLIED, APPLIED]
    assert books.apply("nhco", reserve(104)) == [APPLIED]


@pytest.mark.parametrize(
    ("update", "reads"),
    [
        (reserve(1), True),
        (reserve(1, benefit_agency="a\0b"), False),
        (reserve(1, benefit_agency="hub"), False),
        (reserve(1, benefit_agency="codi" * 5), False),
        (reserve(1, benefit="ก"), False),
        (reserve(1, benefit="a\0"), False),
        (reserve(1, benefit=""), False),
        (reserve(1, benefit="a" * 65), False),
        (reserve(1, benefit_digest=b"short"), False),
        (reserve(1, account_id=b"short"), False),
        (refund(1, 2), True),
        (refund(1, 2, agency="a\0b"), False),
        (refund(1, 2, agency=""), False),
        (log.Update(op_id=op_id(1), refund=log.Refund(agency="mpc", hold_id=op_id(2), credits=1)), False),
        (log.Update(op_id=op_id(1), void=log.Void(hold_id=op_id(2), reason=9)), False),  # type: ignore[arg-type]
        (log.Update(op_id=op_id(1), void=log.Void(hold_id=b"2", reason=log.VOID_REASON_CANCELLED)), False),
        (log.Update(op_id=op_id(1), post=log.Post(hold_id=b"2", credits=1)), False),
        (post(1, 2), True),
        (void(1, 2), True),
        (expire(2), False),
    ],
)
def test_a_batch_with_a_hold_update_that_cannot_be_read_is_refused_as_a_whole(update: log.Update, reads: bool) -> None:
    batch = log.Batch(federation_id=bytes(16), agency="mpc", seq=1, previous=bytes(32), updates=[update])
    refusal = batch_form.check(batch, 100, bytes(16), "mpc")
    assert refusal == (None if reads else log.REFUSAL_REASON_UNREADABLE_FIELD)
