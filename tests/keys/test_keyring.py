"""Keys at rest: sealed, private, and refused when they are not."""

import json
from pathlib import Path

import pytest
from samprasan.keys.errors import Refused, SamprasanError, Unproven
from samprasan.keys.keyring import Keyring, read_private, write_private
from samprasan.keys.sealing import Vault, open_sealed, seal_for, sealing_public_key

COST = 1 << 10  # the tests' keyrings are cheap; the default is checked below


def made(folder: Path) -> Keyring:
    return Keyring.create(folder / "keys", b"passphrase", COST)


def test_a_secret_comes_back_and_its_file_does_not_show_it(tmp_path: Path) -> None:
    made(tmp_path).save("signing", b"a secret of 32 bytes, or not so.")
    assert Keyring.open(tmp_path / "keys", b"passphrase").get("signing") == b"a secret of 32 bytes, or not so."
    for file in (tmp_path / "keys").iterdir():
        assert b"secret" not in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["keyring.json", "signing.sealed"])
def test_a_keyring_that_others_can_read_is_refused(tmp_path: Path, name: str) -> None:
    made(tmp_path).save("signing", b"secret")
    (tmp_path / "keys" / name).chmod(0o640)
    with pytest.raises(Refused) as refused:
        Keyring.open(tmp_path / "keys", b"passphrase").get("signing")
    assert refused.value.code == "key_file_exposed"
    assert "chmod 600" in refused.value.hint()


def test_a_wrong_passphrase_is_told_from_damage(tmp_path: Path) -> None:
    made(tmp_path).save("signing", b"secret")
    with pytest.raises(Unproven) as wrong:
        Keyring.open(tmp_path / "keys", b"other")
    assert wrong.value.code == "passphrase_wrong"
    file = tmp_path / "keys" / "signing.sealed"
    write_private(file, file.read_bytes()[:-1] + b"x")
    with pytest.raises(Unproven) as damaged:
        Keyring.open(tmp_path / "keys", b"passphrase").get("signing")
    assert damaged.value.code == "keyring_damaged"


def test_a_sealed_file_under_another_name_does_not_open(tmp_path: Path) -> None:
    ring = made(tmp_path)
    ring.save("signing", b"secret")
    write_private(tmp_path / "keys" / "vault.sealed", read_private(tmp_path / "keys" / "signing.sealed"))
    with pytest.raises(Unproven):
        ring.get("vault")


@pytest.mark.parametrize("change", [{"cost": 1 << 30}, {"cost": 3}, {"salt": "zz"}, {"check": None}])
def test_a_header_that_was_changed_costs_nothing(tmp_path: Path, change: dict[str, object]) -> None:
    made(tmp_path)
    path = tmp_path / "keys" / "keyring.json"
    write_private(path, json.dumps(json.loads(path.read_bytes()) | change).encode())
    with pytest.raises(SamprasanError):
        Keyring.open(tmp_path / "keys", b"passphrase")


def test_missing_and_repeated_keyrings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        Keyring.open(tmp_path / "keys", b"passphrase")
    made(tmp_path)
    with pytest.raises(Refused):
        made(tmp_path)
    with pytest.raises(Refused):
        Keyring.open(tmp_path / "keys", b"passphrase").get("nothing")


def test_mail_opens_for_its_reader_in_its_context_only() -> None:
    reader, other = b"\x01" * 32, b"\x02" * 32
    sealed = seal_for(sealing_public_key(reader), b"hello", b"mpc/nhco")
    assert open_sealed(reader, sealed, b"mpc/nhco") == b"hello"
    for key, data, context in (
        (other, sealed, b"mpc/nhco"),
        (reader, sealed, b"mpc/codi"),
        (reader, b"x", b"mpc/nhco"),
    ):
        with pytest.raises(Unproven):
            open_sealed(key, data, context)


def test_a_sealed_column_opens_where_it_was_sealed() -> None:
    vault = Vault(b"\x01" * 32)
    sealed = vault.seal("subjects.sealed_id", b"value", b"n" * 12)
    assert vault.open("subjects.sealed_id", sealed) == b"value"
    for holder, column, data in (
        (vault, "subjects.sealed_name", sealed),
        (Vault(b"\x02" * 32), "subjects.sealed_id", sealed),
        (vault, "subjects.sealed_id", sealed[:-1]),
        (vault, "subjects.sealed_id", b""),
    ):
        with pytest.raises(Unproven):
            holder.open(column, data)
    assert vault.index(b"a") != Vault(b"\x02" * 32).index(b"a")
