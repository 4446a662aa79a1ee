"""A home: the folder of a hub or node with its TOML file, its keyring and, by default, its database."""

import os
import sys
import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import typer
from samprasan.keys.errors import Malformed, Refused
from samprasan.keys.keyring import Keyring, read_private, write_private

KEYRING = "keys"  # the home's folder of sealed keys
_CREDENTIAL = "passphrase"  # systemd: LoadCredential=passphrase:…


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every home's TOML file says; subclasses add their own keys.  An unknown key is Malformed.

    ``metrics`` is the ``HOST:PORT`` at which Prometheus may ask; empty: nowhere.
    """

    file_name: ClassVar[str]
    database_name: ClassVar[str]
    home: Path
    database: str = ""
    passphrase_file: str = ""
    metrics: str = ""

    @classmethod
    def load(cls, home: Path) -> Self:
        """Read the home's file; Refused ``home_missing``, Malformed ``toml`` or ``setting``."""
        path = home / cls.file_name
        if not path.exists():
            raise Refused("home_missing", file=path)
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
            raise Malformed("toml", problem=problem) from problem
        known = {field.name: field for field in fields(cls) if field.name != "home"}
        for key, value in table.items():
            kind = known[key].type if key in known else None
            if not isinstance(kind, type) or type(value) is not kind:
                raise Malformed("setting", key=key, file=path, known=", ".join(known))
        for key, field in known.items():
            if field.default is MISSING and key not in table:
                raise Malformed("setting_missing", key=key, file=path)
        return cls(home=home, **table)

    @classmethod
    def write(cls, home: Path, values: dict[str, Any]) -> None:
        """Write a new home's file, with values of text, whole numbers and truth; Refused ``home_exists``."""
        path = home / cls.file_name
        if path.exists():
            raise Refused("home_exists", file=path)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = [f"{key} = {_toml(value)}\n" for key, value in values.items() if value not in ("", None)]
        write_private(path, "".join(lines).encode())

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL in ``database``, else that of an SQLite file in the home."""
        return self.database or f"sqlite:///{self.home.resolve() / self.database_name}"

    def keyring(self) -> Keyring:
        """The home's keyring, opened with the passphrase that the file, systemd or a person gives."""
        return Keyring.open(self.home / KEYRING, self.passphrase())

    def passphrase(self) -> bytes:
        """From ``passphrase_file``, else a systemd credential, else a prompt; Refused ``passphrase_missing``."""
        return find_passphrase(str(self.home / self.passphrase_file) if self.passphrase_file else "")


def find_passphrase(file: str, *, confirm: bool = False) -> bytes:
    """The passphrase in ``file`` or a systemd credential, or what a person types (twice, if ``confirm``)."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if file:
        return _first_line(Path(file))
    if credentials and (Path(credentials) / _CREDENTIAL).exists():
        return (Path(credentials) / _CREDENTIAL).read_bytes().strip()
    if not sys.stdin.isatty():
        raise Refused("passphrase_missing")
    typed: str = typer.prompt("passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
    return typed.encode()


def _first_line(path: Path) -> bytes:
    try:
        passphrase = read_private(path).strip()
    except OSError as problem:
        raise Refused("passphrase_missing") from problem
    if not passphrase:
        raise Refused("passphrase_missing")
    return passphrase


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def address_of(text: str) -> tuple[str, int]:
    """``HOST:PORT`` as its parts; Malformed ``address``."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise Malformed("address", address=text)
    return host.strip("[]"), int(port)
