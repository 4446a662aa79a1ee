"""The importer on thousands of files that are almost exports: it reads them, rejects rows, or refuses the file."""

import contextlib
import random
from collections import Counter
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from samprasan.keys.errors import SamprasanError
from samprasan.ledger import policy
from samprasan.node.exports import export as exports_export
from samprasan.node.exports import profile, profile_draft, spreadsheets
from samprasan.node.exports.rows import BrokenRow
from samprasan.node.imports.deed import Reader, Rejected

from tests.federation import SAMPLES
from tests.fuzz.mutation import GROWTH_MEBIBYTES_MAX, Seeds, mutated, policy_document, resident_mebibytes
from tests.old_spreadsheet import xls
from tests.spreadsheets import ods

PARTS = 4
TEXTS, BOOKS = 4_800, 200  # of each seed; a workbook is read in a process of its own, which takes 40 ms
POLICY = policy.from_document(policy_document())
PROFILE = profile.read((SAMPLES / "profiles" / "mpc.toml").read_text("utf-8"))


def rows(count: int) -> list[list[str]]:
    text = (SAMPLES / "mpc" / "deeds.csv").read_text("utf-8-sig")
    return [line.split(",") for line in text.splitlines()[: count + 1]]


def corpus_of_texts() -> list[bytes]:
    lines = [",".join(row) for row in rows(6)]
    return ["\r\n".join(lines).encode(encoding) for encoding in ("utf-8-sig", "utf-8", "cp874", "utf-16")]


def corpus_of_books() -> list[bytes]:
    table: list[list[Any]] = list(rows(6))
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in table:
        sheet.append(row)
    xlsx = BytesIO()
    book.save(xlsx)
    return [xlsx.getvalue(), ods(table), xls(table)]


def take(path: Path) -> str:
    """What became of the file: the error's code, or "read"."""
    with contextlib.suppress(SamprasanError):
        profile_draft.draft(profile_draft.sample(path.name, exports_export.opened(path, PROFILE).rows), "s")
    try:
        export = exports_export.read(path, PROFILE)
        reader = Reader(PROFILE, export.header, [POLICY], date(2026, 11, 23), keyed_hash=str)
        for _, row in export.rows:
            try:
                if not isinstance(row, BrokenRow):
                    reader.deed(row)
            except Rejected as problem:
                assert problem.field in profile.FIELDS  # noqa: PT017
        export.recheck()
    except SamprasanError as problem:
        return problem.code
    return "read"


@pytest.mark.parametrize("part", range(PARTS))
def test_only_our_own_errors_come_out_of_mutated_files(
    part: int, tmp_path: Path, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in seeds(1, 2, 4):
        fuzz(random.Random(f"importer {part} {seed}"), seed, tmp_path / "export", monkeypatch)


def fuzz(chance: random.Random, seed: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the importer read many mutated files."""
    texts, books = corpus_of_texts(), corpus_of_books()
    outcomes: Counter[str] = Counter()
    start = 0
    total = (TEXTS + BOOKS) // PARTS
    for number in range(total):
        is_book = number % ((TEXTS + BOOKS) // BOOKS) == 0
        monkeypatch.setattr(spreadsheets, "WHOLE_BYTES_MAX", chance.choice([48 << 20, 100]))
        data = mutated(chance, books if is_book else texts)
        path.write_bytes(data)
        try:
            outcomes[take(path)] += 1
        except Exception as problem:
            raise AssertionError(f"seed {seed}: {type(problem).__name__}: {problem} for {data.hex()}") from problem
        if number == total // 4:
            start = resident_mebibytes()
    assert resident_mebibytes() - start < GROWTH_MEBIBYTES_MAX
    assert len(outcomes) >= 4, outcomes
