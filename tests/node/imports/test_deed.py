"""One row becomes a deed, or says which cell is wrong and why."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samprasan.node.exports import profile as exports_profile
from samprasan.node.imports import deed
from samprasan.node.imports.deed import Rejected

from tests.deeds import HEADER, POLICY, PROFILE, PROFILE_TEXT, ROW, TODAY, read
from tests.federation import citizen


def rejected(**changes: Any) -> tuple[str, str, str]:
    with pytest.raises(Rejected) as problem:
        read(**changes)
    return problem.value.reason, problem.value.field, problem.value.detail


def test_a_good_row_is_a_deed() -> None:
    found = read()
    assert (found.credits, found.dimension, found.policy_version) == (20, 1, 1)
    assert (found.occurred_on, found.quantity, found.area_code) == (date(2026, 11, 13), Decimal("2.5"), "720803")
    assert found.may_leave


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("13/11/2569", date(2026, 11, 13)),
        ("๑๓/๑๑/๒๕๖๙", date(2026, 11, 13)),
        ("13-11-2026", date(2026, 11, 13)),
        ("2026-11-13", date(2026, 11, 13)),
        ("2026-11-13 00:00:00", date(2026, 11, 13)),
        ("2569-11-13", date(2026, 11, 13)),
        ("13 พ.ย. 2569", date(2026, 11, 13)),
        ("๑๓ พฤศจิกายน ๒๕๖๙", date(2026, 11, 13)),
        ("วันที่ 13 พฤศจิกายน พ.ศ. 2569", date(2026, 11, 13)),
        ("13พ.ย.2569", date(2026, 11, 13)),
        ("13-พ.ย.-2569", date(2026, 11, 13)),
        ("13 พ.ย. ค.ศ. 2026", date(2026, 11, 13)),
        ("13 Nov 2026", date(2026, 11, 13)),
        ("13/11/2569 00:00:00", date(2026, 11, 13)),
        ("29/02/2567", date(2024, 2, 29)),
        (date(2026, 11, 13), date(2026, 11, 13)),
        (datetime(2026, 11, 13, 8), date(2026, 11, 13)),  # noqa: DTZ001
        (date(2569, 11, 13), date(2026, 11, 13)),
    ],
)
def test_dates_are_read_as_thais_and_spreadsheets_write_them(written: object, day: date) -> None:
    assert read(D=written).occurred_on == day


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"R": ""}, ("missing_field", "record_id", "cell_empty")),
        ({"R": "x" * 201}, ("missing_field", "record_id", "cell_over_limit")),
        ({"I": None}, ("missing_field", "subject_id", "cell_empty")),
        ({"K": "robot"}, ("missing_field", "subject_kind", "word_unmapped")),
        ({"Y": "maybe"}, ("missing_field", "consent", "word_unmapped")),
        ({"I": "1.10170E+12"}, ("unreadable_id", "subject_id", "id_lost_digits")),
        ({"I": "1101700203451"}, ("invalid_subject_id", "subject_id", "id_check_digit")),
        ({"K": "organization"}, ("invalid_subject_id", "subject_id", "id_first_digit")),
        ({"K": "area", "I": "999999"}, ("invalid_subject_id", "subject_id", "area_unknown")),
        ({"C": "juggling"}, ("unknown_category", "category", "category_unmapped")),
        ({"D": "31/02/2569"}, ("invalid_date", "occurred_on", "date_impossible")),
        ({"D": "13 พ.ค.ย. 2569"}, ("invalid_date", "occurred_on", "date_unreadable")),
        ({"D": "13/11/69"}, ("invalid_date", "occurred_on", "date_two_digits")),
        ({"Q": "=SUM(A1:A3)"}, ("invalid_quantity", "quantity", "formula")),
        ({"Q": "1:75"}, ("invalid_quantity", "quantity", "quantity_unreadable")),
        ({"Q": "0:00"}, ("invalid_quantity", "quantity", "quantity_not_positive")),
        ({"Q": "12:01"}, ("quantity_over_limit", "quantity", "quantity_over_limit")),
        ({"N": "ก" * 1001}, ("missing_field", "subject_name", "cell_over_limit")),
        ({"N": "ก\x00"}, ("missing_field", "subject_name", "cell_nul")),
        ({"R": "R\x001"}, ("missing_field", "record_id", "cell_nul")),
        ({"A": "100205"}, ("unknown_area", "area_code", "area_abolished")),
        ({"A": "", "T": "บางซื่อ", "U": "ดุสิต"}, ("unknown_area", "subdistrict", "area_abolished")),
        ({"A": "720803??"}, ("unknown_area", "area_code", "area_unknown")),
        ({"S": "µÃÇ¨ÊÍºáÅéÇ"}, ("unknown_status", "status", "mistaken_encoding")),
        ({"D": "yesterday"}, ("invalid_date", "occurred_on", "date_unreadable")),
        ({"D": "24/11/2569"}, ("future_date", "occurred_on", "future_date")),
        ({"D": "31/12/2562"}, ("outside_policy", "occurred_on", "outside_policy")),
        ({"Q": "-3"}, ("invalid_quantity", "quantity", "quantity_not_positive")),
        ({"Q": "0"}, ("invalid_quantity", "quantity", "quantity_not_positive")),
        ({"Q": "two"}, ("invalid_quantity", "quantity", "quantity_unreadable")),
        ({"Q": "NaN"}, ("invalid_quantity", "quantity", "quantity_unreadable")),
        ({"Q": "1e3"}, ("invalid_quantity", "quantity", "quantity_unreadable")),
        ({"Q": date(2026, 1, 2)}, ("invalid_quantity", "quantity", "quantity_unreadable")),
        ({"Q": "12.001"}, ("quantity_over_limit", "quantity", "quantity_over_limit")),
        ({"A": "999999"}, ("unknown_area", "area_code", "area_unknown")),
        ({"A": "", "T": "ไม่มีตำบลนี้"}, ("unknown_area", "subdistrict", "area_name_unknown")),
        ({"A": "", "T": "วังทอง"}, ("unknown_area", "subdistrict", "area_name_ambiguous")),
        ({"S": "???"}, ("unknown_status", "status", "word_unmapped")),
    ],
)
def test_a_bad_cell_is_named_with_its_reason(changes: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert rejected(**changes) == expected


def test_an_ambiguous_name_comes_with_its_matches() -> None:
    with pytest.raises(Rejected) as problem:
        read(A="", T="วังทอง")
    assert "650801 ต.วังทอง อ.วังทอง จ.พิษณุโลก" in str(problem.value.values["matches"])
    assert read(A="", T="วังทอง", P="พิษณุโลก").area_code == "650801"


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("1,234.5", None),
        (2.5, 20),
        ("๒.๕", 20),
        ("12", 96),
        (12.0, 96),
        ("0.1", 0),
        ("2:30", 20),
        ("๒:๓๐", 20),
        ("12:00:00", 96),
        (time(2, 30), 20),
        (timedelta(hours=2, minutes=30), 20),
        ('="2.5"', 20),
    ],
)
def test_quantities_are_numbers_in_any_digits(quantity: object, amount: int | None) -> None:
    if amount is None:
        assert rejected(Q=quantity)[0] == "quantity_over_limit"
    else:
        assert read(Q=quantity).credits == amount


@pytest.mark.parametrize("changes", [{"S": "pending"}, {"Y": "no"}, {"Q": "0.1"}])
def test_only_a_verified_consented_deed_worth_something_may_leave(changes: dict[str, Any]) -> None:
    assert not read(**changes).may_leave


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(ROW)), st.one_of(st.text(), st.floats(), st.none(), st.dates())))
def test_whatever_a_cell_holds_the_row_is_a_deed_or_rejected(changes: dict[str, Any]) -> None:
    try:
        found = read(**changes)
    except Rejected as problem:
        assert problem.field in exports_profile.FIELDS  # noqa: PT017
        assert citizen(1) not in str(problem.values)  # noqa: PT017
    else:
        assert found.credits >= 0
        assert "ชื่อสมมติ" not in repr(found)


def with_settings(settings_: str) -> exports_profile.Profile:
    """The profile of these tests with more settings."""
    return exports_profile.read(PROFILE_TEXT.replace('source = "test"', f'source = "test"\n{settings_}'))


@pytest.mark.parametrize(
    ("calendar", "written", "day"),
    [
        ("buddhist", "13/11/69", date(2026, 11, 13)),
        ("buddhist", "13 พ.ย. 69", date(2026, 11, 13)),
        ("gregorian", "13/11/26", date(2026, 11, 13)),
        ("buddhist", "29/02/67", date(2024, 2, 29)),
    ],
)
def test_years_may_have_two_digits_if_the_profile_says_so(calendar: str, written: str, day: date) -> None:
    profile = with_settings(f'calendar = "{calendar}"\nyear_digits = 2')
    assert read(profile, D=written).occurred_on == day


@pytest.mark.parametrize(("minutes", "earned"), [("720", 96), ("20", 2), ("7", 0), ("8", 1), (90.0, 12)])
def test_minutes_are_hours_exactly(minutes: object, earned: int) -> None:
    """At 8 credits an hour 7.5 minutes earn one."""
    assert read(with_settings("quantity_scale = 0.0166667"), Q=minutes).credits == earned


def test_twenty_minutes_at_six_credits_an_hour_are_two() -> None:
    assert read(C="welfare-fund", Q="0:20").credits == 2


def test_a_record_id_made_from_an_id_is_only_shown_as_a_hash() -> None:
    profile = exports_profile.read(PROFILE_TEXT.replace('record_id = "R"', 'record_id = ["R", "I"]'))
    found = read(profile)
    assert found.record_id == f"#{len('R1/') + 13}"
    with pytest.raises(Rejected) as problem:
        read(profile, R="")
    assert problem.value.field == "record_id"


def test_every_field_may_have_words_and_defaults() -> None:
    text = PROFILE_TEXT + '[values.area_code]\n"สามชุก" = "720803"\n[values.quantity]\n"ครึ่งวัน" = "4"\n'
    profile = exports_profile.read(
        text + '[defaults]\nconsent = "yes"\nconsent_publish = "yes"\noccurred_on = "13/11/2569"\n'
    )
    found = read(profile, A="สามชุก", Q="ครึ่งวัน", Y="", D=None)
    assert (found.area_code, found.credits, found.occurred_on) == ("720803", 32, date(2026, 11, 13))
    assert (found.consents.share, found.consents.integrators, found.consents.publish) == (True, False, True)


def test_a_row_longer_than_its_header_is_no_guess() -> None:
    reader = deed.Reader(PROFILE, HEADER, [POLICY], TODAY, keyed_hash=str)
    row = [ROW.get(column) for column in HEADER]
    assert reader.deed([*row, None, ""]).credits == 20
    with pytest.raises(Rejected) as problem:
        reader.deed([*row, "x"])
    assert problem.value.detail == "row_longer"


def test_a_composed_record_id_is_one_however_its_parts_are_written() -> None:
    profile = exports_profile.read(PROFILE_TEXT.replace('record_id = "R"', 'record_id = ["I", "D"]'))
    dashed = "-".join((citizen(1)[0], citizen(1)[1:5], citizen(1)[5:10], citizen(1)[10:12], citizen(1)[12]))

    def record_id(**changes: Any) -> str:
        reader = deed.Reader(profile, HEADER, [POLICY], TODAY, keyed_hash=lambda text: text)
        row = ROW | changes
        return reader.deed([row.get(column) for column in HEADER]).record_id

    first = record_id(D="01/10/2569")
    assert first == f"{citizen(1)}/2026-10-01"
    assert record_id(D="1/10/2569", I=dashed) == record_id(D=date(2026, 10, 1)) == first


def test_a_code_that_a_spreadsheet_made_a_number_is_an_area() -> None:
    assert read(A="720803.0").area_code == read(A=720803.0).area_code == "720803"


def test_a_number_beyond_all_sense_is_over_the_limit_in_minutes_too() -> None:
    assert rejected_by(with_settings("quantity_scale = 0.0166667"), Q="1234567890123456789012") == "quantity_over_limit"


def rejected_by(profile: exports_profile.Profile, **changes: Any) -> str:
    with pytest.raises(Rejected) as problem:
        read(profile, **changes)
    return problem.value.reason
