"""An id that was typed wrong is noticed by the name; spellings of one name are not."""

import pytest
from samprasan.node import person_names
from samprasan.node.imports import importer

from tests.federation import Federation, bring_in, deed


@pytest.mark.parametrize(
    ("known", "stated"),
    [
        ("นายสมชาย ใจดี", "นายสมชาย ใจดี"),
        ("นายสมชาย ใจดี", "สมชาย ใจดี"),
        ("นายสมชาย  ใจดี ", "สมชายใจดี"),
        ("นางสาวสมหญิง ใจดี", "นางสมหญิง รักไทย"),  # married
        ("น.ส.สมหญิง ใจดี", "นางสาว สมหญิง ใจดี"),
        ("นายธีรพงษ์ เพชรดี", "นายธีรพงศ์ เพชรดี"),
        ("Mr. Somchai Jaidee", "somchai jaidee"),
        ("Mrs Somying Jaidee", "Somying Jaidee"),
        ("คุณากร ใจดี", "นายคุณากร ใจดี"),
        ("บริษัท ทดสอบ จำกัด", "บจก. ทดสอบ จำกัด"),
        ("", "นายสมชาย ใจดี"),
        ("นายสมชาย ใจดี", ""),
    ],
)
def test_spellings_of_one_name_do_not_differ(known: str, stated: str) -> None:
    assert not person_names.differ(known, stated)
    assert not person_names.differ(stated, known)


@pytest.mark.parametrize(
    ("known", "stated"),
    [
        ("นายสมชาย ใจดี", "นางสาวกัญญา พรหมมา"),
        ("นายสมชาย ใจดี", "นายประเสริฐ ใจดี"),  # a relative
        ("บริษัท ทดสอบ จำกัด", "มูลนิธิรักษ์ป่า"),
        ("Somchai Jaidee", "Kanya Promma"),
    ],
)
def test_names_of_two_people_differ(known: str, stated: str) -> None:
    assert person_names.differ(known, stated)
    assert person_names.differ(stated, known)


OTHER = "นางสาวกัญญา พรหมมา"


def reasons(report: importer.Report) -> list[tuple[str, str]]:
    return [(each.record_id, each.reason) for each in report.rejections]


def test_a_name_that_is_not_the_ids_is_asked_about_and_taken_when_confirmed(fed: Federation) -> None:
    node = fed.nodes["mpc"]
    fed.give("mpc", deed(1, 1))
    wrong = [deed(2, 1, subject_name=OTHER), deed(3, 1), deed(4, 2)]
    report = bring_in(node, wrong)
    assert reasons(report) == [("R00002", "name_differs")]
    assert (report.accepted, OTHER in str(report.rejections)) == (2, False)
    assert bring_in(node, wrong, confirm=True).accepted == 1
    again = bring_in(node, wrong)
    assert (again.unchanged, reasons(again)) == (3, []), "what was taken before is not asked about again"


def test_within_one_file_the_first_name_stands(fed: Federation) -> None:
    report = fed.give("mpc", deed(1, 1), deed(2, 1, subject_name=OTHER), deed(3, 1))
    assert (report.accepted, reasons(report)) == (2, [("R00002", "name_differs")])


def test_a_corrected_id_that_is_somebody_elses_is_asked_about(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 2, subject_name=OTHER))
    report = fed.give("mpc", deed(1, 2, subject_name="ชื่อสมมติ 1"))
    assert reasons(report) == [("R00001", "name_differs")]
    assert fed.give("mpc", deed(1, 1)).unchanged == 1
