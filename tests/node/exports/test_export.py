"""Exports: every usual file is read; one that cannot be is refused whole, in words."""

import random
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from samprasan.keys.errors import Malformed, Refused, SamprasanError
from samprasan.node.exports import export as exports_export
from samprasan.node.exports import spreadsheets
from samprasan.node.exports.cells import text_of
from samprasan.node.exports.profile import Profile
from samprasan.node.exports.rows import BrokenRow

from tests.old_spreadsheet import xls
from tests.spreadsheets import PROFILE, ods

TEXT = "รหัส,จำนวน\nR1,๒\n\nR2,3\n"


def rows(path: Path, profile: Profile = PROFILE) -> list[tuple[int, str]]:
    return [(number, text_of(row[0])) for number, row in exports_export.read(path, profile).rows]


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


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


MIXED = "รหัส,จำนวน\r\nR1,1\nR2,2\rR3,3\r\n".encode()


def test_line_ends_may_be_mixed(tmp_path: Path) -> None:
    assert rows(written(tmp_path / "a.csv", MIXED)) == [(2, "R1"), (3, "R2"), (4, "R3")]


def test_a_line_end_inside_quotes_belongs_to_the_cell(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'รหัส,จำนวน\n"R\n1",1\nR2,2\n'.encode())
    assert rows(path) == [(2, "R\n1"), (3, "R2")]


def test_a_row_with_stray_quotes_is_broken_and_the_next_one_goes_on(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'รหัส,จำนวน\n"R"1,1\nR2,2\n'.encode())
    found = list(exports_export.read(path, PROFILE).rows)
    assert found[0] == (2, BrokenRow("row_quotes"))
    assert found[1] == (3, ["R2", "2"])


def test_a_cell_of_ten_megabytes_is_one_rows_matter_and_one_of_twenty_is_refused(tmp_path: Path) -> None:
    big = "x" * (10 << 20)
    path = written(tmp_path / "a.csv", f"รหัส,จำนวน\nR1,{big}\nR2,2\n".encode())
    assert [number for number, _ in rows(path)] == [2, 3]
    path = written(tmp_path / "b.csv", f"รหัส,จำนวน\nR1,{big}{big}\nR2,2\n".encode())
    assert refusal(path) == "line_over_limit"


@pytest.mark.parametrize(("columns", "code"), [(1000, ""), (1001, "columns_over_limit"), (10**6, "columns_over_limit")])
def test_a_thousand_columns_are_read_and_no_more(tmp_path: Path, columns: int, code: str) -> None:
    header = ",".join(["รหัส", "จำนวน", *(f"c{number}" for number in range(columns - 2))])
    path = written(tmp_path / "a.csv", f"{header}\nR1,1\n".encode())
    assert refusal(path) == code


@pytest.mark.parametrize(
    ("written_as", "read_as", "spoilt"),
    [("cp874", "cp1252", "cp874 read as cp1252"), ("utf-8", "cp874", "UTF-8 read as cp874")],
)
def test_a_spoilt_file_is_told_which_encoding_was_taken_for_which(
    tmp_path: Path, written_as: str, read_as: str, spoilt: str
) -> None:
    header = "".join(bytes([byte]).decode(read_as, "ignore") or chr(byte) for byte in "รหัส,จำนวน".encode(written_as))
    path = written(tmp_path / "a.csv", f"{header}\nR1,1\n".encode())
    with pytest.raises(Malformed) as refused:
        rows(path)
    assert (refused.value.code, refused.value.values["how"]) == ("encoding_mistaken", spoilt)


def test_one_bad_byte_late_in_a_utf_8_file_makes_it_no_cp874(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", TEXT.encode() + b"R\xff\xdb,1\n")
    assert refusal(path) in {"encoding_unknown", "encoding_mistaken"}


def test_a_column_that_stands_twice_is_refused_if_the_profile_means_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "รหัส,จำนวน,x,x\nR1,1,2,3\n".encode())
    assert refusal(path) == ""
    path = written(tmp_path / "b.csv", "รหัส,จำนวน,จำนวน\nR1,1,2\n".encode())
    assert refusal(path) == "column_twice"


