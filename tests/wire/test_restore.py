"""A node of yesterday, a hub of yesterday, a hub that is gone: real files, real processes, nothing lost or doubled."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from federation import AGENCIES, SAMPLES
from federation import Federation as LocalFederation

from tests import local

WITHIN_SECONDS = 60.0


@pytest.fixture(scope="module")
def served(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFederation]:
    with local.running(template, tmp_path_factory.mktemp("restore") / "federation") as federation:
        federation.run("hub", "backup", str(federation.folder / "founding.backup"))
        bring_in(federation, "deeds")
        federation.run("mpc", "backup", str(federation.folder / "mpc.backup"))
        bring_in(federation, "deeds-later")
        yield federation


def bring_in(federation: LocalFederation, stage: str) -> None:
    for agency in AGENCIES:
        federation.import_samples(agency, stage)
    for agency in AGENCIES:
        assert federation.answer(agency, "sync", "--wait", "60")["pending"] == 0


def restore(federation: LocalFederation, party: str, file: str) -> Any:
    """The party's machine is gone; its passphrase is not."""
    federation.kill(party)
    passphrase = federation.folder / f"{party}.passphrase"
    shutil.copy(federation.home(party) / "passphrase", passphrase)
    shutil.rmtree(federation.home(party))
    given = ("--passphrase-file", str(passphrase))
    answer = federation.answer(party, "restore", str(federation.folder / file), *given)
    shutil.copy(passphrase, federation.home(party) / "passphrase")
    return answer


def totals(federation: LocalFederation) -> Any:
    return federation.answer("hub", "status")["totals"]


def all_agree(federation: LocalFederation) -> bool:
    assert federation.answer("hub", "audit")["ok"] is True
    assert {agency: federation.answer(agency, "reconcile")["differences"] for agency in AGENCIES} == {
        agency: [] for agency in AGENCIES
    }
    return True


def test_a_node_of_yesterday(served: LocalFederation) -> None:
    before, deeds = totals(served), served.answer("mpc", "status")["credits_settled"]
    found = restore(served, "mpc", "mpc.backup")
    assert (found["agency"], found["problems"]) == ("mpc", [])
    refused = served.run("mpc", "serve", check=False)
    assert refused.returncode == 1
    assert "samprasan-node recover" in refused.stderr
    recovered = served.answer("mpc", "recover")
    assert recovered["batches"] > 0
    served.start("mpc")
    served.import_samples("mpc", "deeds-later")
    if (served.folder / "one.csv").exists():
        bring_in_one(served)
    assert served.answer("mpc", "sync", "--wait", "60")["pending"] == 0
    assert served.answer("mpc", "orphans", "list") == []
    assert all_agree(served)
    assert totals(served) == before
    assert served.answer("mpc", "status")["credits_settled"] == deeds


def test_a_hub_that_was_lost(served: LocalFederation) -> None:
    """Of the hub that is gone but for its keys there is only what was written on the day it was founded."""
    before, size = totals(served), served.answer("hub", "status")["log"]["size"]
    found = restore(served, "hub", "founding.backup")
    assert (found["problems"], found["integrators"]) == ([], [])
    assert served.answer("hub", "status")["recovery"]["waiting_for"] == sorted(AGENCIES)
    served.restart("hub")
    ends = time.monotonic() + WITHIN_SECONDS
    while served.answer("hub", "status")["recovery"] is not None:
        assert time.monotonic() < ends
        time.sleep(0.5)
    assert served.answer("hub", "status")["log"]["size"] >= size
    assert totals(served) == before
    assert all_agree(served)
    assert [served.answer(agency, "status")["halted"] for agency in AGENCIES] == [None, None, None]
    # And it goes on: the same exports again change nothing, and everything is settled.
    assert served.answer("nhco", "sync", "--wait", "60")["pending"] == 0


def until(served: LocalFederation, holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + WITHIN_SECONDS
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.5)


def new_record(folder: Path) -> Path:
    """An export of mpc with one record more, of somebody who is known."""
    header, first, *_ = (SAMPLES / "mpc" / "deeds-later.csv").read_text("utf-8-sig").splitlines()
    path = folder / "one.csv"
    path.write_text(f"{header}\n{first.replace('MPC-00001', 'MPC-90001')}\n", "utf-8")
    return path


def bring_in_one(served: LocalFederation) -> None:
    profile = str(SAMPLES / "profiles" / "mpc.toml")
    served.answer("mpc", "import", str(new_record(served.folder)), "--profile", profile)
    assert served.answer("mpc", "sync", "--wait", "60")["pending"] == 0


def test_what_hub_and_node_have_both_lost(served: LocalFederation) -> None:
    """The two others saw a log that held it; they agree to go on without, and nothing else is given up."""
    served.run("hub", "backup", str(served.folder / "hub.today"))
    served.run("mpc", "backup", str(served.folder / "mpc.today"))
    bring_in_one(served)
    before, size = totals(served), served.answer("hub", "status")["log"]["size"]
    until(served, lambda: served.answer("nhco", "checkpoint")["size"] >= size)
    restore(served, "mpc", "mpc.today")
    restore(served, "hub", "hub.today")
    assert (
        served.run("nhco", "cut", "--yes", check=False).returncode == 1
    )  # the hub does not answer, or has not heard everybody
    served.restart("hub")
    assert (
        served.run("mpc", "recover", check=False).returncode == 1
    )  # it gives back what it has; the hub recovers first
    until(served, lambda: served.answer("hub", "status")["recovery"]["missing"] is not None)
    assert "yes" in served.run("nhco", "cut", check=False).stderr  # nobody was asked, so nothing was signed
    proposed = served.answer("nhco", "cut", "--yes")
    assert (proposed["kind"], proposed["waiting"]) == ("cut", True)
    shown = served.answer("codi", "approvals", "show", proposed["id"])
    assert shown["here"]["entries_left"] == served.answer("hub", "status")["log"]["size"]
    served.run("codi", "approvals", "approve", proposed["id"], "--digest", shown["digest"])
    until(served, lambda: served.answer("hub", "status")["recovery"] is None)
    served.run("mpc", "recover")
    served.start("mpc")
    bring_in_one(served)
    assert all_agree(served)
    assert totals(served) == before
    assert [served.answer(agency, "status")["halted"] for agency in AGENCIES] == [None, None, None]
    until(served, lambda: served.answer("nhco", "checkpoint")["origin"].endswith("/cut-1"))
