"""The main job, as an IT officer does it: real processes, real TLS, the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from federation import AGENCIES
from samprasan.keys.identifiers import Scheme, fold_digits
from samprasan.node import home as node_homes
from samprasan.node.counter import balance
from samprasan.node.exports import export as exports_export
from samprasan.node.exports import profile as exports_profile
from samprasan.node.exports.cells import text_of

from tests import commands
from tests.federation import SAMPLES, citizen
from tests.local import Live
from tests.privacy import Scanner
from tests.samples import EXPECTED, export_of, identifier_of

SCHEMES = {"person": "th-pid", "organization": "th-jid", "community": "registry", "area": "th-area"}


def record_ids(report: dict[str, Any]) -> dict[str, list[str]]:
    return {reason: sorted(row["record_id"] for row in rows) for reason, rows in report["rejected"].items()}


@pytest.mark.parametrize("agency", AGENCIES)
def test_each_import_reports_what_the_oracle_says(live: Live, agency: str) -> None:
    report = dict(live.reports[agency])
    expected = dict(EXPECTED["reports"][agency])
    assert record_ids(report) == expected.pop("rejected")
    assert {key: report[key] for key in expected} == expected


def test_everything_is_settled_and_the_hub_holds_the_total(live: Live) -> None:
    assert [live.synced[agency]["pending"] for agency in AGENCIES] == [0, 0, 0]
    status = live.federation.answer("hub", "status")
    total = EXPECTED["federation"]["earned"]
    assert status["totals"]["earned"] == status["totals"]["available"] == total
    assert status["totals"]["accounts"] == EXPECTED["federation"]["subjects"]
    shared = {each["agency"]: each["earned"] for each in status["agencies"] if each["agency"] in AGENCIES}
    assert shared == {agency: EXPECTED["reports"][agency]["credits_shared"] for agency in AGENCIES}
    audit = live.federation.answer("hub", "audit")
    assert (audit["ok"], audit["problems"]) == (True, [])


@pytest.mark.parametrize("agency", AGENCIES)
def test_the_same_export_again_is_unchanged(live: Live, agency: str) -> None:
    again = live.federation.import_samples(agency)
    assert (again["accepted"], again["unchanged"]) == (0, EXPECTED["reports"][agency]["accepted"])


async def test_every_balance_at_every_agency_equals_the_total_there(live: Live) -> None:
    """As the ``balance`` command asks, over one connection an agency."""
    wrong = []
    for agency in AGENCIES:
        opened = node_homes.open_home(live.federation.home(agency))
        node = opened.node
        async with opened.connect() as hub:
            for subject, expected in EXPECTED["subjects"].items():
                if agency in expected["by_agency"]:
                    identifier = identifier_of(subject, expected["kind"])
                    found = balance.find_or_want(node, identifier)
                    assert found.request is not None
                    totals = await hub.totals(found.request)
                    kept = balance.accept_totals(node, found.request, totals)
                    shown = balance.document(identifier, kept, found.earned_here, fresh=True)
                    if shown["earned"] != expected["earned"]:
                        wrong.append((agency, expected["kind"], shown))
        node.db.close()
    assert wrong == []


@pytest.mark.parametrize("kind", SCHEMES)
def test_the_balance_command_reads_each_kind_of_subject(live: Live, kind: str) -> None:
    subject, expected = next(item for item in EXPECTED["subjects"].items() if item[1]["kind"] == kind)
    agency = next(iter(expected["by_agency"]))
    registry = ("--registry", "codi.council") if kind == "community" else ()
    asked = ("balance", "--id", subject, "--scheme", SCHEMES[kind], *registry, "--json")
    found = json.loads(commands.node(live.federation.home(agency), *asked).stdout)
    assert found["earned"] == expected["earned"] == sum(found["by_dimension"].values())
    assert found["earned_here"] == expected["by_agency"][agency]


def test_an_id_nobody_recorded_and_one_without_consent_are_refused(live: Live) -> None:
    unknown = commands.node(live.federation.home("mpc"), "balance", "--id", citizen(999_999), "--lang", "en")
    assert unknown.returncode == 1
    assert unknown.stderr == (
        "error: This node has no record of that id.\nhint: Check the id, or import the subject's deeds first.\n"
    )
    kept = kept_local_citizen()
    refused = commands.node(live.federation.home("mpc"), "balance", "--id", kept, "--lang", "th")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: เจ้าของข้อมูลยังไม่ยินยอมที่หน่วยงานนี้")


def kept_local_citizen() -> str:
    """A citizen of mpc's export who did not consent."""
    lines = (SAMPLES / "mpc" / "deeds.csv").read_text("utf-8-sig").splitlines()
    rows = [line.split(",") for line in lines[1:]]
    return next(row[2] for row in rows if row[9] == "ไม่ยินยอม" and row[1] == "บุคคล" and row[0] == "MPC-00116")


