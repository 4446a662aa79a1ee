"""A node's home: ``node.toml``, its keyring, its certificate and its database."""

import contextlib
import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from samprasan.client.connection import Connection, open_channel
from samprasan.edge import backup, database
from samprasan.edge.configuration import KEYRING, Settings
from samprasan.edge.database import Database
from samprasan.edge.world import World, in_threads, system_clock
from samprasan.keys import certificates, rosters, sealing
from samprasan.keys.errors import Refused
from samprasan.keys.keyring import Keyring
from samprasan.keys.sealing import Vault
from samprasan.keys.signing import KeySigner
from samprasan.ledger import calendar
from samprasan.node import store
from samprasan.node.identity import Identity, Node
from samprasan.node.recovery import replay
from samprasan.node.sync import halt, outbox
from samprasan.node.tables import metadata

MIGRATIONS = "samprasan.node"
PROGRAM = "node"
AUTHORITY_FILE = "authority.der"
COUNTER_AUTHORITY_FILE = "counter-authority.crt"
CERTIFICATE_FILE = "certificate.der"
HUB_FILE = "hub"
_FILES = ("node.toml", AUTHORITY_FILE, COUNTER_AUTHORITY_FILE, CERTIFICATE_FILE, HUB_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings(Settings):
    """``node.toml``.  ``hub`` overrides the address that the invite named.

    ``counter`` is where the local service listens, ``unix:PATH`` or ``HOST:PORT``; ``offline_credits_max`` how many
    credits of its own benefits the agency hands out to one subject on its own risk while the hub is away.
    """

    file_name: ClassVar[str] = "node.toml"
    database_name: ClassVar[str] = "node.db"
    agency: str
    hub: str = ""
    counter: str = ""
    offline_credits_max: int = 0


@dataclass(frozen=True, slots=True)
class Home:
    """An opened home."""

    path: Path
    settings: NodeSettings
    ring: Keyring
    node: Node

    @property
    def certificate(self) -> bytes | None:
        """The client certificate, DER; None before joining."""
        return certificate_of(self.path)

    def hub_address(self) -> str:
        """Where the hub is; Refused ``not_joined`` before joining."""
        path = self.path / HUB_FILE
        if not path.exists() or self.certificate is None:
            raise Refused("not_joined", agency=self.settings.agency)
        return self.settings.hub or path.read_text("utf-8").strip()

    def connect(self) -> "contextlib.AbstractAsyncContextManager[Connection]":
        """A connection to the hub as this node."""
        certificate = self.certificate
        address = self.hub_address()
        assert certificate is not None
        channel = open_channel(address, self.node.tls_ca, self.ring.get("tls"), certificate)
        return Connection(channel, self.node.world.clock)


def create(home: Path, agency: str, url: str, passphrase_file: str, passphrase: bytes) -> None:
    """A new node: its keys and its empty database.  Malformed ``agency_code``, Refused ``home_exists``."""
    rosters.check_agency_code(agency)
    NodeSettings.write(home, {"agency": agency, "database": url, "passphrase_file": passphrase_file})
    ring = Keyring.create(home / KEYRING, passphrase)
    for name in ("signing", "sealing", "vault"):
        ring.save(name, secrets.token_bytes(sealing.KEY_BYTES))
    ring.save("tls", certificates.key_pem(certificates.new_key()))
    db = open_database(home)
    database.migrate(db, MIGRATIONS)
    db.close()


def certificate_of(home: Path) -> bytes | None:
    """The client certificate in a home, DER; None before joining."""
    path = home / CERTIFICATE_FILE
    return path.read_bytes() if path.exists() else None


def open_database(home: Path) -> Database:
    """The home's database, without any key."""
    return database.open_database(NodeSettings.load(home).database_url)


def open_home(home: Path) -> Home:
    """The home with its keys."""
    settings = NodeSettings.load(home)
    ring = settings.keyring()
    identity = Identity(settings.agency, Vault(ring.get("vault")), ring.get("sealing"))
    authority = home / AUTHORITY_FILE
    node = Node(
        database.open_database(settings.database_url),
        World(KeySigner(ring.get("signing")), each=in_threads),
        identity,
        authority.read_bytes() if authority.exists() else b"",
    )
    return Home(home, settings, ring, node)


def open_to_read(home: Path) -> Node:
    """The node for ``status`` and other commands that sign nothing and open no mail.

    Deriving the keyring's key takes a quarter of a second; it is left until a personal column is read, if one is.
    """
    settings = NodeSettings.load(home)
    vault = Vault(cache(lambda: settings.keyring().get("vault")))
    return Node(
        database.open_database(settings.database_url), World(_NoSigner()), Identity(settings.agency, vault, b"")
    )


class _NoSigner:
    """Stands where a signer does in a node that only reads."""

    @property
    def public_key(self) -> bytes:
        raise AssertionError("a node that only reads signs nothing")

    def sign(self, data: bytes) -> bytes:  # noqa: ARG002
        raise AssertionError("a node that only reads signs nothing")


def open_ready(home: Path) -> Home:
    """The home, for a command that changes or tells something; Refused ``node_restored`` until it has recovered."""
    opened = open_home(home)
    try:
        halt.check_recovered(opened.node.db)
    except Refused:
        opened.node.db.close()
        raise
    return opened


def back_up(home: Path, out: BinaryIO, progress: backup.Progress) -> dict[str, Any]:
    """Write everything of the home, as of now; what was written, in numbers."""
    opened = open_home(home)  # the passphrase has to be that of the keys in it
    with opened.node.db.read() as tx:
        made_at = system_clock()
        agency, federation_id = opened.settings.agency, store.documents.agreed_on(tx).federation_id.hex()
        manifest = backup.Manifest(PROGRAM, federation_id, agency, database.revision_of(tx), made_at)
        contents = backup.Contents(manifest, backup.files_of(home, _FILES), metadata)
        rows = backup.write(out, opened.settings.passphrase(), contents, tx, progress)
        seq = store.batches.head(tx).seq
    opened.node.db.close()
    return {"rows": rows, "seq": seq, "made_at": calendar.iso(made_at)}


def restore(
    file: Path, home: Path, url: str, passphrase_file: str, passphrase: bytes, progress: backup.Progress
) -> dict[str, Any]:
    """A home of a backup, halted until the node has recovered.  Raises as :func:`backup.restoring`."""
    with backup.restoring(file, passphrase, home, PROGRAM) as found:
        found.put_files(NodeSettings, database=url, passphrase_file=passphrase_file)
        opened = open_home(found.folder)
        with contextlib.closing(opened.node.db) as db:
            found.load(db, MIGRATIONS, halt.halt_restored, progress)
            problems = replay.broken_batches(opened.node)
            seq = outbox.outbox(db, system_clock()).head.seq
    made_at = calendar.iso(found.manifest.made_at)
    return {"agency": opened.settings.agency, "seq": seq, "made_at": made_at, "problems": problems}
