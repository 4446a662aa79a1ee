"""What a command needs of a home's keys."""

from pathlib import Path
from unittest import mock

import pytest
from samprasan.edge.configuration import Settings
from samprasan.node import home as homes
from samprasan.node.process import status


def test_status_derives_no_key(template: Path) -> None:
    home = template / "mpc"
    with mock.patch.object(Settings, "keyring", side_effect=AssertionError("a key was derived")):
        found = status.status(homes.open_to_read(home), homes.certificate_of(home))
    assert found["agency"] == "mpc"
    assert found["linking"]["share"] in {1, 2, 3}
    assert found["expires"][0]["what"] == "certificate"


def test_a_node_that_only_reads_signs_nothing(template: Path) -> None:
    node = homes.open_to_read(template / "mpc")
    with pytest.raises(AssertionError, match="signs nothing"):
        node.world.signer.sign(b"anything")
    node.db.close()


def test_status_says_the_same_with_keys_and_without(template: Path) -> None:
    home = template / "nhco"
    opened = homes.open_home(home)
    with_keys = status.status(opened.node, opened.certificate)
    without = status.status(homes.open_to_read(home), homes.certificate_of(home))
    opened.node.db.close()
    assert without == with_keys