def test_a_dashed_id_in_thai_digits_from_stdin_is_welcome(live: Live) -> None:
    subject, expected = next(
        (subject, entry)
        for subject, entry in EXPECTED["subjects"].items()
        if entry["kind"] == "person" and "codi" in entry["by_agency"]
    )
    thai = subject.translate(str.maketrans("0123456789", "๐๑๒๓๔๕๖๗๘๙"))
    written = f"{thai[0]}-{thai[1:5]}-{thai[5:10]}-{thai[10:12]}-{thai[12]}"
    import subprocess
    import sys

    command = [sys.executable, "-m", "samprasan.node", "balance", "--id", "-", "--json", "--home"]
    done = subprocess.run(
        [*command, str(live.federation.home("codi"))], input=written + "\n", capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["earned"] == expected["earned"]


def test_nothing_the_hub_wrote_holds_an_id_or_a_name_and_a_planted_one_is_found(live: Live, tmp_path: Path) -> None:
    federation = live.federation
    scanner = samples_scanner()
    written = [*federation.home("hub").rglob("*"), federation.folder / "hub.log"]
    assert len([path for path in written if path.is_file()]) > 5
    assert scanner.scan(written) == {}
    planted = tmp_path / "planted.db"
    planted.write_bytes((federation.home("hub") / "hub.db").read_bytes() + next(iter(EXPECTED["subjects"])).encode())
    assert scanner.scan([planted]) == {str(planted): {"id"}}


def test_no_node_log_holds_an_id_or_a_name(live: Live) -> None:
    logs = [live.federation.folder / f"{agency}.log" for agency in AGENCIES]
    assert samples_scanner().scan(logs) == {}


def test_the_nodes_database_names_nobody_without_its_key(live: Live) -> None:
    database = [path for path in live.federation.home("mpc").iterdir() if path.name.startswith("node.db")]
    assert len(database) >= 1
    assert samples_scanner().scan(database) == {}


def samples_scanner() -> Scanner:
    """Every 13-digit id and every person's name in the three exports."""
    ids, names = set(), set()
    for agency in AGENCIES:
        profile = exports_profile.read((SAMPLES / "profiles" / f"{agency}.toml").read_text("utf-8"))
        export = exports_export.read(export_of(agency), profile)
        for _, cells in export.rows:
            row = dict(zip(export.header, cells, strict=False))
            digits = fold_digits(text_of(row[profile.columns["subject_id"]])).replace("-", "")
            if len(digits) == 13 and digits.isdecimal():
                ids.add(digits)
                names.add(text_of(row[profile.columns["subject_name"]]))
    assert len(ids) > 400
    assert len(names) > 300
    return Scanner(ids, names)


def test_status_and_doctor_say_that_all_is_well(live: Live) -> None:
    for agency in AGENCIES:
        status = json.loads(commands.node(live.federation.home(agency), "status", "--json").stdout)
        assert (status["roster"], status["policy"], status["outbox"], status["halted"]) == (2, 1, 0, None)
        assert status["hub"]["connected"] is True
        doctor = commands.node(live.federation.home(agency), "doctor", "--json")
        assert json.loads(doctor.stdout)["ok"] is True
    assert commands.node(live.federation.home("mpc"), "status", "--lang", "th").stdout.startswith("สถานะ")


def test_sync_beside_serve_is_safe(live: Live) -> None:
    homes = [live.federation.home(agency) for agency in AGENCIES]
    heads = [json.loads(commands.node(home, "status", "--json").stdout)["head"] for home in homes]
    done = [json.loads(commands.node(home, "sync", "--json").stdout) for home in homes]
    assert [each["head"] for each in done] == heads
    assert live.federation.answer("hub", "status")["totals"]["earned"] == EXPECTED["federation"]["earned"]


def test_schemes_are_named_as_on_the_command_line() -> None:
    assert set(SCHEMES.values()) == set(Scheme)
