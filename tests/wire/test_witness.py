"""The log as others see it: tiles over plain HTTP, checkpoints that all agencies cosign, and a hub that is caught."""

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pymerkle
import pytest
from federation import AGENCIES, SAMPLES
from federation import Federation as LocalFederation
from samprasan.hub import home as hub_homes
from samprasan.hub import store
from samprasan.keys import checkpoint
from samprasan.keys.identifiers import Scheme, parse
from samprasan.keys.signing import verify_ed25519
from samprasan.node import home as node_homes

from tests import federation as memory
from tests import local
from tests.local import said

WAIT_SECONDS = 30.0


class Watched:
    """A federation whose hub serves its tree over HTTP."""

    def __init__(self, federation: LocalFederation, tiles: str) -> None:
        self.federation = federation
        self.tiles = tiles

    def get(self, path: str) -> bytes:
        with urlopen(f"http://{self.tiles}/{path}", timeout=10) as answer:
            data: bytes = answer.read()
            return data


@pytest.fixture(scope="module")
def watched(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    federation = local.copied(template, tmp_path_factory.mktemp("watched") / "federation")
    address = local.free_address()
    with (federation.home("hub") / "hub.toml").open("a") as file:
        file.write(f'tiles = "{address}"\n')
    try:
        federation.start()
        federation.answer("mpc", "sync", "--wait", "20")
        yield Watched(federation, address)
    finally:
        federation.stop()


def until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.2)


def log_of(federation: LocalFederation) -> Any:
    return said(federation, "hub", "status")["log"]


def test_every_agency_cosigns_what_the_hub_signs(watched: Watched) -> None:
    until(lambda: log_of(watched.federation)["checkpoint"]["final"] == log_of(watched.federation)["size"] > 0)
    log = log_of(watched.federation)
    assert log["checkpoint"]["cosigned"] == dict.fromkeys(AGENCIES, log["size"])
    assert log["checkpoint"]["late"] == []
    until(lambda: said(watched.federation, "nhco", "checkpoint")["final"] == log["size"])
    shown = said(watched.federation, "nhco", "checkpoint")
    assert (shown["size"], shown["root"], shown["missing"]) == (log["size"], log["root"], [])
    assert shown["evidence"] == []


def test_anybody_can_check_the_log_over_http(watched: Watched) -> None:
    """Checkpoint, tiles and entries, put together by another implementation."""
    until(lambda: watched.get("checkpoint").count("— ".encode()) == 1 + len(AGENCIES))
    hub = hub_homes.open_home(watched.federation.home("hub")).hub
    with hub.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
    hub.db.close()
    note = checkpoint.open_note(
        watched.get("checkpoint"), agreed.federation_id, hub.world.signer.public_key, verify_ed25519
    )
    assert agreed.roster is not None
    keys = {member.agency: member.signing_key for member in agreed.roster.members}
    assert len(checkpoint.cosignatures(note, keys, verify_ed25519)) == len(AGENCIES)
    size = note.checkpoint.size
    assert 0 < size < 256
    bundle = watched.get(f"tile/entries/000.p/{size}")
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for place in range(0, len(bundle), 34):
        assert bundle[place : place + 2] == (32).to_bytes(2, "big")
        tree.append_entry(bundle[place + 2 : place + 34])
    assert tree.get_size() == size
    assert tree.get_root() == note.checkpoint.root
    leaves = watched.get(f"tile/0/000.p/{size}")
    assert [leaves[at : at + 32] for at in range(0, len(leaves), 32)] == [tree.get_leaf(n + 1) for n in range(size)]


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000",  # not full yet
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/64/000",
        "tile/00/000.p/1",
        "tile/0/0.p/1",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/x000/x000/x000/x000/x000/x000/x000/x000/x000/000",
        "tile/0/x999/x999/x999/x999/x999/999.p/1",
        "tile/entries/000.p/255",
        "tile/0/..%2f..%2fhub.toml",
        "tile/0/%E0%B9%90%E0%B9%90%E0%B9%90.p/1",
        "hub.toml",
    ],
)
def test_a_tile_that_is_not_there_is_not_found(watched: Watched, path: str) -> None:
    with pytest.raises(HTTPError) as found:
        watched.get(path)
    found.value.close()
    assert found.value.code == 404


