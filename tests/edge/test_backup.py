"""Backups: whole or nothing, restored into either database, by whoever has the passphrase and nobody else."""

import io
import json
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pyrage  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa
from samprasan.edge import backup, database
from samprasan.hub import home as hub_homes
from samprasan.hub import tables as hub_tables
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unproven
from samprasan.node import home as node_homes
from samprasan.node import tables as node_tables
from samprasan.node.home import NodeSettings

from tests import commands
from tests.databases import Databases
from tests.local import copied


@cache
def unlocked(sealed: bytes, passphrase: str) -> bytes:
    """As age does it, which takes a second each time: it is meant to."""
    opened: bytes = age_decrypt(sealed, passphrase)
    return opened


@pytest.fixture(autouse=True)
def once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyrage.passphrase, "decrypt", unlocked)


def quiet(_what: str, _rows: int) -> None:
    """Nobody looks on."""


@pytest.fixture(scope="module")
def node_home(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node's home that has something in most tables."""
    federation = copied(template, tmp_path_factory.mktemp("backups") / "federation")
    federation.import_samples("mpc")
    return federation.home("mpc")


@pytest.fixture(scope="module")
def node_backup(node_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backup") / "mpc.backup"
    with path.open("wb") as out:
        found = node_homes.back_up(node_home, out, quiet)
    assert found["rows"] > 10
    return path


age_decrypt = pyrage.passphrase.decrypt


def passphrase_of(home: Path) -> bytes:
    return (home / "passphrase").read_bytes().strip()


def restore(path: Path, home: Path, node_home: Path, url: str = "", passphrase: bytes = b"") -> dict[str, Any]:
    named = str(node_home / "passphrase")
    return node_homes.restore(path, home, url, named, passphrase or passphrase_of(node_home), quiet)


def unmarked(_tx: Any) -> None:
    """Nothing is to be remembered."""


def everything_at(home: Path) -> dict[str, list[str]]:
    db = node_homes.open_database(home)
    with db.read() as tx:
        tables = node_tables.metadata.sorted_tables
        found = {table.name: sorted(map(repr, tx.execute(sa.select(table)))) for table in tables}
    db.close()
    return found


@pytest.fixture
def empty_url(databases: Databases) -> str:
    """An empty database, on each."""
    return databases.url("restored")


def test_a_restored_home_is_what_it_was(node_home: Path, node_backup: Path, tmp_path: Path, empty_url: str) -> None:
    """On either database; the node alone is halted until it has recovered."""
    home = tmp_path / "restored"
    assert restore(node_backup, home, node_home, empty_url)["problems"] == []
    before, after = everything_at(node_home), everything_at(home)
    halted = after.pop("notes"), before.pop("notes")
    assert after == before
    assert any("restored" in row for row in halted[0])
    assert not any("restored" in row for row in halted[1])
    one, other = node_homes.open_home(node_home), node_homes.open_home(home)
    assert one.node.world.signer.public_key == other.node.world.signer.public_key
    assert one.certificate == other.certificate
    assert NodeSettings.load(home).database == empty_url
    assert not list(home.glob(".*"))
    assert {path.stat().st_mode & 0o077 for path in home.rglob("*") if path.is_file() and path.suffix != ".db"} == {0}
    one.node.db.close()
    with other.node.db.begin() as tx:  # what comes is numbered behind what is there
        newest = tx.execute(sa.select(sa.func.max(node_tables.imports.c.import_id))).scalar_one()
        values = {"source": "x", "file_digest": b"d" * 32, "imported_at": 0, "counts": "{}"}
        key = tx.execute(node_tables.imports.insert().values(values)).inserted_primary_key
        assert key is not None
        assert key[0] == newest + 1
    other.node.db.close()


def test_nothing_in_the_file_is_readable(node_home: Path, node_backup: Path) -> None:
    data = node_backup.read_bytes()
    assert zipfile.is_zipfile(node_backup)
    # Words of three bytes are in every hundredth such file by chance: nothing shorter than seven is looked for.
    for secret in (b"manifest", b"subjects", b"MPC-00001", (node_home / "keys" / "keyring.json").read_bytes()):
        assert len(secret) > 6
        assert secret not in data


@pytest.mark.parametrize("part", range(16))
def test_a_changed_or_cut_off_backup_restores_nothing(
    node_home: Path, node_backup: Path, tmp_path: Path, part: int
) -> None:
    data = bytearray(node_backup.read_bytes())
    place = len(data) * part // 16 + 7
    if part % 2:
        data[place] ^= 1 << part % 8
    else:
        del data[place:]
    broken = tmp_path / "broken.backup"
    broken.write_bytes(bytes(data))
    home = tmp_path / "restored"
    try:
        restore(broken, home, node_home)
    except SamprasanError as problem:
        assert isinstance(problem, Malformed | Unproven)  # noqa: PT017 - a flipped bit in a ZIP header may not matter
        assert not home.exists()
    else:
        assert everything_at(home)["deeds"] == everything_at(node_home)["deeds"]


def test_a_wrong_passphrase_restores_nothing(node_home: Path, node_backup: Path, tmp_path: Path) -> None:
    with pytest.raises(Unproven) as refused:
        restore(node_backup, tmp_path / "restored", node_home, passphrase=b"another")
    assert refused.value.code == "backup_passphrase"
    assert not (tmp_path / "restored").exists()


def test_a_nodes_backup_makes_no_hub(node_home: Path, node_backup: Path, tmp_path: Path) -> None:
    named = str(node_home / "passphrase")
    with pytest.raises(Refused) as refused:
        hub_homes.restore(node_backup, tmp_path / "hub", "", named, passphrase_of(node_home), quiet)
    assert refused.value.code == "backup_foreign"
    assert not (tmp_path / "hub").exists()


def test_a_home_that_is_there_is_left_alone(node_home: Path, node_backup: Path) -> None:
    before = sorted(path.name for path in node_home.iterdir())
    with pytest.raises(Refused) as refused:
        restore(node_backup, node_home, node_home)
    assert refused.value.code == "home_exists"
    assert sorted(path.name for path in node_home.iterdir()) == before


def test_a_database_that_is_not_empty_is_left_alone(
    node_home: Path, node_backup: Path, tmp_path: Path, empty_url: str
) -> None:
    db = database.open_database(empty_url)
    with db.begin() as tx:
        tx.exec_driver_sql("CREATE TABLE kept (n INTEGER)")
    with pytest.raises(Refused) as refused:
        restore(node_backup, tmp_path / "restored", node_home, empty_url)
    assert refused.value.code == "database_not_empty"
    with db.read() as tx:
        assert sa.inspect(tx).get_table_names() == ["kept"]
    assert not (tmp_path / "restored").exists()
    db.close()


def test_a_file_that_is_there_is_not_written_over(node_home: Path, node_backup: Path) -> None:
    before = node_backup.read_bytes()
    done = commands.node(node_home, "backup", str(node_backup))
    assert done.returncode == 1
    assert node_backup.read_bytes() == before


@cache
def locked() -> tuple[Any, bytes]:
    """An identity, and the same sealed by a passphrase."""
    identity = pyrage.x25519.Identity.generate()
    return identity, pyrage.passphrase.encrypt(str(identity).encode(), "secret")


def made(path: Path, *parts: tuple[str, bytes]) -> Path:
    """A backup that somebody with the passphrase made by hand."""
    identity, sealed_key = locked()
    plain, sealed = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, data in parts:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    plain.seek(0)
    pyrage.encrypt_io(plain, sealed, [identity.to_public()])
    with zipfile.ZipFile(path, "w") as outer:
        outer.writestr("key.age", sealed_key)
        outer.writestr("backup.age", sealed.getvalue())
    return path


MANIFEST = {"program": "node", "federation_id": "", "agency": "mpc", "revision": "0008", "made_at": 0, "format": 1}
END = ("end.json", b'{"rows": {}}')


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("backup", ()),
        ("backup", (("manifest.json", json.dumps(MANIFEST).encode()),)),
        ("backup", (("manifest.json", json.dumps(MANIFEST | {"format": 2}).encode()), END)),
        ("backup", (("manifest.json", b"[]"), END)),
        ("backup", (("manifest.json", b"{" * 100_000), END)),
        ("backup", (("manifest.json", json.dumps(MANIFEST).encode()), ("files/../../evil", b"x"), END)),
        ("backup", (("manifest.json", json.dumps(MANIFEST).encode()), ("files//etc/evil", b"x"), END)),
        ("backup", (("manifest.json", json.dumps(MANIFEST).encode()), ("tables/deeds/0", b'{"a": 1}'), END)),
        ("backup", (("manifest.json", json.dumps(MANIFEST).encode()), ("tables/deeds/0", b"{"), END)),
        ("backup", (("manifest.json", json.dumps(MANIFEST).encode()), END)),
    ],
)
def test_what_was_made_by_hand_restores_nothing(
    node_home: Path, tmp_path: Path, code: str, parts: tuple[tuple[str, bytes], ...]
) -> None:
    path = made(tmp_path / "made.backup", *parts)
    home = tmp_path / "restored"
    with pytest.raises(SamprasanError) as refused:
        restore(path, home, node_home, passphrase=b"secret")
    assert refused.value.code == code
    assert not home.exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["made.backup"]


