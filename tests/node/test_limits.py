"""Each limit of a node at n and at n + 1; and a warning that names it at 70 %."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from samprasan.keys import ristretto
from samprasan.keys.errors import SamprasanError
from samprasan.node import limits
from samprasan.node.commands import records
from samprasan.node.exports import export
from samprasan.node.imports.deed import Rejected
from samprasan.node.linking import allowance, evaluation
from samprasan.node.process import status
from samprasan.v1 import linking_pb2
from samprasan.v1.envelope_pb2 import Envelope

from tests.deeds import read
from tests.federation import SAMPLES, Federation, deed, propose_policy
from tests.linking import evaluate, question
from tests.spreadsheets import PROFILE


def rejected(**cells: Any) -> str:
    try:
        read(**cells)
    except Rejected as problem:
        return problem.detail
    return ""


def a_file(path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    try:
        list(export.read(path, PROFILE).rows)
    except SamprasanError as problem:
        return problem.code
    return ""


LIMITS: dict[str, tuple[int | None, Callable[[Path, int], str]]] = {
    "CELL_CHARACTERS_MAX": (None, lambda _, n: rejected(N="ก" * n)),
    "RECORD_ID_CHARACTERS_MAX": (None, lambda _, n: rejected(R="r" * n)),
    "QUANTITY_CHARACTERS_MAX": (None, lambda _, n: rejected(Q="2".rjust(n, "0"))),
    "COLUMNS_MAX": (
        None,
        lambda path, n: a_file(path, ",".join(["รหัส", "จำนวน", *map(str, range(n - 2))]) + "\nR1,1\n"),
    ),
    "ROWS_MAX": (20, lambda path, n: a_file(path, "รหัส,จำนวน\n" + "R1,1\n" * n)),
    "FILE_BYTES_MAX": (3000, lambda path, n: a_file(path, "รหัส,จำนวน\nR1,1\n".ljust(n - 18, "\n"))),
    "LINE_CHARACTERS_MAX": (500, lambda path, n: a_file(path, "รหัส,จำนวน\nR1," + "1" * (n - 5) + "\n")),
}


@pytest.mark.parametrize("name", LIMITS)
def test_n_is_taken_and_one_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    lowered, attempt = LIMITS[name]
    if lowered:
        monkeypatch.setattr(limits, name, lowered)
    most: int = getattr(limits, name)
    assert attempt(tmp_path / "a.csv", most) == ""
    assert attempt(tmp_path / "a.csv", most + 1) != ""


def test_a_profile_may_have_a_mebibyte(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(b"#" * limits.TEXT_BYTES_MAX)
    assert records.text_in(path)
    path.write_bytes(b"#" * (limits.TEXT_BYTES_MAX + 1))
    with pytest.raises(SamprasanError) as refused:
        records.text_in(path)
    assert refused.value.code == "file_over_limit"


@pytest.mark.parametrize(("elements", "answered"), [(4096, True), (4097, False)])
def test_a_peer_may_ask_4096_elements_at_once(fed: Federation, elements: int, answered: bool) -> None:
    assert limits.ELEMENTS_ANSWERED_MAX == 4096
    letter = question(fed)
    request = linking_pb2.EvalRequest.FromString(letter.envelope.payload)
    request.blinded = ristretto.multiply_base(7) * elements
    envelope: Envelope = fed.nodes["mpc"].world.sign(request)
    peer = fed.nodes[letter.to]

    def ask() -> Any:
        return evaluation.answer_question(peer, "mpc", envelope)

    if answered:
        assert ask().envelope.payload_type.endswith("eval-response")
    else:
        with pytest.raises(SamprasanError) as refused:
            ask()
        assert refused.value.code == "eval_request"


def settings(fed: Federation, agency: str) -> dict[str, int]:
    node = fed.nodes[agency]
    found = status.status(node, None)["warnings"]
    assert found == allowance.warnings(node.db, agency, node.world.now())
    return {f"{each['setting']} {each['agency']}": each["used"] for each in found}


def test_at_seventy_per_cent_of_the_linking_allowance_both_sides_say_so(fed: Federation) -> None:
    text = (SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2", 1)
    propose_policy(fed, text.replace("linking_elements_per_day = 20_000", "linking_elements_per_day = 10"))
    letter = question(fed)  # four elements of five
    evaluate(fed, letter)
    expected = {f"policy: linking_elements_per_day mpc → {letter.to}": 4}
    assert settings(fed, "mpc") == expected
    assert settings(fed, letter.to) == expected
    fed.clock.now_ms += 86_400_000
    assert settings(fed, "mpc") == settings(fed, letter.to) == {}
    assert deed(1, 1).credits == 16


# They bound what the node itself does; tests/node/sync/test_batches.py and linking/test_questions.py hold them.
OF_ITS_OWN = {
    "SKETCH_CELLS_MAX",  # tests/node/proof/test_reconciliation.py
    "UPDATES_MAX",
    "BATCHES_IN_FLIGHT_MAX",
    "BULK_IN_FLIGHT_MAX",
    "BESIDE_REDEMPTIONS_MAX",
    "QUESTIONS_OPEN_MAX",
    "TOTALS_UNACKNOWLEDGED_MAX",  # tests/node/linking/test_evaluation_totals.py
    "QUESTION_DOUBLINGS_MAX",
    "CLOCK_OFF_MS_MAX",
    "QUESTIONS_IN_VAIN_MAX",  # tests/node/sync/test_lying_hub.py
    "LOG_AHEAD_MS_MAX",  # tests/node/sync/test_lying_hub.py
    "REJECTIONS_LISTED_MAX",  # tests/wire/test_records.py
    "UNPACKED_BYTES_MAX",  # tests/node/exports/test_export.py, the zip bombs
    "UNPACKED_SHARE_MAX",
    "TEXT_BYTES_MAX",
    "REDEMPTIONS_LISTED_MAX",  # of a list that may be as long as one likes
    "ENDED_SHOWN_MAX",  # likewise
    "OFFICER_CHARACTERS_MAX",  # tests/node/deeds/test_moves.py
    "ROW_CHARACTERS_MAX",  # cuts and refuses nothing
    "ELEMENTS_ANSWERED_MAX",
    "ATTEMPTS_AHEAD_MAX",  # tests/node/linking/test_ceremony.py, as are the next three
    "CEREMONY_MESSAGES_MAX",
    "CEREMONY_MESSAGE_BYTES_MAX",
    "EVIDENCE_MAX",
}


def test_every_limit_is_tried() -> None:
    named = {name for name in vars(limits) if name.endswith("_MAX")}
    assert named == LIMITS.keys() | OF_ITS_OWN
