"""A hub's home: ``hub.toml``, its keyring, its certificates and its database."""

import contextlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from samprasan.edge import backup, database
from samprasan.edge.clocks import Clocks
from samprasan.edge.configuration import KEYRING, Settings, address_of
from samprasan.edge.database import Database, Tx
from samprasan.edge.world import World, monotonic_clock, system_clock
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.integrators import approval
from samprasan.hub.log import audit
from samprasan.hub.members.joining import Authority
from samprasan.hub.process.running import CHANGES_KEPT_DAYS, Showing
from samprasan.hub.process.server import Listening
from samprasan.hub.recovery import recovery
from samprasan.hub.tables import metadata
from samprasan.keys import certificates
from samprasan.keys.errors import Refused
from samprasan.keys.handles import SECRET_BYTES
from samprasan.keys.keyring import Keyring, write_private
from samprasan.keys.signing import KeySigner
from samprasan.ledger import calendar

MIGRATIONS = "samprasan.hub"
PROGRAM = "hub"
_HANDLES = "handles"
_AUTHORITY_FILE = "authority.der"
_SERVER_FILE = "server.der"
_REACHED_FILE = "reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings(Settings):
    """``hub.toml``: the addresses of the listeners, as nodes reach them; at ``tiles`` HTTP serves the log's tree.

    Changes are kept for ``changes_kept_days``: who comes back later begins with a snapshot.
    """

    file_name: ClassVar[str] = "hub.toml"
    database_name: ClassVar[str] = "hub.db"
    listen: str
    join_listen: str
    console: str = ""
    tiles: str = ""
    changes_kept_days: int = CHANGES_KEPT_DAYS


@dataclass(frozen=True, slots=True)
class Home:
    """An opened home."""

    settings: HubSettings
    hub: Hub
    authority: Authority
    listening: Listening
    showing: Showing


def create(home: Path, settings: dict[str, str], passphrase: bytes) -> None:
    """A new hub: its settings, its keys, its certificate authority, its empty database.  Refused ``home_exists``."""
    listeners = (settings["listen"], settings["join_listen"])
    hosts = sorted({*(address_of(each)[0] for each in listeners), "localhost", "127.0.0.1"})
    HubSettings.write(home, settings)
    ring = Keyring.create(home / KEYRING, passphrase)
    now = datetime.now(UTC)
    authority_key, server_key = certificates.new_key(), certificates.new_key()
    authority = certificates.authority(authority_key, now)
    ring.save("signing", secrets.token_bytes(32))
    ring.save(_HANDLES, secrets.token_bytes(SECRET_BYTES))
    ring.save("tls-authority", certificates.key_pem(authority_key))
    ring.save("tls-server", certificates.key_pem(server_key))
    write_private(home / _AUTHORITY_FILE, authority)
    server = certificates.server_certificate(server_key, authority_key, authority, hosts, now)
    write_private(home / _SERVER_FILE, server)
    db = database.open_database(HubSettings.load(home).database_url)
    create_tables(db)
    db.close()


def create_tables(db: Database) -> None:
    """Migrate an empty or older database; start the log if there is none."""
    database.migrate(db, MIGRATIONS)
    with db.begin() as tx:
        if not store.log.started(tx):
            store.log.start(tx)


def open_database(home: Path) -> tuple[HubSettings, Database]:
    """Settings and database only, for commands that sign nothing."""
    settings = HubSettings.load(home)
    if not 1 <= settings.changes_kept_days <= limits.CHANGES_KEPT_DAYS_MAX:
        raise Refused("changes_kept_days", days=settings.changes_kept_days, most=limits.CHANGES_KEPT_DAYS_MAX)
    return settings, database.open_database(settings.database_url)


def open_home(home: Path) -> Home:
    """The home with its keys."""
    settings, db = open_database(home)
    ring = settings.keyring()
    authority_der = (home / _AUTHORITY_FILE).read_bytes()
    authority = Authority(certificates.load_key(ring.get("tls-authority")), authority_der)
    listening = Listening(
        listen=settings.listen,
        join_listen=settings.join_listen,
        key=ring.get("tls-server"),
        certificate=certificates.pem_of((home / _SERVER_FILE).read_bytes()),
        authority=certificates.pem_of(authority_der),
        tiles=settings.tiles,
    )
    if not ring.has(_HANDLES):  # a home of before there were integrators
        ring.save(_HANDLES, secrets.token_bytes(SECRET_BYTES))
    showing = Showing(ring.get(_HANDLES), settings.changes_kept_days)
    hub = Hub(db, World(KeySigner(ring.get("signing")), others=Clocks(monotonic_clock)))
    return Home(settings, hub, authority, listening, showing)


def back_up(home: Path, out: BinaryIO, progress: backup.Progress) -> dict[str, Any]:
    """Write everything of the home, as of now; what was written, in numbers."""
    settings, db = open_database(home)
    settings.keyring()  # the passphrase has to be that of the keys in it
    with db.read() as tx:
        made_at = system_clock()
        federation_id = store.documents.agreed_on(tx).federation_id.hex()
        manifest = backup.Manifest(PROGRAM, federation_id, "", database.revision_of(tx), made_at)
        files = backup.files_of(home, (HubSettings.file_name, _AUTHORITY_FILE, _SERVER_FILE))
        contents = backup.Contents(manifest, files, metadata)
        rows = backup.write(out, settings.passphrase(), contents, tx, progress)
        entries = store.log.head_now(tx).size
    db.close()
    return {"rows": rows, "entries": entries, "made_at": calendar.iso(made_at)}


def restore(
    file: Path, home: Path, url: str, passphrase_file: str, passphrase: bytes, progress: backup.Progress
) -> dict[str, Any]:
    """A home of a backup; the hub in it recovers once it is served.  Raises as :func:`backup.restoring`."""
    with backup.restoring(file, passphrase, home, PROGRAM) as found:
        found.put_files(HubSettings, database=url, passphrase_file=passphrase_file)
        hub = open_home(found.folder).hub

        def mark(tx: Tx) -> None:
            recovery.begin_recovery_in(tx, hub.world.now(), recovery.RESTORED)

        with contextlib.closing(hub.db) as db:
            found.load(db, MIGRATIONS, mark, progress)
            report = audit.audit(hub, hub.world.signer.public_key)
            listed = approval.list_integrators(db, hub.world.now())
    made_at = calendar.iso(found.manifest.made_at)
    return {
        "entries": report.batches,
        "made_at": made_at,
        "problems": report.as_document()["problems"],
        "integrators": [each["name"] for each in listed if each["state"] == "approved"],
    }


@dataclass(frozen=True, slots=True)
class Reached:
    """The addresses at which nodes reach the listeners, with the ports they really got."""

    hub: str
    join: str


def note_ports(home: Path, settings: HubSettings, hub_port: int, join_port: int) -> Reached:
    """Keep the real ports beside the settings, for invites written by other processes."""
    reached = Reached(_with_port(settings.listen, hub_port), _with_port(settings.join_listen, join_port))
    write_private(home / _REACHED_FILE, f"{reached.hub}\n{reached.join}\n".encode())
    return reached


def reached_at(home: Path) -> Reached:
    """Where nodes reach this hub: as last served, else as set."""
    settings = HubSettings.load(home)
    noted = home / _REACHED_FILE
    if noted.exists():
        hub, join = noted.read_text("utf-8").splitlines()
        return Reached(hub, join)
    return Reached(settings.listen, settings.join_listen)


def _with_port(address: str, port: int) -> str:
    return f"{address_of(address)[0]}:{port}"
