"""The main job with every party's data in PostgreSQL: real processes, and a hub killed in the middle."""

from pathlib import Path

from federation import AGENCIES
from federation import Federation as LocalFederation

from tests import local
from tests.samples import EXPECTED


def _leave(served: LocalFederation, person: str) -> None:
    """A person of the sample takes consent back, agrees again and is erased."""
    asked = ("--id", person)
    before = served.answer("hub", "status")["agencies"]
    taken = served.answer("mpc", "consent", "withdraw", *asked, "--purpose", "share", "--purpose", "redeem")
    assert (taken["account"], taken["withdrawn"]) == ("leaving", ["share", "redeem"])
    assert served.answer("mpc", "sync", "--wait", "60")["pending"] == 0
    assert served.answer("mpc", "consent", "show", *asked)["account"] == "leaving"
    assert served.answer("mpc", "consent", "give", *asked, "--purpose", "redeem")["redeem"]
    assert served.answer("mpc", "erase", *asked, "--confirm")["done"]
    assert served.answer("mpc", "sync", "--wait", "60")["pending"] == 0
    after = served.answer("hub", "status")["agencies"]
    linked = {each["agency"]: each["accounts"] for each in before}
    assert {each["agency"]: each["accounts"] for each in after} == linked | {"mpc": linked["mpc"] - 1}
    again = served.import_samples("mpc")
    assert set(again["rejected"]) >= {"erased"}
    for party in ("mpc", "hub"):
        served.run(party, "compact")
    assert served.answer("hub", "audit")["problems"] == []


def test_a_federation_on_postgresql_comes_to_the_same_totals(durable_postgresql_url: str, tmp_path: Path) -> None:
    with local.made(tmp_path / "federation", durable_postgresql_url) as served:
        for agency in AGENCIES:
            report = served.import_samples(agency)
            assert report["credits_shared"] == EXPECTED["reports"][agency]["credits_shared"]
        served.kill("hub")
        served.restart("hub")
        for agency in AGENCIES:
            assert served.answer(agency, "sync", "--wait", "60")["pending"] == 0
            assert served.import_samples(agency)["accepted"] == 0
        status = served.answer("hub", "status")
        assert status["totals"]["earned"] == EXPECTED["federation"]["earned"]
        assert status["totals"]["accounts"] == EXPECTED["federation"]["subjects"]
        assert served.answer("hub", "audit")["problems"] == []
        _leave(served, "8887299505574")
        assert not list(served.folder.rglob("*.db"))
