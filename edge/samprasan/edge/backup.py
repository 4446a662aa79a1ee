"""Backups: a home's files and every row of its database as of one moment, in one encrypted file.

The file is a ZIP of two age files (age-encryption.org/v1): ``key.age`` holds an X25519 identity, sealed by the
passphrase that opens the home's keyring; ``backup.age`` is a tar file sealed to that identity, so that it is written
and read in parts.  In the tar file come ``manifest.json`` (whose home, which alembic version), the home's own files,
each table's rows in parts as JSON lines, and ``end.json`` with how many rows there are of each.  age finds every
changed byte, and a file that was cut off.

It is written while the home is served, from one consistent view of the database, and read by the same code whether
the database is SQLite or PostgreSQL: a backup of one can be restored into the other.
"""

import base64
import io
import json
import os
import shutil
import tarfile
import threading
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import pyrage  # type: ignore[import-untyped]
import sqlalchemy as sa
from samprasan.edge import database
from samprasan.edge.configuration import KEYRING, Settings
from samprasan.edge.database import Database, Tx
from samprasan.keys.errors import Malformed, Refused, Unproven
from samprasan.keys.keyring import new_private, write_private

FORMAT = 1
ROWS_READ_AT_ONCE = 100  # of the log, 1 MiB each
PART_BYTES = 4 << 20
_KEY, _DATA = "key.age", "backup.age"
_MANIFEST, _END = "manifest.json", "end.json"
_FILES, _TABLES = "files/", "tables/"
_KEY_BYTES_MAX = 64 * 1024
_PART_BYTES_MAX = 64 << 20
_BYTES = "b64"

Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Whose backup it is; ``revision`` is the alembic version of its tables, ``made_at`` in milliseconds."""

    program: str
    federation_id: str
    agency: str
    revision: str
    made_at: int
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a backup: files by name, and every table of ``metadata``."""

    manifest: Manifest
    files: dict[str, bytes]
    metadata: sa.MetaData


def write(file: BinaryIO, passphrase: bytes, contents: Contents, tx: Tx, progress: Progress) -> int:
    """Write a backup; how many rows it has."""
    identity = pyrage.x25519.Identity.generate()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as outer:
        outer.writestr(_KEY, pyrage.passphrase.encrypt(str(identity).encode(), passphrase.decode()))
        with (
            outer.open(_DATA, "w", force_zip64=True) as part,
            _encrypted(part, identity) as plain,
            tarfile.open(fileobj=plain, mode="w|") as tar,
        ):
            _add_part(tar, _MANIFEST, json.dumps(asdict(contents.manifest)).encode())
            for name, data in sorted(contents.files.items()):
                _add_part(tar, _FILES + name, data)
            tables = contents.metadata.sorted_tables
            counts = {table.name: _dump(tar, tx, table, progress) for table in tables}
            _add_part(tar, _END, json.dumps({"rows": counts}).encode())
    return sum(counts.values())


def files_of(home: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The home's keyring, and those of ``names`` that it has."""
    paths = [*(home / name for name in names), *sorted((home / KEYRING).iterdir())]
    return {str(path.relative_to(home)): path.read_bytes() for path in paths if path.is_file()}


@contextmanager
def restoring(path: Path, passphrase: bytes, home: Path, program: str) -> Iterator["Backup"]:
    """A whole backup of ``program``, for the block to make a home of in its ``folder``, which becomes ``home`` then.

    If it cannot, or is cut short, there is no home.  It is decrypted into that folder for the time being and looked
    through to its end.  Raises Refused ``home_exists``, ``file_missing``, ``backup_foreign``, Malformed ``backup`` if
    it is none, is damaged or was cut off, Unproven ``backup_passphrase``.
    """
    if home.exists() and any(home.iterdir()):
        raise Refused("home_exists", file=home)
    if not path.is_file():
        raise Refused("file_missing", file=path.name)
    unfinished = home.with_name(f".{home.name}.restoring")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a restore that was cut short
    unfinished.mkdir(mode=0o700, parents=True)
    plain = unfinished / ".plain"
    try:
        with path.open("rb") as file:
            _decrypt(file, passphrase, plain)
        found = _checked(plain, unfinished)
        if found.manifest.program != program:
            raise Refused("backup_foreign", program=found.manifest.program)
        yield found
        plain.unlink()
        unfinished.replace(home)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Backup:
    """A whole, readable backup."""

    manifest: Manifest
    files: dict[str, bytes]
    rows: dict[str, int]
    folder: Path
    _plain: Path

    def put_files(self, settings: type[Settings], **changes: str) -> None:
        """Write the home's files, and its settings with ``changes`` that are not empty."""
        values = tomllib.loads(self.files[settings.file_name].decode())
        for name, data in self.files.items():
            if name == settings.file_name:
                continue
            path = self.folder / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, data)
        settings.write(self.folder, values | {key: value for key, value in changes.items() if value})

    def load(self, db: Database, package: str, mark: Callable[[Tx], None], progress: Progress) -> None:
        """Fill an empty database in one transaction: tables of the backup's version, brought up to date, ``mark``-ed.

        Raises Refused ``database_not_empty``, ``backup_newer``.
        """
        if not database.is_known(package, self.manifest.revision):
            raise Refused("backup_newer", revision=self.manifest.revision)
        with db.begin() as tx:
            if sa.inspect(tx).get_table_names():
                raise Refused("database_not_empty")
            database.migrate_in(tx, package, self.manifest.revision)
            self._fill(tx, progress)
            database.migrate_in(tx, package, "head")
            mark(tx)

    def _fill(self, tx: Tx, progress: Progress) -> None:
        tables: dict[str, sa.Table] = {}
        metadata = sa.MetaData()
        with tarfile.open(self._plain, "r") as tar:
            for member in tar:
                if not member.name.startswith(_TABLES):
                    continue
                name = member.name.removeprefix(_TABLES).partition("/")[0]
                if name not in tables:
                    tables[name] = sa.Table(name, metadata, autoload_with=tx)
                    tx.execute(tables[name].delete())  # what the migrations put there
                rows = _rows(tar, member)
                if rows:
                    tx.execute(tables[name].insert(), rows)
                    progress(name, len(rows))
        for table in tables.values():
            database.number_on(tx, table)


