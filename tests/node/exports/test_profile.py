"""Import profiles: every key is read, every mistake is named."""

from fractions import Fraction

import pytest
from samprasan.keys.errors import SamprasanError
from samprasan.node.exports import profile

GOOD = """
record = "deed"
source = "s"
[columns]
record_id = "R"
subject_id = "I"
category = "C"
quantity = "Q"
occurred_on = "D"
area_code = "A"
[defaults]
subject_kind = "person"
status = "verified"
consent = "yes"
"""


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('source = "s"', 'source = "s"\nheader_row = 2\nheader_rows = [1, 2]', "header_rows"),
        ('source = "s"', 'source = "s"\nheader_rows = [2, 1]', "header_rows"),
        ('source = "s"', 'source = "s"\nskip_rows = "รวม"', "skip_rows"),
        ('source = "s"', 'source = "s"\nyear_digits = 3', "year_digits"),
        ('source = "s"', 'source = "s"\nyear_digits = 2', "calendar"),
        ('source = "s"', 'source = "s"\nquantity_scale = 0', "quantity_scale"),
        ('source = "s"', 'source = "s"\ndelimiter = "ab"', "delimiter"),
        ('quantity = "Q"', 'quantity = ["Q", "P"]', "columns.quantity"),
        ('quantity = "Q"', 'quantity = ""', "columns.quantity"),
        ('source = "s"', 'source = "s"\nencoding = "hex"', "encoding"),
        ('record_id = "R"', "", "record_id"),
        ('consent = "yes"', 'consent = "yes"\nconsent_publish = "perhaps"', "values.consent_publish"),
        ('source = "s"', 'source = "s"\ncalender = "buddhist"', "calender"),
        ('record_id = "R"', 'recrod_id = "R"', "columns.recrod_id"),
        ('category = "C"', "", "category"),
        ('record_id = "R"', "record_id = 1", "columns.record_id"),
        ('area_code = "A"', "", "area_code"),
        ('status = "verified"', 'status = "fine"', "values.status"),
        ('record = "deed"', 'record = "benefit"', "record"),
        ('source = "s"', "source = 1", "source"),
        ('source = "s"', 'source = "s"\nheader_row = 0', "header_row"),
        ('source = "s"', 'source = "s"\ncalendar = "lunar"', "calendar"),
        ('record_id = "R"', 'record_id = "R"\nrecord_id = "S"', "no TOML"),
    ],
)
def test_a_faulty_profile_is_refused_and_the_key_is_named(before: str, after: str, says: str) -> None:
    profile.read(GOOD)
    with pytest.raises(SamprasanError) as refused:
        profile.read(GOOD.replace(before, after, 1))
    assert says in str(refused.value)


def test_the_keys_that_have_a_default() -> None:
    found = profile.read(GOOD)
    assert (found.header_rows, found.year_digits, found.quantity_scale) == ((1,), 4, Fraction(1))
    assert found.skip_rows == frozenset()
    assert not found.record_id_is_personal


@pytest.mark.parametrize(
    ("written", "scale"), [("0.0166667", Fraction(1, 60)), ("0.5", Fraction(1, 2)), ("1000", Fraction(1000))]
)
def test_a_scale_is_the_nearest_simple_fraction(written: str, scale: Fraction) -> None:
    text = GOOD.replace('source = "s"', f'source = "s"\nquantity_scale = {written}')
    assert profile.read(text).quantity_scale == scale


def test_a_record_id_may_have_several_columns_and_is_personal_with_an_id_among_them() -> None:
    found = profile.read(GOOD.replace('record_id = "R"', 'record_id = ["R", "I"]'))
    assert (found.record_columns, found.record_id_is_personal) == (("R", "I"), True)
    assert found.column_of("record_id") == "R + I"
    assert found.named == ["R", "I", "C", "Q", "D", "A"]
