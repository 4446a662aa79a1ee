"""A served hub whose clock leaps by most of a year, and is put right."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from federation import AGENCIES
from federation import Federation as LocalFederation

DAY_SECONDS = 86_400
# Python imports it when a process begins: the hub's wall clock is as far ahead as a file says; the other goes on.
SHIFTED = """
import os, time
real = time.time_ns
def ahead():
    with open(os.environ["CLOCK_AHEAD"]) as file:
        return int(file.read())
time.time_ns = lambda: real() + ahead() * 1_000_000_000
"""


class Leaping:
    """A federation whose hub goes by a clock that can be set."""

    def __init__(self, served: LocalFederation, ahead: Path) -> None:
        self.served, self._ahead = served, ahead

    def set(self, seconds: int) -> None:
        new = self._ahead.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._ahead)


@pytest.fixture
def leaping(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leaping]:
    shutil.copytree(template, tmp_path / "federation")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SHIFTED)
    served = LocalFederation(tmp_path / "federation")
    made = Leaping(served, tmp_path / "ahead")
    made.set(0)
    try:
        with monkeypatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path / "site"), os.environ.get("PYTHONPATH", ""))))
            patch.setenv("CLOCK_AHEAD", str(tmp_path / "ahead"))
            served.start("hub")
        served.start(*AGENCIES)
        yield made
    finally:
        served.stop()


def until(holds: Callable[[], bool], seconds: float = 90) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        time.sleep(1)


@pytest.mark.rest
def test_a_leap_binds_nothing_and_the_hub_says_so_and_goes_on_by_itself(leaping: Leaping) -> None:
    served = leaping.served
    served.import_samples("mpc")
    assert served.answer("mpc", "sync", "--wait", "60")["pending"] == 0
    before = served.answer("hub", "status")["log"]["size"]
    leaping.set(310 * DAY_SECONDS)
    served.import_samples("nhco")
    served.run("nhco", "sync", "--wait", "2", "--json", check=False)
    assert served.answer("hub", "status")["log"]["size"] == before, "nothing is appended"
    said = (served.folder / "hub.log").read_text("utf-8")
    assert "hub_clock_off" in said
    leaping.set(0)
    until(lambda: served.answer("nhco", "sync", "--wait", "20")["pending"] == 0)
    assert served.answer("hub", "audit")["problems"] == []
    assert served.answer("nhco", "reconcile")["differences"] == []
