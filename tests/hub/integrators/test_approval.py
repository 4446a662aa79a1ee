"""What is known of integrators, on either database, also after a restore and when several change it at once."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from samprasan.hub import store
from samprasan.hub.integrators import approval, snapshot
from samprasan.hub.integrators.approval import Proposal
from samprasan.keys.errors import Malformed
from samprasan.keys.keyring import write_private
from samprasan.v1 import changes_pb2 as v1

from tests import commands, reading
from tests.federation import Federation


def test_a_snapshot_that_is_being_counted_undoes_nothing(fed_on_each: Federation) -> None:
    hub = fed_on_each.hub
    db = hub.db
    reading.approve(fed_on_each, "welfare-app")
    find = store.integrators.find
    has_found, goes_on = threading.Event(), threading.Event()

    def slowly(*given: Any) -> Any:
        found = find(*given)
        if threading.current_thread() is counting:
            has_found.set()
            goes_on.wait(0.5)  # the others come in between, if they can
        return found

    asked = v1.SnapshotRequest()
    counting = threading.Thread(target=lambda: snapshot.begin_snapshot(hub, "welfare-app", asked))
    with mock.patch.object(store.integrators, "find", slowly):
        counting.start()
        assert has_found.wait(10)
        approval.change_handles(db, "welfare-app")
        approval.revoke(hub, "welfare-app")
        goes_on.set()
        counting.join()
    with db.read() as tx:
        known = store.integrators.find(tx, "welfare-app")
    assert (known.handle_epoch, known.snapshots) == (2, 1)
    assert known.revoked_at


@pytest.mark.parametrize("days", [0, -3, 3_661])
def test_changes_are_kept_for_a_number_of_days_that_makes_sense(tmp_path: Path, days: int) -> None:
    write_private(tmp_path / "passphrase", b"a b c d")
    home = tmp_path / "hub"
    made = commands.hub(home, "init", "--passphrase-file", str(tmp_path / "passphrase"))
    assert made.returncode == 0
    with (home / "hub.toml").open("a") as file:
        file.write(f"changes_kept_days = {days}\n")
    told = commands.hub(home, "status")
    assert told.returncode == 1
    assert f"is {days}, not from 1 to 3660" in told.stderr


@pytest.mark.parametrize("field", ["title", "purpose"])
def test_no_id_is_laid_before_the_agencies(fed: Federation, field: str) -> None:
    wanted = Proposal("welfare-app", "An app", "Shows people their own credits", (), 10, 24, 365)
    with_id: Any = {field: "For 1-1017-00203-45-0"}
    with pytest.raises(Malformed) as told:
        approval.propose(fed.hub, replace(wanted, **with_id))
    assert (told.value.code, told.value.values["field"]) == ("document_id", field)
    assert reading.proposed(fed) == []