@contextmanager
def _encrypted(out: IO[bytes], identity: Any) -> Iterator[IO[bytes]]:
    """A file whose content goes to ``out``, sealed to ``identity``: age reads what a thread writes into a pipe."""
    reading, writing = os.pipe()
    failed: list[BaseException] = []

    def seal() -> None:
        try:
            with os.fdopen(reading, "rb") as plain:
                pyrage.encrypt_io(plain, out, [identity.to_public()])
        except BaseException as problem:  # raised where the writer is
            failed.append(problem)

    thread = threading.Thread(target=seal, name="sealing")
    thread.start()
    try:
        with os.fdopen(writing, "wb") as plain:
            yield plain
    finally:
        thread.join()
    if failed:
        raise failed[0]


def _decrypt(file: BinaryIO, passphrase: bytes, plain: Path) -> None:
    try:
        outer = zipfile.ZipFile(file)
        with outer.open(_KEY) as part:
            sealed = part.read(_KEY_BYTES_MAX)
        data = outer.open(_DATA)
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, NotImplementedError, RuntimeError) as problem:
        raise Malformed("backup", problem=type(problem).__name__) from problem
    try:
        text = pyrage.passphrase.decrypt(sealed, passphrase.decode())
    except (pyrage.DecryptError, UnicodeDecodeError) as problem:
        raise Unproven("backup_passphrase") from problem
    try:
        identity = pyrage.x25519.Identity.from_str(text.decode())
        with new_private(plain) as out, data:
            pyrage.decrypt_io(data, out, [identity])
    except (pyrage.DecryptError, pyrage.IdentityError, zipfile.BadZipFile, OSError, ValueError, EOFError) as problem:
        raise Malformed("backup", problem=type(problem).__name__) from problem


def _checked(plain: Path, folder: Path) -> Backup:
    """The decrypted backup, once every part reads and all are there."""
    files: dict[str, bytes] = {}
    rows: dict[str, int] = {}
    manifest, end = None, None
    try:
        with tarfile.open(plain, "r") as tar:
            for member in tar:
                if member.name == _MANIFEST:
                    manifest = Manifest(**json.loads(_read(tar, member)))
                elif member.name.startswith(_FILES):
                    files[_safe(member.name.removeprefix(_FILES))] = _read(tar, member)
                elif member.name.startswith(_TABLES):
                    name = member.name.removeprefix(_TABLES).partition("/")[0]
                    rows[name] = rows.get(name, 0) + len(_rows(tar, member))
                elif member.name == _END:
                    end = json.loads(_read(tar, member))
    except (tarfile.TarError, ValueError, TypeError, KeyError, OSError, EOFError) as problem:
        raise Malformed("backup", problem=type(problem).__name__) from problem
    whole = manifest is not None and isinstance(end, dict) and end.get("rows") == rows
    if manifest is None or not whole or manifest.format != FORMAT or f"{manifest.program}.toml" not in files:
        raise Malformed("backup", problem="parts are missing")
    return Backup(manifest, files, rows, folder, plain)


def _safe(name: str) -> str:
    """A path below the home, as it was written there."""
    if name.startswith("/") or ".." in Path(name).parts:
        raise ValueError(name)
    return name


def _dump(tar: tarfile.TarFile, tx: Tx, table: sa.Table, progress: Progress) -> int:
    count = 0
    for number, lines in enumerate(_parts(tx, table)):
        _add_part(tar, f"{_TABLES}{table.name}/{number}", b"\n".join(lines))
        count += len(lines)
        progress(table.name, len(lines))
    return count


def _parts(tx: Tx, table: sa.Table) -> Iterator[list[bytes]]:
    """The table's rows as lines, a few MiB at a time; one part without any if there are none."""
    names = list(table.columns.keys())
    lines: list[bytes] = []
    size = 0
    query = sa.select(table).execution_options(yield_per=ROWS_READ_AT_ONCE)
    for row in tx.execute(query):
        if size >= PART_BYTES:
            yield lines
            lines, size = [], 0
        lines.append(json.dumps(dict(zip(names, map(_packed, row), strict=True)), ensure_ascii=False).encode())
        size += len(lines[-1])
    yield lines


def _rows(tar: tarfile.TarFile, member: tarfile.TarInfo) -> list[dict[str, Any]]:
    lines = _read(tar, member).decode().split("\n")
    return [{name: _unpacked(value) for name, value in json.loads(line).items()} for line in lines if line]


def _packed(value: Any) -> Any:
    return {_BYTES: base64.b64encode(value).decode()} if isinstance(value, bytes | memoryview) else value


def _unpacked(value: Any) -> Any:
    return base64.b64decode(value[_BYTES]) if isinstance(value, dict) else value


def _add_part(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o600
    tar.addfile(member, io.BytesIO(data))


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    part = tar.extractfile(member) if member.size <= _PART_BYTES_MAX else None
    if part is None:
        raise ValueError(member.name)
    return part.read()
