"""Identifiers: forgiving in how they are written, strict in what they are, silent about themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samprasan.keys.errors import Malformed
from samprasan.keys.identifiers import Identifier, Scheme, check_digit, parse

from tests.federation import citizen

GOOD = "1101700203450"


@pytest.mark.parametrize(
    "written",
    [
        GOOD,
        "1-1017-00203-45-0",
        "1 1017 00203 45 0",
        " 1101700203450\n",
        "๑๑๐๑๗๐๐๒๐๓๔๕๐",
        "๑-๑๐๑๗-๐๐๒๐๓-๔๕-๐",
        "1–1017–00203–45–0",
    ],
)
def test_every_usual_way_of_writing_is_the_same_id(written: str) -> None:
    assert parse(Scheme.CITIZEN, written).reveal() == GOOD


@pytest.mark.parametrize(
    ("scheme", "written", "code"),
    [
        (Scheme.CITIZEN, "", "id_missing"),
        (Scheme.CITIZEN, "1.10170E+12", "id_lost_digits"),
        (Scheme.CITIZEN, "๑.๖๙๓๑๓E+๑๒", "id_lost_digits"),
        (Scheme.CITIZEN, "110170020345", "id_length"),
        (Scheme.CITIZEN, "11017002034500", "id_length"),
        (Scheme.CITIZEN, "11017002O3450", "id_characters"),
        (Scheme.CITIZEN, "¹101700203450", "id_characters"),
        (Scheme.CITIZEN, "1101700203451", "id_check_digit"),
        (Scheme.CITIZEN, "0105536000013", "id_first_digit"),
        (Scheme.CITIZEN, "9101700203452", "id_first_digit"),
        (Scheme.JURISTIC, GOOD, "id_first_digit"),
        (Scheme.AREA, "72080", "id_length"),
        (Scheme.AREA, "72080x", "id_characters"),
        (Scheme.REGISTRY, "x" * 65, "id_length"),
    ],
)
def test_what_is_no_id_is_malformed_with_its_own_code(scheme: Scheme, written: str, code: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse(scheme, written, "codi.council")
    assert refused.value.code == code
    assert written == "" or written not in str(refused.value.values)


def test_a_registry_id_needs_its_register() -> None:
    with pytest.raises(Malformed, match="register"):
        parse(Scheme.REGISTRY, "71-09-0005")
    assert parse(Scheme.REGISTRY, " ๗๑-๐๙-๐๐๐๕ ", "codi.council").reveal() == "codi.council/71-09-0005"


@given(st.integers(0, 10**10))
def test_no_text_of_an_identifier_shows_the_id(number: int) -> None:
    identifier = parse(Scheme.CITIZEN, citizen(number))
    shown = f"{identifier} {identifier!r} {[identifier]} { ({'id': identifier}) }"
    assert identifier.reveal() not in shown
    assert shown.startswith("<th-pid id>")


@given(st.text("0123456789", min_size=12, max_size=12), st.integers(1, 9), st.integers(0, 11))
def test_the_check_digit_sees_single_errors_but_for_the_third_digit(twelve: str, change: int, place: int) -> None:
    digits = list(twelve)
    digits[place] = str((int(digits[place]) + change) % 10)
    same = check_digit("".join(digits)) == check_digit(twelve)
    if place == 2:
        assert same, "its weight is 11: why a name is compared at first linking"


def test_public_ids_are_hashed_as_they_are_and_secret_ones_not_at_all() -> None:
    area = parse(Scheme.AREA, "720803")
    assert area.is_public
    assert len(area.public_subject_key()) == 32
    assert area.public_subject_key() != parse(Scheme.AREA, "720804").public_subject_key()
    with pytest.raises(ValueError, match="no public subject key"):
        parse(Scheme.CITIZEN, GOOD).public_subject_key()
    assert Identifier(Scheme.AREA, "720803").domain_bytes() == b"samprasan/v1/th-area/720803"