def test_header_rows_are_joined_and_sum_rows_skipped(tmp_path: Path) -> None:
    profile = Profile(
        source="test",
        columns={"quantity": "ผู้เข้าร่วม/เวลา"},
        record_columns=("กิจกรรม/รหัส",),
        header_rows=(2, 3),
        skip_rows=frozenset({"รวม"}),
    )
    text = "บัญชี\nกิจกรรม,,ผู้เข้าร่วม,\nรหัส,วันที่,ชื่อ,เวลา\nA1,x,y,2:00\nรวม,,,2\n"
    path = written(tmp_path / "a.csv", text.encode())
    export = exports_export.read(path, profile)
    assert export.header == ["กิจกรรม/รหัส", "กิจกรรม/วันที่", "ผู้เข้าร่วม/ชื่อ", "ผู้เข้าร่วม/เวลา"]
    assert [number for number, _ in export.rows] == [4]


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", TEXT.encode())
    export = exports_export.read(path, PROFILE)
    export.recheck()
    next(export.rows)
    with path.open("a") as file:
        file.write("R3,4\n")
    with pytest.raises(Refused) as refused:
        export.recheck()
    assert refused.value.code == "file_changed"


@pytest.mark.parametrize("suffix", [".xlsx", ".ods", ".xls", ".csv"])
def test_spreadsheets_of_every_kind_are_known_by_their_first_bytes(tmp_path: Path, suffix: str) -> None:
    """An .ods made by hand, an .xls that python-calamine's own tests would know; names do not matter."""
    make: Callable[[list[list[Any]]], bytes] = {".ods": ods, ".xls": xls}.get(suffix, xlsx)
    data = make([["รหัส", "จำนวน"], ["R1", "2"]])
    path = written(tmp_path / f"export{suffix}", data)
    assert rows(path) == [(2, "R1")]


def test_a_zip_bomb_named_xlsx_is_refused_without_unpacking_it(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/worksheets/s.xml", "w") as sheet:
        for _ in range(64):
            sheet.write(bytes(1 << 20))
    assert path.stat().st_size < 100_000
    assert refusal(path) == "file_bomb"


def test_an_ods_that_repeats_itself_a_million_times_is_refused_unless_there_is_nothing_in_it(tmp_path: Path) -> None:
    def repeated(cell: str) -> Path:
        row = f'<table:table-row table:number-rows-repeated="1048570">{cell}</table:table-row>'
        return written(tmp_path / "a.ods", ods([["รหัส", "จำนวน"], ["R1", "1"]], extra=row))

    wide = '<table:table-cell table:number-columns-repeated="16384"'
    assert refusal(repeated(f'{wide} office:value-type="string"><text:p>x</text:p></table:table-cell>')) == "file_bomb"
    assert rows(repeated(f"{wide}/>")) == [(2, "R1")]


def test_a_cell_at_the_far_end_of_a_sheet_costs_no_memory(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["รหัส", "จำนวน"])
    sheet.append(["R1", 1])
    sheet["XFD50000"] = "x"
    book.save(tmp_path / "a.xlsx")
    found = list(exports_export.read(tmp_path / "a.xlsx", PROFILE).rows)
    assert found[0] == (2, ["R1", 1])


def test_a_large_workbook_is_streamed_and_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table: list[list[Any]] = [
        ["รหัส", "จำนวน", "วันที่"],
        *([f"R{n}", n, date(2026, 1, 1 + n % 28)] for n in range(300)),
    ]
    path = written(tmp_path / "a.xlsx", xlsx(table))
    whole = list(exports_export.read(path, PROFILE).rows)
    monkeypatch.setattr(spreadsheets, "WHOLE_BYTES_MAX", 1000)
    export = exports_export.read(path, PROFILE)
    assert list(export.rows) == whole
    assert export.count == 301


def test_a_byte_order_mark_is_no_part_of_a_name_if_the_profile_says_utf_8(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", TEXT.encode("utf-8-sig"))
    assert rows(path, replace(PROFILE, encoding="utf-8")) == [(2, "R1"), (4, "R2")]


def test_a_row_of_a_million_cells_is_broken_and_a_long_one_is_cut(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", f"รหัส,จำนวน\nR1,{',' * 10**6}\nR2,{'x' * 200_000}\n".encode())
    first, second = (row for _, row in exports_export.read(path, PROFILE).rows)
    assert first == BrokenRow("row_wide")
    assert [len(str(cell)) for cell in second] == [2, 1001]


def test_shared_texts_beyond_what_memory_should_hold_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xlsx", xlsx([["รหัส", "จำนวน"], ["R1", 1]]))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    chance = random.Random(1)
    parts["xl/sharedStrings.xml"] = b"<sst>" + chance.randbytes(1 << 20).hex().encode() * 50 + b"</sst>"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert refusal(path) == "file_over_limit"


def refusal(path: Path, profile: Profile = PROFILE) -> str:
    """The code of the error that the file meets, or nothing."""
    try:
        rows(path, profile)
    except SamprasanError as problem:
        assert problem.hint("th")  # noqa: PT017
        return problem.code
    return ""


def xlsx(table: list[list[Any]]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in table:
        sheet.append(row)
    data = BytesIO()
    book.save(data)
    return data.getvalue()
