"""Exports: every usual file is read; one that cannot be is refused whole, in words."""

from pathlib import Path

import pytest
from samprasan.keys.errors import Malformed, Refused, SamprasanError
from samprasan.node import exports, profiles
from samprasan.node.cells import text_of
from samprasan.node.profiles import Profile

PROFILE = Profile(source="test", columns={"quantity": "จำนวน"}, record_columns=("รหัส",))
TEXT = "รหัส,จำนวน\nR1,๒\n\nR2,3\n"


def rows(path: Path, profile: Profile = PROFILE) -> list[tuple[int, str]]:
    return [(number, text_of(row[0])) for number, row in exports.read(path, profile).rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp874", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encoding_and_delimiter_are_found(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(TEXT.replace(",", delimiter).encode(encoding))
    assert rows(path) == [(2, "R1"), (4, "R2")]


def test_a_spreadsheet_with_title_rows(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["หัวเรื่อง"], [], ["รหัส", "จำนวน"], ["R1", 2], [123, 2.5]):
        sheet.append(row)
    book.save(tmp_path / "export.xlsx")
    profile = Profile(source="test", columns=PROFILE.columns, record_columns=("รหัส",), header_rows=(3,))
    assert rows(tmp_path / "export.xlsx", profile) == [(4, "R1"), (5, "123")]


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.csv", b"", "file_empty"),
        ("a.csv", b"\x00\x01\x02", "file_unreadable"),
        ("a.csv", b"\xff\xdb\xfc\xfe,\xff", "encoding_unknown"),
        ("a.csv", 'รหัส,จำนวน\n"R1,2'.encode(), "quote_open"),
        ("a.csv", b"other,columns\n1,2\n", "columns_missing"),
        ("a.xlsx", b"%PDF-1.7 not a spreadsheet", "file_other"),
        ("a.xlsx", b"", "file_empty"),
        ("a.xls", b"<html><table><tr><td>1", "file_other"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(tmp_path: Path, name: str, data: bytes, code: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Malformed) as refused:
        rows(tmp_path / name)
    assert refused.value.code == code
    assert refused.value.hint("th")


def test_missing_columns_are_listed_with_those_found(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("รหัส,ปริมาณ\n1,2\n", "utf-8")
    with pytest.raises(Malformed, match=r"lacks the columns จำนวน. It has: รหัส, ปริมาณ"):
        rows(tmp_path / "a.csv")


def test_no_file_and_no_such_sheet(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        rows(tmp_path / "none.csv")


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
    profiles.read(GOOD)
    with pytest.raises(SamprasanError) as refused:
        profiles.read(GOOD.replace(before, after, 1))
    assert says in str(refused.value)
