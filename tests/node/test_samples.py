"""The agencies' sample exports against the independent oracle."""

import json
from pathlib import Path
from typing import Any

import pytest
from samprasan.keys.identifiers import Identifier, Scheme, parse
from samprasan.node import balances, exports, importing, profiles

from tests.federation import AGENCIES, SAMPLES, Federation

EXPECTED: dict[str, Any] = json.loads((SAMPLES / "expected.json").read_text("utf-8"))["first"]
SCHEMES = {
    "person": Scheme.CITIZEN,
    "organization": Scheme.JURISTIC,
    "community": Scheme.REGISTRY,
    "area": Scheme.AREA,
}


def export_of(agency: str) -> Path:
    (file,) = (SAMPLES / agency).glob("deeds.*")
    return file


def import_samples(fed: Federation, agency: str, *, dry_run: bool = False) -> importing.Report:
    node = fed.nodes[agency]
    profile = profiles.read((SAMPLES / "profiles" / f"{agency}.toml").read_text("utf-8"))
    export = exports.read(export_of(agency), profile)
    return importing.bring_in(node.store, node.world, node.identity, profile, export, dry_run=dry_run)


def as_expected(report: importing.Report) -> dict[str, Any]:
    """A report in the oracle's form: reasons with their record ids."""
    rejected: dict[str, list[str]] = {}
    for each in report.rejections:
        rejected.setdefault(each.reason, []).append(each.record_id)
    counts = report.counts()
    del counts["import_id"]
    return counts | {"rejected": {reason: sorted(ids) for reason, ids in rejected.items()}}


def identifier_of(subject: str, kind: str) -> Identifier:
    return parse(SCHEMES[kind], subject, "codi.council")


@pytest.mark.parametrize("agency", AGENCIES)
def test_each_export_gives_exactly_the_expected_report(fed: Federation, agency: str) -> None:
    assert as_expected(import_samples(fed, agency)) == EXPECTED["reports"][agency]


@pytest.mark.parametrize("agency", AGENCIES)
def test_a_dry_run_reports_the_same_and_changes_nothing(fed: Federation, agency: str) -> None:
    assert as_expected(import_samples(fed, agency, dry_run=True)) == EXPECTED["reports"][agency]
    assert as_expected(import_samples(fed, agency)) == EXPECTED["reports"][agency]


@pytest.mark.parametrize("agency", AGENCIES)
def test_the_same_file_again_is_unchanged(fed: Federation, agency: str) -> None:
    first = import_samples(fed, agency)
    again = import_samples(fed, agency)
    assert (again.accepted, again.unchanged) == (0, first.accepted)
    assert [each.row for each in again.rejections] == [each.row for each in first.rejections]


def test_every_subject_has_one_balance_at_every_agency_that_knows_it(fed_on_each: Federation) -> None:
    fed = fed_on_each
    for agency in AGENCIES:
        import_samples(fed, agency)
    fed.run()
    wrong = []
    for subject, expected in EXPECTED["subjects"].items():
        for agency, credits_here in expected["by_agency"].items():
            found = balance(fed, agency, identifier_of(subject, expected["kind"]))
            if (found["earned"], found["available"], found["earned_here"]) != (
                expected["earned"],
                expected["earned"],
                credits_here,
            ):
                wrong.append((agency, expected["kind"], found))
    assert wrong == []
    assert len(EXPECTED["subjects"]) == EXPECTED["federation"]["subjects"]


def balance(fed: Federation, agency: str, identifier: Identifier) -> dict[str, Any]:
    node = fed.nodes[agency]
    found = balances.look_up(node.store, node.world, node.identity, identifier)
    assert found.request is not None
    totals = fed.ask_hub(agency, "totals", found.request)
    balances.keep(node.store, node.world, node.identity, found.request, totals)
    return balances.document(identifier, totals, found.earned_here, fresh=True)
