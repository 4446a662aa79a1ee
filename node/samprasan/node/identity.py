"""Who this node is: its agency, its secrets, and the one value that every step of it is given."""

from dataclasses import dataclass

from samprasan.edge.database import Database
from samprasan.edge.world import World
from samprasan.keys import sealing
from samprasan.keys.identifiers import Identifier, Scheme
from samprasan.keys.sealing import Vault
from samprasan.node.rows import MoveRow, SubjectRow, present

_NONCE_BYTES = 12
ID_COLUMN = "subjects.sealed_id"
NAME_COLUMN = "subjects.sealed_name"
KEY_COLUMN = "subjects.sealed_key"
OPENED_COLUMN = "subjects.sealed_opened"
_RECORD_HASH_DIGITS = 32  # 128 bits: no two records of an agency meet


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """``mail_key`` is a raw X25519 private key, 32 bytes."""

    agency: str
    vault: Vault
    mail_key: bytes

    def index(self, identifier: Identifier) -> bytes:
        """The keyed index under which the subject is found, 32 bytes."""
        return self.vault.index(b"subject/" + identifier.domain_bytes())

    def identifier(self, row: SubjectRow | MoveRow) -> Identifier:
        """Whom a subject's row is about."""
        return Identifier(Scheme(row.scheme), self.vault.open(ID_COLUMN, present(row.sealed_id)).decode())

    def seal(self, world: World, column: str, plaintext: bytes) -> bytes:
        """``plaintext`` sealed for that column of the database."""
        return self.vault.seal(column, plaintext, world.random_bytes(_NONCE_BYTES))

    def record_hash(self, record_id: str) -> str:
        """What stands for a record id that is made from a person's id: keyed, so that nobody can guess it."""
        return "#" + self.vault.index(b"record/" + record_id.encode()).hex()[:_RECORD_HASH_DIGITS]

    def ceremony_secret(self) -> bytes:
        """What this node draws lines of new linking keys from, 32 bytes."""
        return self.vault.index(b"ceremony")

    def tombstone(self, source: str, record_id: str) -> bytes:
        """What is kept of an erased record, so that it does not come back: a keyed hash, 32 bytes."""
        return self.vault.index(b"erased/" + source.encode() + b"\0" + record_id.encode())

    def open_mail(self, sealed: bytes, context: bytes) -> bytes:
        """The plaintext of mail sealed for this node; else Unproven ``mail_unopenable``."""
        return sealing.open_sealed(self.mail_key, sealed, context)


@dataclass(frozen=True)
class Node:
    """The node as its steps are given it; ``tls_ca`` is the hub's certificate authority, DER, empty before joining."""

    db: Database
    world: World
    identity: Identity
    tls_ca: bytes = b""
