"""A row's fields are its table's columns, in their order and of their types."""

import typing
from typing import Any

import pytest
from samprasan.hub import tables as hub_tables
from samprasan.hub.store.members import Invite
from samprasan.hub.store.recovery import Recovery
from samprasan.node import rows, tables

ROWS = {
    rows.SubjectRow: tables.subjects,
    rows.DeedRow: tables.deeds,
    rows.AwardRow: tables.awards,
    rows.ImportRow: tables.imports,
    rows.BatchRow: tables.batches,
    rows.HubEntryRow: tables.hub_entries,
    rows.HeardRow: tables.heard,
    rows.QuestionRow: tables.questions,
    rows.EvaluationRow: tables.evaluations,
    rows.EvaluationTotalRow: tables.evaluation_totals,
    rows.CeremonyRow: tables.ceremonies,
    rows.CeremonyMessageRow: tables.ceremony_messages,
    rows.CeremonyLetterRow: tables.ceremony_letters,
    rows.RedemptionRow: tables.redemptions,
    rows.HoldUpdateRow: tables.hold_updates,
    rows.MoveRow: tables.moves,
    Invite: hub_tables.invites,
    Recovery: hub_tables.recovery,
}


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.__name__)
def test_a_rows_fields_are_the_tables_columns(kind: Any) -> None:
    table = ROWS[kind]
    assert list(kind._fields) == [column.name for column in table.columns]
    hints = typing.get_type_hints(kind)
    for column in table.columns:
        options = set(typing.get_args(hints[column.name]) or [hints[column.name]])
        assert (type(None) in options) == column.nullable, column.name
        (found,) = options - {type(None)}
        assert issubclass(found, column.type.python_type), column.name


PARTS = {
    rows.ConsentsRow: tables.subjects,
    rows.ReserveRow: tables.redemptions,
    rows.KeptRow: tables.awards,
    rows.UnprovedRow: tables.batches,
}
KNOWN_TO_BE_THERE = {(rows.UnprovedRow, "receipt")}  # only those are asked for


@pytest.mark.parametrize("kind", PARTS, ids=lambda kind: kind.__name__)
def test_a_part_of_a_row_has_columns_of_the_table(kind: Any) -> None:
    hints = typing.get_type_hints(kind)
    for name in kind._fields:
        column = PARTS[kind].columns[name]
        options = set(typing.get_args(hints[name]) or [hints[name]])
        assert (type(None) in options) == (bool(column.nullable) and (kind, name) not in KNOWN_TO_BE_THERE), name
        (found,) = options - {type(None)}
        assert issubclass(found, column.type.python_type), name


def test_every_row_is_looked_at_here() -> None:
    of_rows = {rows.SendableAward, rows.SendableUpdate, rows.OrphanRow}
    kinds = {each for each in vars(rows).values() if isinstance(each, type) and hasattr(each, "_fields")}
    assert kinds == of_rows | PARTS.keys() | {each for each in ROWS if each.__module__ == rows.__name__}
