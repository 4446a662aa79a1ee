"""A folder of sealed key files: scrypt (RFC 7914) makes the sealing key of a passphrase, AES-256-GCM seals each file.

Files have mode 0600 in a folder of mode 0700; a keyring that others can read is refused.  ``keyring.json`` holds salt
and cost and a sealed check, so that a wrong passphrase is told from a damaged file.
"""

import json
import os
import secrets
import stat
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from samprasan.keys.errors import Refused, Unproven

SCRYPT_COST = 1 << 17  # OWASP's floor for scrypt with r=8, p=1: 128 MiB and about 0.4 s
_SCRYPT_COST_MAX = 1 << 20  # 1 GiB; a larger number in the file is an attack on the opener's memory
_HEADER = "keyring.json"
_CHECK = b"samprasan keyring"
_NONCE_BYTES = 12


class Keyring:
    """Named secrets at rest.  Open one with :meth:`create` or :meth:`open`."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._aead = AESGCM(key)

    @classmethod
    def create(cls, folder: Path, passphrase: bytes, cost: int = SCRYPT_COST) -> "Keyring":
        """A new keyring in ``folder``, which must not hold one yet (Refused ``keyring_exists``)."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        if (folder / _HEADER).exists():
            raise Refused("keyring_exists", folder=folder)
        salt = secrets.token_bytes(16)
        ring = cls(folder, _derive(passphrase, salt, cost))
        header = {"kdf": "scrypt", "cost": cost, "salt": salt.hex(), "check": ring._sealed(_HEADER, _CHECK).hex()}
        write_private(folder / _HEADER, json.dumps(header).encode())
        return ring

    @classmethod
    def open(cls, folder: Path, passphrase: bytes) -> "Keyring":
        """The keyring in ``folder``.

        Raises Refused ``keyring_missing`` or ``key_file_exposed``, Unproven ``keyring_damaged`` or
        ``passphrase_wrong``.
        """
        if not (folder / _HEADER).exists():
            raise Refused("keyring_missing", folder=folder)
        try:
            header = json.loads(read_private(folder / _HEADER))
            salt, cost, check = bytes.fromhex(header["salt"]), int(header["cost"]), bytes.fromhex(header["check"])
        except (ValueError, KeyError, TypeError) as problem:
            raise Unproven("keyring_damaged", file=folder / _HEADER) from problem
        if not 2 <= cost <= _SCRYPT_COST_MAX or cost & (cost - 1):
            raise Unproven("keyring_damaged", file=folder / _HEADER)
        ring = cls(folder, _derive(passphrase, salt, cost))
        try:
            ring._opened(_HEADER, check)
        except InvalidTag as problem:
            raise Unproven("passphrase_wrong", folder=folder) from problem
        return ring

    def save(self, name: str, secret: bytes) -> None:
        """Seal ``secret`` as ``name``, replacing what had that name."""
        write_private(self._folder / f"{name}.sealed", self._sealed(name, secret))

    def get(self, name: str) -> bytes:
        """The secret called ``name``; Refused ``key_missing``, Unproven ``keyring_damaged``."""
        path = self._folder / f"{name}.sealed"
        if not path.exists():
            raise Refused("key_missing", file=path)
        try:
            return self._opened(name, read_private(path))
        except InvalidTag as problem:
            raise Unproven("keyring_damaged", file=path) from problem

    def has(self, name: str) -> bool:
        """Whether there is a secret called ``name``."""
        return (self._folder / f"{name}.sealed").exists()

    def _sealed(self, name: str, secret: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, secret, name.encode())

    def _opened(self, name: str, sealed: bytes) -> bytes:
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except ValueError as problem:
            raise InvalidTag from problem


def new_private(path: Path) -> BinaryIO:
    """A new file at ``path``, open, that its owner alone may read; one that a crash left there goes first."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def write_private(path: Path, data: bytes) -> None:
    """Write ``path`` with mode 0600, whole or not at all, and durable on return."""
    partial = path.with_name(path.name + ".partial")
    with new_private(partial) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_private(path: Path) -> bytes:
    """Read ``path``; Refused ``key_file_exposed`` if anybody but its owner may."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused("key_file_exposed", file=path)
    return path.read_bytes()


def _derive(passphrase: bytes, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(passphrase)
