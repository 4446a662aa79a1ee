"""A million-row export: rows a second and peak memory of an import, against the bare readers on the same file.

Each figure is a process of its own, so that its peak memory is its own.
"""

import csv
import json
import random
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

ROWS = 1_000_000
PEOPLE = 300_000
_HEADER = ("Record", "ID number", "Name", "Activity", "Amount", "Date", "Subdistrict", "Status", "Consent")
_CATEGORIES = ("volunteer.elder-care", "temple-volunteer", "youth-mentoring", "welfare-fund")
_PROFILE = """
record = "deed"
source = "bench"
calendar = "buddhist"
[columns]
record_id = "Record"
subject_id = "ID number"
subject_name = "Name"
category = "Activity"
quantity = "Amount"
occurred_on = "Date"
area_code = "Subdistrict"
status = "Status"
consent = "Consent"
[values.consent]
Y = "yes"
N = "no"
[defaults]
subject_kind = "person"
"""
_SHEET = '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
_PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main'
    '+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml"'
    ' ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship'
    ' Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"'
    ' Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://'
    'schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="deeds" sheetId="1" r:id="r1"/>'
    "</sheets></workbook>",
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"'
    ' Target="worksheets/sheet1.xml"/></Relationships>',
}


def run(folder: Path) -> None:
    """Print every figure."""
    comma, sheet = folder / "deeds.csv", folder / "deeds.xlsx"
    write_csv(comma)
    write_xlsx(sheet)
    for file, reader in ((comma, "csv.DictReader"), (sheet, "python-calamine")):
        bare = measured(reader, file, folder)
        show(f"{reader} alone, {file.name}", bare, bare)
        show(f"read and decide on every row, {file.name}", measured("decide", file, folder), bare)
        show(f"import into SQLite, {file.name}", measured("import", file, folder), bare)


def show(what: str, found: tuple[float, int], bare: tuple[float, int]) -> None:
    """One line a figure."""
    seconds, megabytes = found
    ratio = seconds / bare[0]
    print(f"{what}: {ROWS / seconds:,.0f} rows/s = {ratio:.1f} × the reader's time, peak {megabytes} MB", flush=True)


def measured(what: str, file: Path, folder: Path) -> tuple[float, int]:
    """Seconds and peak megabytes of a process that does ``what``."""
    command = [sys.executable, "-m", "tests.bench.exports", what, str(file), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def rows() -> Iterator[tuple[str, ...]]:
    """Made-up deeds of made-up people."""
    from samprasan.keys.identifiers import check_digit

    chance = random.Random(1)
    yield _HEADER
    for number in range(ROWS):
        person = chance.randrange(PEOPLE)
        twelve = f"{1 + person % 8}{person:011d}"
        day = f"{1 + number % 28:02d}/{1 + number % 12:02d}/2568"
        name, consent = f"ชื่อสมมติ นามสกุล{person}", "Y" if person % 10 else "N"
        citizen = twelve + check_digit(twelve)
        category, amount = _CATEGORIES[number % 4], f"{1 + number % 4}.5"
        yield f"B-{number:07d}", citizen, name, category, amount, day, "720803", "verified", consent


def write_csv(path: Path) -> None:
    """As agencies save it."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(rows())


def write_xlsx(path: Path) -> None:
    """As spreadsheet programs save it: with its dimension."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in _PARTS.items():
            archive.writestr(name, text)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'{_SHEET}<dimension ref="A1:I{ROWS + 1}"/><sheetData>'.encode())
            for number, row in enumerate(rows(), 1):
                cells = "".join(
                    f'<c r="{chr(65 + at)}{number}" t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
                    for at, cell in enumerate(row)
                )
                sheet.write(f'<row r="{number}">{cells}</row>'.encode())
            sheet.write(b"</sheetData></worksheet>")


def main(what: str, file: Path, folder: Path) -> None:
    """In the measured process: do it, print seconds and peak megabytes."""
    works: dict[str, Callable[[Path, Path], tuple[int, float]]] = {
        "csv.DictReader": read_with_csv,
        "python-calamine": read_with_calamine,
        "decide": decide,
        "import": bring_in,
    }
    count, seconds = works[what](file, folder)
    if count != ROWS:
        raise RuntimeError(f"{count} rows instead of {ROWS}")
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))


def read_with_csv(file: Path, _folder: Path) -> tuple[int, float]:
    """The rows that ``csv.DictReader`` finds, and seconds."""
    begun = time.perf_counter()
    with file.open(encoding="utf-8-sig", newline="") as opened:
        count = sum(1 for _ in csv.DictReader(opened))
    return count, time.perf_counter() - begun


def read_with_calamine(file: Path, _folder: Path) -> tuple[int, float]:
    """The rows that python-calamine finds, and seconds."""
    from python_calamine import CalamineWorkbook

    begun = time.perf_counter()
    count = sum(1 for _ in CalamineWorkbook.from_path(file).get_sheet_by_index(0).iter_rows()) - 1
    return count, time.perf_counter() - begun


def decide(file: Path, _folder: Path) -> tuple[int, float]:
    """Every row read and decided on, nothing stored: what ``profile check`` does."""
    from samprasan.edge import garbage_collection
    from samprasan.node.exports import export as exports_export
    from samprasan.node.exports import profile as exports_profile
    from samprasan.node.imports import profile_check

    from tests import federation

    node = federation.make().nodes["mpc"]
    profile = exports_profile.read(_PROFILE)
    garbage_collection.collect_rarely()
    begun = time.perf_counter()
    findings = profile_check.check(node, profile, exports_export.read(file, profile))
    return findings.rows, time.perf_counter() - begun


def bring_in(file: Path, folder: Path) -> tuple[int, float]:
    """An import, as ``samprasan-node import`` does it, and seconds."""
    from samprasan.edge import database, garbage_collection
    from samprasan.node.exports import export as exports_export
    from samprasan.node.exports import profile as exports_profile
    from samprasan.node.imports import importer

    from tests import federation

    path = folder / file.suffix[1:]
    path.mkdir()
    fed = federation.make(lambda party: database.open_database(f"sqlite:///{path / party}.db"))
    node = fed.nodes["mpc"]
    profile = exports_profile.read(_PROFILE)
    garbage_collection.collect_rarely()
    begun = time.perf_counter()
    export = exports_export.read(file, profile)
    report = importer.import_rows(node, profile, export)
    seconds = time.perf_counter() - begun
    fed.close()
    return report.accepted, seconds


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
