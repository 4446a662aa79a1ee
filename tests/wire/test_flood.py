"""One member floods the federation with proposals; the others go on, see all of them, and say no to what they like."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from federation import SAMPLES, Federation

from tests import commands, local
from tests.commands import Done
from tests.local import said

CATEGORIES = 480
PROPOSALS = 9
WAIT_SECONDS = 30


@pytest.fixture
def served(template: Path, tmp_path: Path) -> Iterator[Federation]:
    with local.running(template, tmp_path / "federation") as federation:
        yield federation


def large_policy(number: int) -> str:
    text = (SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2", 1)
    for index in range(CATEGORIES):
        text += f'''
[[category]]
code = "large.{number}-{index:03}"
dimension = "health"
title = {{ th = "{"ก" * 80}", en = "Large" }}
unit = "event"
credits_per_unit = 1
quantity_max = 1
'''
    return text


def test_a_flood_of_large_proposals_ends_nobodys_session(served: Federation, tmp_path: Path) -> None:
    refused = 0
    for number in range(PROPOSALS):
        file = tmp_path / f"large-{number}.toml"
        file.write_text(large_policy(number), "utf-8")
        for agency in ("codi", "nhco"):  # the second one without malice: together it is more than a message may hold
            done = served.run(agency, "policy", "propose", str(file), check=False)
            refused += done.returncode
            assert not done.returncode or "of your proposals wait already" in done.stderr, done.stderr
    assert refused > 0
    waiting = said(served, "mpc", "approvals", "list")
    assert waiting["fresh"]
    assert len(waiting["waiting"]) == 2 * PROPOSALS - refused
    says_no(served, tmp_path / f"large-{PROPOSALS - 1}.toml")
    served.import_samples("mpc")
    assert served.answer("mpc", "sync", "--wait", "60")["pending"] == 0
    again = (SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2", 1)
    small = tmp_path / "small.toml"
    small.write_text(again, "utf-8")
    proposed = said(served, "mpc", "policy", "propose", str(small))
    shown = said(served, "nhco", "approvals", "show", proposed["id"])
    served.run("nhco", "approvals", "approve", proposed["id"], "--digest", shown["digest"])
    assert said(served, "codi", "approvals", "list")["waiting"] == [], "another policy has taken their place"


def says_no(served: Federation, file: Path) -> None:
    """A proposal is over by two declines, or when its proposer takes it back, who has room for another one then."""
    waiting = said(served, "mpc", "approvals", "list")["waiting"]
    first, second = [each for each in waiting if each["signed"] == ["codi"]][:2]
    refused = answer(served, "mpc", "decline", first["id"], "--reason", "later")
    assert (refused.returncode, "Nothing was done" in refused.stderr) == (1, True), "it was shown, and nobody said yes"
    declined = answer(served, "mpc", "decline", first["id"], "--reason", "later", "--digest", first["digest"])
    assert "The others can still put it into force" in declined.stdout
    (shown,) = [each for each in said(served, "codi", "approvals", "list")["waiting"] if each["id"] == first["id"]]
    assert shown["declined"] == {"mpc": "later"}
    assert "mpc (later)" in answer(served, "nhco", "show", first["id"]).stdout
    over = answer(served, "nhco", "decline", first["id"], "--reason", "mistake", "--digest", first["digest"])
    assert "is over: too few are left" in over.stdout
    not_its = answer(served, "nhco", "withdraw", second["id"], "--digest", second["digest"])
    assert "did not propose this document" in not_its.stderr
    taken_back = answer(served, "codi", "withdraw", second["id"], "--digest", second["digest"])
    assert "it can never take effect" in taken_back.stdout
    served.run("codi", "policy", "propose", str(file))  # there is room again
    until_told(served, {first["id"]: {"mpc": "later", "nhco": "mistake"}, second["id"]: {"codi": "withdrawn"}})
    listed = answer(served, "mpc", "list").stdout
    assert "Ended within a month" in listed
    assert "codi (withdrawn)" in listed


def answer(served: Federation, agency: str, *arguments: str) -> Done:
    return commands.node(served.home(agency), "approvals", *arguments)


def until_told(served: Federation, ended: dict[str, dict[str, str]]) -> None:
    """Each node hears it with the next of the hub's chain."""
    ends = time.monotonic() + WAIT_SECONDS
    while {each["id"]: each["declined"] for each in said(served, "mpc", "approvals", "list")["ended"]} != ended:
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.2)
