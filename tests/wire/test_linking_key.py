"""The linking key over the wire: made by real processes, refreshed while one is away, repaired, and rotated.

With the same processes: deeds under a wrong id that another agency knows, too, moved once that agency approved.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from federation import AGENCIES, Federation
from samprasan.edge import command
from samprasan.node.documents import inbox

from tests import commands, local, terminal
from tests.local import said
from tests.samples import EXPECTED

WAIT_SECONDS = 60.0


@pytest.fixture
def served(template: Path, tmp_path: Path) -> Iterator[Federation]:
    with local.running(template, tmp_path / "federation") as federation:
        yield federation


def linking(served: Federation, agency: str) -> Any:
    return said(served, agency, "status")["linking"]


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.2)


def approve(served: Federation, agency: str) -> None:
    (waiting,) = said(served, agency, "approvals", "list")["waiting"]
    arguments = ("approvals", "approve", waiting["id"], "--digest", waiting["digest"])
    assert commands.node(served.home(agency), *arguments).returncode == 0


def approve_at_the_terminal(served: Federation, agency: str) -> None:
    """Nobody signs by a short id alone; at a terminal the document is shown, asked about, and signed after a yes."""
    (waiting,) = said(served, agency, "approvals", "list")["waiting"]
    refused = commands.node(served.home(agency), "approvals", "approve", waiting["id"])
    assert refused.returncode == 1
    assert "Nothing was signed" in refused.stderr
    arguments = ["approvals", "approve", waiting["id"], "--home", str(served.home(agency)), "--lang", "en"]
    for typed, code in (("n\n", 1), ("y\n", 0)):
        ended, shown = terminal.run("samprasan.node", arguments, typed, served.environment())
        assert ended == code, shown
        assert waiting["digest"] in shown
        assert "plan.share_version (which shares of it)" in shown
        assert "What it changes of version 2, which is in force:" in shown
        assert waiting["digest"] not in shown.partition("Sign this document")[2]


def approve_what_was_shown(served: Federation, agency: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once somebody was asked the inbox is not read again: no other document can take the place of what was shown."""

    def look_again(*_: object) -> Any:
        raise AssertionError("the inbox was read again behind the question")

    with monkeypatch.context() as patch:

        def is_confirmed(_question: str) -> bool:
            for name in ("inbox", "find"):
                patch.setattr(inbox, name, look_again)
            return True

        patch.setattr(command, "is_at_terminal", lambda: True)
        patch.setattr(command, "is_confirmed", is_confirmed)
        (waiting,) = said(served, agency, "approvals", "list")["waiting"]
        assert commands.node(served.home(agency), "approvals", "approve", waiting["id"]).returncode == 0


def versions(served: Federation) -> set[tuple[int | None, bool]]:
    found = [linking(served, agency) for agency in AGENCIES]
    return {(each["share_version"], each["share"] is not None) for each in found}


def test_the_key_is_made_refreshed_repaired_and_rotated_by_the_nodes_alone(
    served: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {agency: linking(served, agency)["share"] for agency in AGENCIES} == {"codi": 1, "mpc": 2, "nhco": 3}
    assert linking(served, "mpc")["ceremony"] is None
    served.kill("nhco")
    shown = said(served, "mpc", "linking", "refresh")
    assert (shown["kind"], shown["version"]) == ("roster", 3)
    approve_at_the_terminal(served, "codi")
    until(lambda: (linking(served, "mpc")["ceremony"] or {}).get("waiting_for") == ["nhco"])
    served.kill("mpc")
    served.start("nhco", "mpc")
    until(lambda: versions(served) == {(2, True)})

    served.kill("nhco")
    database = sqlite3.connect(served.home("nhco") / "node.db")
    database.execute("DELETE FROM shares")
    database.commit()
    database.close()
    served.start("nhco")
    findings = {each["check"]: each for each in said(served, "nhco", "doctor")["findings"]}
    assert not findings["roster"]["ok"]
    assert "linking repair" in findings["roster"]["remedy"]
    said(served, "nhco", "linking", "repair")
    approve_what_was_shown(served, "mpc", monkeypatch)
    until(lambda: versions(served) == {(3, True)})
    assert said(served, "nhco", "doctor")["ok"]
    assert commands.node(served.home("mpc"), "linking", "restart").returncode == 1
    rotate(served)
    move(served)


def rotate(served: Federation) -> None:
    """Another key, made and brought in by the nodes alone; credits stay where they are."""
    served.import_samples("mpc")
    assert said(served, "mpc", "sync", "--wait", "60")["pending"] == 0
    before = said(served, "hub", "status")["totals"]
    said(served, "mpc", "linking", "rotate")
    approve(served, "codi")
    until(lambda: (linking(served, "mpc")["rotation"] or linking(served, "mpc"))["key_epoch"] == 2)
    served.kill("mpc")
    served.start("mpc")
    until(lambda: {linking(served, agency)["key_epoch"] for agency in AGENCIES} == {2})
    assert {linking(served, agency)["rotation"] is None for agency in AGENCIES} == {True}
    served.import_samples("nhco")
    assert said(served, "nhco", "sync", "--wait", "60")["pending"] == 0
    after = said(served, "hub", "status")["totals"]
    settled = said(served, "nhco", "status")["deeds"]["settled"]
    assert before["accounts"] < after["accounts"] < before["accounts"] + settled
    assert after["earned"] > before["earned"]
    assert said(served, "hub", "audit")["problems"] == []


def move(served: Federation) -> None:
    """Two people of mpc agree that one person's deeds are another's; nhco, who knows the first, approves."""
    people = {key: each["by_agency"] for key, each in EXPECTED["subjects"].items() if each["kind"] == "person"}
    wrong = next(key for key, by in people.items() if by.get("mpc", 0) > 0 and by.get("nhco", 0) > 0)
    right = next(key for key, by in people.items() if by.get("mpc", 0) > 0 and key != wrong)
    earned = {key: earned_at_mpc(served, key) for key in (wrong, right)}
    proposed = said(served, "mpc", "merge", "--from", wrong, "--to", right, "--by", "มาลี")
    assert commands.node(served.home("mpc"), "moves", "confirm", "1", "--by", "มาลี", "--yes").returncode == 1
    unasked = commands.node(served.home("mpc"), "moves", "confirm", "1", "--by", "สมชาย")
    assert (unasked.returncode, "nobody said yes" in unasked.stderr) == (1, True)
    confirmed = said(served, "mpc", "moves", "confirm", "1", "--by", "สมชาย", "--yes")
    assert (proposed["state"], confirmed["state"]) == ("proposed", "waiting")
    (waiting,) = said(served, "nhco", "approvals", "list")["waiting"]
    shown = said(served, "nhco", "approvals", "show", waiting["id"])
    assert (shown["content"]["agency"], shown["content"]["credits"]) == ('"mpc"', str(earned[wrong]))
    assert shown["here"]["known_here"].endswith("***")
    approve(served, "nhco")
    until(lambda: bool(said(served, "mpc", "moves", "list")[0]["state"] == "done"))
    assert said(served, "mpc", "sync", "--wait", "60")["pending"] == 0
    assert earned_at_mpc(served, right) == sum(earned.values())
    assert said(served, "hub", "audit")["ok"]


def earned_at_mpc(served: Federation, person: str) -> int:
    return int(said(served, "mpc", "balance", "--id", person)["earned_here"])