def test_tables_of_a_newer_program_are_refused(node_home: Path, node_backup: Path, tmp_path: Path) -> None:
    with backup.restoring(node_backup, passphrase_of(node_home), tmp_path / "restored", "node") as found:
        newer = backup.Backup(
            backup.Manifest("node", "", "mpc", "9999", 0),
            found.files,
            found.rows,
            found.folder,
            found.folder / ".plain",
        )
        db = database.open_database("sqlite://")
        with pytest.raises(Refused) as refused:
            newer.load(db, node_homes.MIGRATIONS, unmarked, quiet)
        db.close()
    assert refused.value.code == "backup_newer"


def test_tables_of_an_older_program_are_brought_up_to_date(tmp_path: Path) -> None:
    """A backup of version 0007 has no table for what the agencies give back; a restored home has."""
    db = database.open_database("sqlite://")
    with db.begin() as tx:
        database.migrate_in(tx, hub_homes.MIGRATIONS, "0007")
        tx.execute(hub_tables.head.insert().values(one=1, log_size=7, appended_at=5, documents_changed=3))
    older = sa.MetaData()
    with db.read() as tx:
        older.reflect(tx)
        older.remove(older.tables["alembic_version"])
        manifest = backup.Manifest("hub", "", "", database.revision_of(tx), 0)
        with (tmp_path / "old.backup").open("wb") as out:
            contents = backup.Contents(manifest, {"hub.toml": b'listen = "x:1"\n'}, older)
            backup.write(out, b"secret", contents, tx, quiet)
    restored = database.open_database("sqlite://")
    with backup.restoring(tmp_path / "old.backup", b"secret", tmp_path / "home", "hub") as found:
        found.load(restored, hub_homes.MIGRATIONS, unmarked, quiet)
    with restored.read() as tx:
        assert "refed" in sa.inspect(tx).get_table_names()
        assert tx.execute(sa.select(hub_tables.head.c.log_size)).scalar_one() == 7
    db.close()
    restored.close()