def test_a_hub_that_shows_nodes_different_histories_is_caught(template: Path, tmp_path: Path) -> None:
    """One hub, its database copied: mpc is shown one history, nhco another; then mpc is shown nhco's."""
    federation = local.copied(template, tmp_path / "federation")
    hub, other = federation.home("hub"), tmp_path / "other"
    try:
        federation.start()
        until(lambda: log_of(federation)["checkpoint"]["final"] == log_of(federation)["size"] > 0)
        federation.stop()
        shutil.copytree(hub, other)
        federation.start("hub", "mpc")
        before = log_of(federation)["size"]
        catalogue = SAMPLES / "benefits" / "codi.toml"
        federation.run("codi", "benefit", "publish", str(catalogue))  # stands in the hub's own chain
        until(lambda: said(federation, "mpc", "checkpoint")["size"] > before)
        federation.stop()
        shutil.rmtree(hub)
        shutil.copytree(other, hub)
        federation.start("hub", "nhco")
        give_a_deed(federation, "nhco")
        until(lambda: log_of(federation)["checkpoint"]["size"] > before)
        federation.start("mpc")
        until(lambda: said(federation, "mpc", "status")["halted"] == "log_forked")
        (found,) = said(federation, "mpc", "checkpoint")["evidence"]
        sizes = [int(found[each].split("\n")[1]) for each in ("first", "second")]
        assert sizes[0] <= sizes[1]
        assert federation.run("mpc", "checkpoint", check=False).returncode == 1
        assert '"code": "log_forked"' in (federation.folder / "mpc.log").read_text("utf-8")
    finally:
        federation.stop()


def give_a_deed(federation: LocalFederation, agency: str) -> None:
    """A deed of a village: nobody has to be asked to link it."""
    home = node_homes.open_home(federation.home(agency))
    party = memory.NodeParty(home.node.db, home.node.world, home.node.identity)
    village = parse(Scheme.REGISTRY, "1", "codi.council")
    memory.bring_in(party, [replace(memory.deed(1, 0), subject=village, kind=3)])
    home.node.db.close()


def test_records_are_compared_with_the_hubs_totals_and_a_changed_one_is_named(watched: Watched) -> None:
    """Over the wire, beside a node that serves, with a record edited by another program."""
    served = watched.federation
    give_a_deed(served, "codi")
    until(lambda: said(served, "codi", "status")["outbox"] == 0)
    agreed = said(served, "codi", "reconcile")
    assert (agreed["agreed"], agreed["accounts"], agreed["bytes"]) == (True, 1, 16)
    assert said(served, "codi", "status")["agreed_at"]
    edit(served, "UPDATE deeds SET credits = 1000")
    done = served.run("codi", "reconcile", "--lang", "en", check=False)
    assert done.returncode == 1
    assert "1 of 1 accounts differ" in done.stdout
    assert "R00001" in done.stdout
    (found,) = said(served, "codi", "reconcile")["differences"]
    assert (found["here"]["health"], found["hub"]["health"]) == (1000, 16)
    (codi,) = [each for each in said(served, "hub", "status")["agencies"] if each["agency"] == "codi"]
    assert (codi["differences"], bool(codi["agreed_at"])) == (1, True)
    assert said(served, "hub", "reconciliations")[0]["causes"] == {"local_edit": 1}
    edit(served, "UPDATE deeds SET credits = 16")
    assert said(served, "codi", "reconcile")["agreed"] is True


def edit(served: LocalFederation, statement: str, agency: str = "codi") -> None:
    """Somebody changes the node's database with a tool of their own."""
    with contextlib.closing(sqlite3.connect(served.home(agency) / "node.db", timeout=20)) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_hundred_records_that_differ_are_found_over_the_wire(watched: Watched) -> None:
    """Cells as a stream: as many as it takes, and hardly more."""
    served = watched.federation
    home = node_homes.open_home(served.home("nhco"))
    party = memory.NodeParty(home.node.db, home.node.world, home.node.identity)
    villages = [parse(Scheme.REGISTRY, f"V{number}", "codi.council") for number in range(150)]
    made = [replace(memory.deed(number, 0), subject=each, kind=3) for number, each in enumerate(villages)]
    memory.bring_in(party, made, source="villages")
    until(lambda: said(served, "nhco", "status")["outbox"] == 0)
    assert said(served, "nhco", "reconcile")["accounts"] == 150
    edit(served, "UPDATE deeds SET credits = credits + deed_id WHERE deed_id <= 100", "nhco")
    found = said(served, "nhco", "reconcile")
    assert len(found["differences"]) == 100
    assert found["round_trips"] == 2
    assert found["bytes"] <= 2 * 32 * 100
    assert {each["likely_cause"] for each in found["differences"]} == {"local_edit"}
    home.node.db.close()
