"""Whatever is changed in a database behind the program's back is found, named, and put right; with real processes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from federation import AGENCIES
from federation import Federation as LocalFederation
from samprasan.hub import home as hub_homes
from samprasan.hub.tables import accounts, log
from samprasan.node import home as node_homes
from samprasan.node.tables import deeds

from tests import local

WITHIN_SECONDS = 60.0


@pytest.fixture(scope="module")
def served(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFederation]:
    with local.running(template, tmp_path_factory.mktemp("repair") / "federation") as federation:
        for agency in AGENCIES:
            federation.import_samples(agency)
        for agency in AGENCIES:
            assert federation.answer(agency, "sync", "--wait", "60")["pending"] == 0
        yield federation


def change(federation: LocalFederation, party: str, *statements: Any) -> None:
    db = hub_homes.open_database(federation.home("hub"))[1] if party == "hub" else node_store(federation, party)
    with db.begin() as tx:
        for statement in statements:
            tx.execute(statement)
    db.close()


def node_store(federation: LocalFederation, agency: str) -> Any:
    return node_homes.open_database(federation.home(agency))


def rows(federation: LocalFederation, agency: str, query: sa.Select[Any]) -> list[Any]:
    db = node_store(federation, agency)
    with db.read() as tx:
        found = [row._asdict() for row in tx.execute(query)]
    db.close()
    return found


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + WITHIN_SECONDS
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.5)


def totals(federation: LocalFederation) -> Any:
    return federation.answer("hub", "status")["totals"]


def test_deeds_that_were_edited_deleted_and_doubled(served: LocalFederation) -> None:
    before = totals(served)
    told = sa.select(deeds).where(deeds.c.status == "verified", deeds.c.share, deeds.c.credits > 0)
    edited, deleted, doubled = rows(served, "mpc", told.order_by(deeds.c.deed_id).limit(3))
    change(
        served,
        "mpc",
        deeds.update().where(deeds.c.deed_id == edited["deed_id"]).values(credits=edited["credits"] + 1000),
        deeds.delete().where(deeds.c.deed_id == deleted["deed_id"]),
        deeds.insert().values(doubled | {"deed_id": 10**9, "record_id": "again"}),
    )
    found = served.answer("mpc", "reconcile")
    assert found["agreed"] is False
    assert {each["likely_cause"] for each in found["differences"]} <= {"local_edit", "double_count"}
    named = {name for each in found["differences"] for name in each["record_ids"]}
    assert named == {edited["record_id"], "again"}
    repaired = served.answer("mpc", "reconcile", "--repair")
    assert sorted(each["what"] for each in repaired["repaired"]) == ["deed_restored", "orphaned", "removed"]
    assert {each["likely_cause"] for each in repaired["differences"]} == {"restored_backup"}
    (orphan,) = served.answer("mpc", "orphans", "list")
    assert orphan["credits"] == deleted["credits"]
    served.import_samples("mpc")
    assert served.answer("mpc", "sync", "--wait", "60")["pending"] == 0
    assert served.answer("mpc", "orphans", "list") == []
    assert served.answer("mpc", "reconcile")["agreed"] is True
    assert totals(served) == before


@pytest.mark.parametrize("how", ["dropped", "flipped"])
def test_a_batch_that_was_dropped_or_flipped_comes_back_by_itself(served: LocalFederation, how: str) -> None:
    db = hub_homes.open_database(served.home("hub"))[1]
    with db.read() as tx:
        first = sa.select(log).where(log.c.agency == "nhco").order_by(log.c.seq).limit(1)
        row = tx.execute(first).one()._asdict()
    flipped = bytearray(row["batch"])
    flipped[len(flipped) // 3] ^= 1
    statement = log.update().values(batch=bytes(flipped)) if how == "flipped" else log.delete()
    change(served, "hub", statement.where(log.c.log_index == row["log_index"]))
    until(lambda: str(row["log_index"]) in served.answer("hub", "status")["log"]["damaged"])
    served.answer("nhco", "reconcile", "--repair")
    until(lambda: served.answer("hub", "status")["log"]["damaged"] == {})
    with db.read() as tx:
        assert tx.execute(first).one()._asdict() == row
    db.close()
    assert served.answer("hub", "audit")["ok"] is True
    assert served.answer("nhco", "reconcile")["agreed"] is True


def test_totals_that_are_not_what_the_log_says_are_made_anew(served: LocalFederation) -> None:
    before = totals(served)
    change(served, "hub", accounts.update().values(earned_health=accounts.c.earned_health + 5))
    found = served.answer("codi", "reconcile", "--repair")
    assert {each["likely_cause"] for each in found["differences"]} == {"hub_totals"}
    assert found["repaired"] == []
    assert served.answer("hub", "recover")["tables"] is True
    assert totals(served) == before
    assert served.answer("hub", "audit")["ok"] is True
    assert served.answer("codi", "reconcile")["agreed"] is True
