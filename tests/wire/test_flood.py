"""One member floods the federation with proposals; the others go on, and see all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from federation import SAMPLES, Federation

from tests import local
from tests.local import said

CATEGORIES = 480
PROPOSALS = 9


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
    served.import_samples("mpc")
    assert served.answer("mpc", "sync", "--wait", "60")["pending"] == 0
    again = (SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2", 1)
    small = tmp_path / "small.toml"
    small.write_text(again, "utf-8")
    proposed = said(served, "mpc", "policy", "propose", str(small))
    shown = said(served, "nhco", "approvals", "show", proposed["id"])
    served.run("nhco", "approvals", "approve", proposed["id"], "--digest", shown["digest"])
    assert said(served, "codi", "approvals", "list")["waiting"] == [], "another policy has taken their place"
