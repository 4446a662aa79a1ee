"""Offline everything queues, and drains by itself within seconds of the hub's return."""

import json
import time
from pathlib import Path

from federation import AGENCIES, SAMPLES

from tests import commands, local
from tests.samples import EXPECTED

DRAIN_SECONDS = 30.0


def test_without_a_hub_deeds_wait_and_go_by_themselves_when_it_returns(template: Path, tmp_path: Path) -> None:
    with local.running(template, tmp_path / "federation") as federation:
        federation.kill("hub")
        for agency in AGENCIES:
            file = next((SAMPLES / agency).glob("deeds.*"))
            profile = SAMPLES / "profiles" / f"{agency}.toml"
            done = commands.node(federation.home(agency), "import", str(file), "--profile", str(profile))
            assert done.returncode == 0
        waiting = federation.run("mpc", "sync", "--wait", "2", "--json", check=False)
        assert waiting.returncode == 1
        assert json.loads(waiting.stdout)["pending"] > 0
        doctor = json.loads(federation.run("mpc", "doctor", "--json", "--lang", "en", check=False).stdout)
        (finding,) = [each for each in doctor["findings"] if not each["ok"]]
        assert (finding["check"], "cannot be reached" in finding["message"]) == ("hub", True)
        federation.restart("hub")
        begun = time.monotonic()
        total = 0
        while total != EXPECTED["federation"]["earned"] and time.monotonic() - begun < DRAIN_SECONDS:
            time.sleep(0.1)
            total = json.loads(commands.hub(federation.home("hub"), "status", "--json").stdout)["totals"]["earned"]
        print(f"drained in {time.monotonic() - begun:.1f} s")
        assert total == EXPECTED["federation"]["earned"]
        federation.kill("hub")
        remembered = federation.run("mpc", "balance", "--id", "-", "--json", check=False)
        assert remembered.returncode == 1, "never asked for before: nothing to remember"
