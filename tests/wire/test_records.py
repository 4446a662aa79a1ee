"""The commands about records, as an IT officer types them, at a home that is not served."""

import io
import json
import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import sqlalchemy as sa
from samprasan.edge import texts
from samprasan.keys.errors import Unavailable
from samprasan.keys.identifiers import fold_digits
from samprasan.ledger import calendar
from samprasan.node import home as node_homes
from samprasan.node import limits
from samprasan.node.exports import export
from samprasan.node.exports import profile as exports_profile
from samprasan.node.imports import importer

from tests import commands
from tests.federation import SAMPLES, citizen

PROFILE = SAMPLES / "profiles" / "mpc.toml"
DEEDS = SAMPLES / "mpc" / "deeds.csv"
HEADER = "รหัสรายการ,ประเภทผู้ทำ,เลขประจำตัว,ชื่อ-สกุล,ประเภทความดี,จำนวน,วันที่,รหัสตำบล,สถานะ,ยินยอมแลกเปลี่ยน"
GOOD = f"บุคคล,{citizen(1)},ก,ปลูกป่า,1,13/11/2568,720803,ตรวจสอบแล้ว,ยินยอม"


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template / "mpc", tmp_path / "mpc")
    texts.choose("en")
    return tmp_path / "mpc"


def said(home: Path, *arguments: str) -> Any:
    done = commands.node(home, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def csv(folder: Path, *rows: str) -> str:
    path = folder / "deeds.csv"
    path.write_text("\n".join([HEADER, *rows]), "utf-8")
    return str(path)


def import_deeds(home: Path, *options: str) -> Any:
    return said(home, "import", str(DEEDS), "--profile", str(PROFILE), *options)


def test_rejected_rows_come_as_a_spreadsheet_with_the_reason_in_thai(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "rejected.xlsx"
    report = import_deeds(home, "--rejects", str(out))
    rows = list(openpyxl.load_workbook(out)["Sheet"].iter_rows(values_only=True))
    assert rows[0] == (*HEADER.split(","), "แถวเดิม", "เหตุผลที่ไม่รับ")
    assert len(rows) - 1 == report["rejected_rows"] == 36
    listed = {each["row"]: each["record_id"] for rows_ in report["rejected"].values() for each in rows_}
    assert {row[-2]: row[0] for row in rows[1:]} == listed
    assert ("วันที่: ไม่มีวันที่นี้") in {row[-1] for row in rows[1:]}
    assert out.stat().st_mode & 0o077 == 0, "it holds ids and names"


def test_the_spreadsheet_taken_in_again_says_the_same_reasons(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "rejected.xlsx"
    first = import_deeds(home, "--rejects", str(out))
    again = said(home, "import", str(out), "--profile", str(PROFILE))
    of_its_own = {name: len(rows) for name, rows in first["rejected"].items() if name != "duplicate_record"}
    assert {name: len(rows) for name, rows in again["rejected"].items() if name != "duplicate_record"} == of_its_own


def test_a_formula_in_a_rejected_row_stays_text(home: Path, tmp_path: Path) -> None:
    file = csv(tmp_path, f'R1,บุคคล,{citizen(1)},"=HYPERLINK(""http://x"")",ปลูกป่า,ห้า,13/11/2568,720803,ผ่าน,ยินยอม')
    out = tmp_path / "rejected.xlsx"
    said(home, "import", file, "--profile", str(PROFILE), "--rejects", str(out))
    cell = openpyxl.load_workbook(out)["Sheet"]["D2"]
    assert (cell.data_type, cell.value) == ("s", '=HYPERLINK("http://x")')


@pytest.mark.parametrize("out", ["no/such/folder/out.xlsx", "."])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_imported(
    home: Path, tmp_path: Path, out: str
) -> None:
    done = commands.node(home, "import", str(DEEDS), "--profile", str(PROFILE), "--rejects", str(tmp_path / out))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert said(home, "imports", "list") == {"imports": []}


def test_strict_and_dry_run(home: Path) -> None:
    done = commands.node(home, "import", str(DEEDS), "--profile", str(PROFILE), "--strict", "--dry-run")
    assert done.returncode == 1
    assert said(home, "imports", "list") == {"imports": []}


def test_imports_are_listed_and_undone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = import_deeds(home)
    (listed,) = said(home, "imports", "list")["imports"]
    assert (listed["import_id"], listed["accepted"], listed["undone_at"]) == (1, 666, None)
    assert said(home, "imports", "undo", "1") == {"import_id": 1, "removed": 666, "restored": 0}
    assert said(home, "imports", "list")["imports"][0]["undone_at"]
    assert import_deeds(home) == report | {"import_id": 2}
    done = commands.node(home, "imports", "undo", "1", "--lang", "th")
    assert (done.returncode, "ถูกยกเลิกไปแล้ว" in done.stderr) == (1, True)
    monkeypatch.setenv("COLUMNS", "200")
    assert calendar.buddhist(datetime.now(calendar.BANGKOK).date()) in commands.node(home, "imports", "list").stdout


@pytest.mark.parametrize("name", ["mpc/deeds.csv", "nhco/deeds.xlsx", "codi/deeds.csv", "mpc/attendance.csv"])
def test_a_drafted_profile_names_every_column_and_nobody(tmp_path: Path, name: str) -> None:
    out = tmp_path / "draft.toml"
    done = commands.node(None, "profile", "draft", str(SAMPLES / name), "--out", str(out), "--source", "t")
    assert done.returncode == 0, done.stderr
    text = out.read_text("utf-8")
    agency = name.partition("/")[0]
    stage = "attendance" if "attendance" in name else "deeds"
    known = (SAMPLES / "profiles" / ("mpc-attendance.toml" if stage == "attendance" else f"{agency}.toml")).read_text()
    theirs = exports_profile.read(known)
    for column in theirs.columns.values():
        assert column in text
    assert not re.search(r"\d{13}", fold_digits(text).replace("-", ""))


def test_a_draft_is_not_written_over_a_profile(tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    out.write_text("precious")
    done = commands.node(None, "profile", "draft", str(DEEDS), "--out", str(out))
    assert (done.returncode, out.read_text()) == (1, "precious")


def test_a_profile_is_checked_and_unknown_words_are_listed(home: Path, tmp_path: Path) -> None:
    profile = tmp_path / "mpc.toml"
    profile.write_text(PROFILE.read_text("utf-8").replace('"ปลูกป่า" = "tree-planting"\n', ""), "utf-8")
    done = commands.node(home, "profile", "check", str(profile), str(DEEDS), "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["unmapped"]["category"] == {"ปลูกป่า": 58, "ความดีที่ไม่มีในเกณฑ์": 3}
    assert found["reasons"]["unknown_category"] == {"rows": 61, "first_row": 6}
    good = csv(tmp_path, f"R1,{GOOD}")
    assert said(home, "profile", "check", str(PROFILE), good) == {
        "ok": True,
        "rows": 1,
        "rejected": 0,
        "reasons": {},
        "unmapped": {},
    }


def test_a_record_id_with_an_id_in_it_is_found_by_its_hash_and_by_itself_from_stdin(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = SAMPLES / "profiles" / "mpc-attendance.toml"
    file = SAMPLES / "mpc" / "attendance.csv"
    assert said(home, "import", str(file), "--profile", str(profile))["accepted"] == 96
    row = file.read_text("utf-8-sig").splitlines()[3].split(",")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{row[0]}/{row[2]}\n"))
    found = said(home, "deed", "show", "-", "--source", "mpc.attendance")
    assert found["record_id"].startswith("#")
    assert row[2] not in json.dumps(found)
    assert said(home, "deed", "show", found["record_id"], "--source", "mpc.attendance") == found
    data = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert row[2].encode() not in data


def test_only_the_first_ten_thousand_rejected_rows_are_listed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REJECTIONS_LISTED_MAX", 10)
    file = csv(tmp_path, *(f"R{number},,,,,,,,," for number in range(25)))
    report = said(home, "import", file, "--profile", str(PROFILE), "--rejects", str(tmp_path / "all.xlsx"))
    assert (report["rejected_rows"], sum(map(len, report["rejected"].values()))) == (25, 10)
    assert openpyxl.load_workbook(tmp_path / "all.xlsx")["Sheet"].max_row == 26
    shown = commands.node(home, "import", file, "--profile", str(PROFILE))
    assert "Only the first 10" in shown.stdout


def test_a_disk_that_fills_leaves_the_node_as_it_was(home: Path) -> None:
    node = node_homes.open_home(home).node

    @sa.event.listens_for(node.db.engine, "begin")
    def no_more_room(connection: sa.Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}")

    node.db.close()
    profile = exports_profile.read(PROFILE.read_text("utf-8"))
    with pytest.raises(Unavailable) as full:
        importer.import_rows(node, profile, export.read(DEEDS, profile))
    assert full.value.code == "disk_full"
    node.db.close()
    sa.event.remove(node.db.engine, "begin", no_more_room)
    assert said(home, "imports", "list") == {"imports": []}
    assert import_deeds(home)["accepted"] == 666


@pytest.mark.parametrize("code", ["pdf", "empty", "changed"])
def test_a_file_that_cannot_be_taken_exits_1_with_what_to_do(
    home: Path, tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes({"pdf": b"%PDF-1.4", "empty": b"", "changed": DEEDS.read_bytes()}[code])
    if code == "changed":
        original = importer.Report.accept

        def grow(self: Any, deed: Any) -> None:
            path.write_bytes(path.read_bytes() + b"\n")
            original(self, deed)

        monkeypatch.setattr(importer.Report, "accept", grow)
    done = commands.node(home, "import", str(path), "--profile", str(PROFILE), "--lang", "th")
    assert done.returncode == 1
    expected = {"pdf": "เนื้อหาเป็น PDF", "empty": "ไม่มีแถวหัวตาราง", "changed": "เปลี่ยนไประหว่างอ่าน"}[code]
    assert expected in done.stderr
    assert said(home, "imports", "list") == {"imports": []}


def test_a_row_with_stray_quotes_is_among_the_rejects(home: Path, tmp_path: Path) -> None:
    file = csv(tmp_path, f'R1,"x"y,{GOOD}', f"R2,{GOOD}")
    out = tmp_path / "out.xlsx"
    report = said(home, "import", file, "--profile", str(PROFILE), "--rejects", str(out))
    assert (report["accepted"], report["rejected_rows"]) == (1, 1)
    assert openpyxl.load_workbook(out)["Sheet"].max_row == 2
