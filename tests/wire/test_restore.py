"""A node of yesterday, a hub of yesterday, a hub that is gone: real files, real processes, nothing lost or doubled."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from federation import AGENCIES
from federation import Federation as LocalFederation

from tests import local

WITHIN_SECONDS = 60.0


@pytest.fixture(scope="module")
def served(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFederation]:
    with local.running(template, tmp_path_factory.mktemp("restore") / "federation") as federation:
        federation.run("hub", "backup", str(federation.folder / "founding.backup"))
        bring_in(federation, "deeds")
        federation.run("hub", "backup", str(federation.folder / "hub.backup"))
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
    assert served.answer("mpc", "sync", "--wait", "60")["pending"] == 0
    assert served.answer("mpc", "orphans", "list") == []
    assert all_agree(served)
    assert totals(served) == before
    assert served.answer("mpc", "status")["credits_settled"] == deeds


@pytest.mark.parametrize("file", ["hub.backup", "founding.backup"], ids=["yesterday", "lost"])
def test_a_hub_that_was_lost(served: LocalFederation, file: str) -> None:
    """Of the hub that is gone but for its keys there is only what was written on the day it was founded."""
    before, size = totals(served), served.answer("hub", "status")["log"]["size"]
    found = restore(served, "hub", file)
    assert found["problems"] == []
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
