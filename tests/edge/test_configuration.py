"""Homes: a setting that is wrong is named; a passphrase comes from a private place."""

from pathlib import Path

import pytest
from samprasan.edge.configuration import address_of, find_passphrase
from samprasan.keys.errors import Malformed, Refused, SamprasanError
from samprasan.node.home import NodeSettings

from tests import commands


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('agency = "mpc"\ncolour = "red"', "colour"),
        ("agency = 5", "agency"),
        ('hub = "h:1"', "agency"),
        ('agency = "mpc', "no TOML"),
    ],
)
def test_a_faulty_setting_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "node.toml").write_text(text)
    with pytest.raises(Malformed) as refused:
        NodeSettings.load(tmp_path)
    assert says in str(refused.value)


def test_a_database_is_in_the_home_unless_it_is_elsewhere(tmp_path: Path) -> None:
    NodeSettings.write(tmp_path / "a", {"agency": "mpc"})
    assert NodeSettings.load(tmp_path / "a").database_url == f"sqlite:///{tmp_path / 'a' / 'node.db'}"
    NodeSettings.write(tmp_path / "b", {"agency": "mpc", "database": "postgresql://h/n"})
    assert NodeSettings.load(tmp_path / "b").database_url == "postgresql://h/n"
    assert (tmp_path / "a" / "node.toml").stat().st_mode & 0o777 == 0o600
    with pytest.raises(Refused):
        NodeSettings.write(tmp_path / "a", {"agency": "mpc"})


def test_a_passphrase_is_private_and_not_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "passphrase"
    file.write_text("secret\n")
    file.chmod(0o644)
    with pytest.raises(Refused) as exposed:
        find_passphrase(str(file))
    assert exposed.value.code == "key_file_exposed"
    file.chmod(0o600)
    assert find_passphrase(str(file)) == b"secret"
    file.write_text("\n")
    for given in (str(file), str(tmp_path / "none"), ""):
        with pytest.raises(Refused) as missing:
            find_passphrase(given)
        assert missing.value.code == "passphrase_missing"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    file.write_text("from systemd\n")
    assert find_passphrase("") == b"from systemd"


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:x", "host:70000"])
def test_an_address_is_host_and_port(text: str) -> None:
    with pytest.raises(SamprasanError):
        address_of(text)
    assert address_of("[::1]:7443") == ("::1", 7443)


def test_wrong_usage_exits_2_and_a_missing_home_exits_1(tmp_path: Path) -> None:
    assert commands.node(tmp_path, "no-such-command").returncode == 2
    assert commands.node(tmp_path, "status", "--lang", "de").returncode == 2
    missing = commands.node(tmp_path / "none", "status", "--lang", "en")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("error: There is no ")
    assert "hint: Give --home" in missing.stderr
