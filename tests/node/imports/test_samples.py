"""The agencies' sample exports against the independent oracle, stage by stage, and again after undo and re-import."""

from itertools import islice
from typing import Any

import pytest
from samprasan.hub.log import audit
from samprasan.hub.process import status as process_status
from samprasan.keys.identifiers import Identifier
from samprasan.node.counter import balance as counter_balance
from samprasan.node.exports import export as exports_export
from samprasan.node.exports import profile as exports_profile
from samprasan.node.imports import importer, undo

from tests.federation import AGENCIES, SAMPLES, Federation
from tests.samples import EXPECTED, ORACLE, export_of, identifier_of


def profile_of(agency: str, stage: str = "first") -> exports_profile.Profile:
    name = f"{agency}-attendance" if stage == "attendance" else agency
    return exports_profile.read((SAMPLES / "profiles" / f"{name}.toml").read_text("utf-8"))


def import_samples(fed: Federation, agency: str, stage: str = "first", *, dry_run: bool = False) -> importer.Report:
    node = fed.nodes[agency]
    profile = profile_of(agency, stage)
    export = exports_export.read(export_of(agency, stage), profile)
    return importer.import_rows(node, profile, export, dry_run=dry_run)


def as_expected(report: importer.Report) -> dict[str, Any]:
    """A report in the oracle's form: reasons with their record ids."""
    rejected: dict[str, list[str]] = {}
    for each in report.rejections:
        rejected.setdefault(each.reason, []).append(each.record_id)
    counts = report.counts()
    del counts["import_id"]
    return counts | {"rejected": {reason: sorted(ids) for reason, ids in rejected.items()}}


@pytest.mark.parametrize("agency", AGENCIES)
def test_each_export_gives_exactly_the_expected_report(fed: Federation, agency: str) -> None:
    assert as_expected(import_samples(fed, agency)) == EXPECTED["reports"][agency]


@pytest.mark.parametrize("agency", AGENCIES)
def test_a_dry_run_reports_the_same_and_changes_nothing(fed: Federation, agency: str) -> None:
    assert as_expected(import_samples(fed, agency, dry_run=True)) == EXPECTED["reports"][agency]
    assert undo.list_imports(fed.nodes[agency].db) == []
    assert as_expected(import_samples(fed, agency)) == EXPECTED["reports"][agency]


@pytest.mark.parametrize("agency", AGENCIES)
def test_the_same_file_again_is_unchanged(fed: Federation, agency: str) -> None:
    first = import_samples(fed, agency)
    again = import_samples(fed, agency)
    assert (again.accepted, again.corrected, again.unchanged) == (0, 0, first.accepted)
    assert [each.row for each in again.rejections] == [each.row for each in first.rejections]


@pytest.mark.rest  # tests/wire/test_main_job.py asks for every balance of the first
def test_every_stage_comes_out_exactly_and_again_after_undo_and_re_import(fed_on_each: Federation) -> None:
    fed = fed_on_each
    for stage in ORACLE:
        take_stage(fed, stage)
    for stage in reversed(ORACLE):
        for agency in ORACLE[stage]["reports"]:
            node = fed.nodes[agency]
            newest = max(each["import_id"] for each in undo.list_imports(node.db) if not each["undone_at"])
            undo.undo_import(node, newest)
        fed.run()
        before = {"later": "first", "attendance": "later"}.get(stage)
        assert wrong_balances(fed, ORACLE[before] if before else {"subjects": {}}) == []
    assert totals(fed)["earned"] == 0
    for stage in ORACLE:
        take_stage(fed, stage)


def test_undoing_before_anything_was_sent_leaves_no_trace_at_the_hub(fed: Federation) -> None:
    for agency in AGENCIES:
        import_samples(fed, agency)
        node = fed.nodes[agency]
        (only,) = undo.list_imports(node.db)
        assert undo.undo_import(node, only["import_id"])["removed"] == only["accepted"]
    size = process_status.status(fed.hub.db, fed.hub.world.now())["log"]["size"]
    fed.run()
    assert process_status.status(fed.hub.db, fed.hub.world.now())["log"]["size"] == size
    for agency in AGENCIES:
        assert as_expected(import_samples(fed, agency)) == EXPECTED["reports"][agency]


def take_stage(fed: Federation, stage: str) -> None:
    """Import the stage's files, sync, and compare reports and balances with the oracle."""
    expected = ORACLE[stage]
    for agency, report in expected["reports"].items():
        found = as_expected(import_samples(fed, agency, stage))
        assert {name: value for name, value in found.items() if name in report} == without_zeros(report)
    fed.run()
    assert wrong_balances(fed, expected) == []
    found_totals = totals(fed)
    assert (found_totals["earned"], found_totals["available"]) == (expected["federation"]["earned"],) * 2


def without_zeros(report: dict[str, Any]) -> dict[str, Any]:
    """The oracle counts statuses that nobody has."""
    if "by_status" not in report:
        return report
    return report | {"by_status": {status: count for status, count in report["by_status"].items() if count}}


def wrong_balances(fed: Federation, expected: dict[str, Any]) -> list[Any]:
    """Subjects whose balance at an agency is not what the oracle says; and subjects the oracle does not know."""
    wrong: list[Any] = []
    step = 10 if fed.hub.db.engine.dialect.name == "postgresql" else 1  # every balance is asked for on SQLite
    for subject, each in islice(expected["subjects"].items(), 0, None, step):
        for agency, credits_here in each["by_agency"].items():
            found = balance(fed, agency, identifier_of(subject, each["kind"]))
            if (found["earned"], found["available"], found["earned_here"]) != (
                each["earned"],
                each["earned"],
                credits_here,
            ):
                wrong.append((agency, each["kind"], found))
    earned = sum(each["earned"] for each in expected["subjects"].values())
    if totals(fed)["earned"] != earned:
        wrong.append((totals(fed), earned))
    return wrong


def totals(fed: Federation) -> dict[str, Any]:
    """What the hub shows, after an audit of it."""
    hub = fed.hub
    assert audit.audit(hub, hub.world.signer.public_key).problems == []
    found: dict[str, Any] = process_status.status(hub.db, hub.world.now())["totals"]
    return found


def balance(fed: Federation, agency: str, identifier: Identifier) -> dict[str, Any]:
    node = fed.nodes[agency]
    found = counter_balance.find_or_want(node, identifier)
    assert found.request is not None
    answer = fed.ask_hub(agency, "totals", found.request)
    counter_balance.accept_totals(node, found.request, answer)
    return counter_balance.document(identifier, answer, found.earned_here, fresh=True)
