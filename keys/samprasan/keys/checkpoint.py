"""Checkpoints: what the hub says its log is, and the agencies' word that they saw it grow to that (C2SP).

A checkpoint is a signed note of three lines: origin, size, root (``tlog-checkpoint``, ``signed-note``).  The hub signs
it with signature type 0x01; a witness adds a timestamped signature of type 0x04 (``tlog-cosignature``).  A note is
*final* when every agency of the roster has cosigned it.  Names of keys are the origin for the hub and origin/agency for
a witness.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from samprasan.keys.errors import Malformed, Unproven
from samprasan.keys.merkle import HASH_BYTES
from samprasan.keys.signing import Signer, Verify

NOTE_BYTES_MAX = 8_192
LINES_MAX = 32  # signatures on one note: the hub's, 16 agencies', and room for others' witnesses
SIZE_MAX = 2**63 - 1
LOG_KEY, WITNESS_KEY = b"\x01", b"\x04"  # signature types of signed-note
_KEY_ID_BYTES = 4
_TIME_BYTES = 8
_CUTS_DIGITS_MAX = 6
_DASH = "— "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: which log, how many entries, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text, which is what is signed."""
        return f"{self.origin}\n{self.size}\n{_written(self.root)}\n"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's word: at ``seconds`` since the Unix epoch this was the newest head it had seen, and consistent."""

    agency: str
    seconds: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """A signature line of a note: the key's name, its 4-byte id, and the signature as its type writes it."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint with signatures nobody has checked yet."""

    checkpoint: Checkpoint
    lines: tuple[Line, ...]


def origin_of(federation_id: bytes, cuts: int = 0) -> str:
    """The origin line of a federation's log: another one after each cut, for what was signed before no longer binds."""
    origin = f"samprasan/{federation_id.hex()}"
    return f"{origin}/cut-{cuts}" if cuts else origin


def cuts_of(checkpoint: Checkpoint, federation_id: bytes) -> int | None:
    """How many cuts the log had had that this is said of; None if it is not this federation's."""
    _, _, number = checkpoint.origin.partition("/cut-")
    cuts = int(number) if number.isdecimal() and len(number) <= _CUTS_DIGITS_MAX else 0
    return cuts if checkpoint.origin == origin_of(federation_id, cuts) else None


def sign_note(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The note as the hub signs it."""
    own = key_id(checkpoint.origin, LOG_KEY, signer.public_key)
    return _with_lines(checkpoint, [Line(checkpoint.origin, own, signer.sign(checkpoint.text.encode()))])


def cosigned(checkpoint: Checkpoint, agency: str, signer: Signer, seconds: int) -> Cosignature:
    """An agency's cosignature; it has checked consistency and stored the checkpoint before."""
    return Cosignature(agency, seconds, signer.sign(_cosigned_message(checkpoint, seconds)))


def with_cosignatures(note: Note, cosignatures: Sequence[Cosignature], keys: Mapping[str, bytes]) -> bytes:
    """The note with these agencies' lines added; ``keys`` are the agencies' raw public keys."""
    origin = note.checkpoint.origin
    lines = [
        Line(
            _witness_name(origin, each.agency),
            key_id(_witness_name(origin, each.agency), WITNESS_KEY, keys[each.agency]),
            each.seconds.to_bytes(_TIME_BYTES, "big") + each.signature,
        )
        for each in cosignatures
    ]
    return _with_lines(note.checkpoint, [*note.lines, *lines])


def read(data: bytes) -> Note:
    """The note as written; Malformed ``checkpoint`` if it is none."""
    try:
        return _read(data)
    except (ValueError, UnicodeDecodeError, binascii.Error) as problem:
        raise Malformed("checkpoint") from problem


def open_note(data: bytes, federation_id: bytes, hub_key: bytes, verify: Verify) -> Note:
    """A note of this federation's log, before or after any cut, that its hub signed.

    Raises Malformed or Unproven ``checkpoint``.
    """
    note = read(data)
    head = note.checkpoint
    named = (head.origin, key_id(head.origin, LOG_KEY, hub_key))
    own = [line.signature for line in note.lines if (line.name, line.key_id) == named]
    if cuts_of(head, federation_id) is None or not own:
        raise Unproven("checkpoint")
    if not all(verify(hub_key, head.text.encode(), signature) for signature in own):
        raise Unproven("checkpoint")
    return note


def cosignatures(note: Note, keys: Mapping[str, bytes], verify: Verify) -> list[Cosignature]:
    """Whose cosignatures the note carries, of the agencies in ``keys`` (agency → raw public key); others do not count.

    Raises Unproven ``cosignature`` if one that should count does not verify.
    """
    found = {}
    for agency, key in keys.items():
        name = _witness_name(note.checkpoint.origin, agency)
        named = (name, key_id(name, WITNESS_KEY, key))
        for line in note.lines:
            if (line.name, line.key_id) == named:
                seconds = int.from_bytes(line.signature[:_TIME_BYTES], "big")
                found[agency] = Cosignature(agency, seconds, line.signature[_TIME_BYTES:])
                check_cosignature(note.checkpoint, found[agency], key, verify)
    return list(found.values())


def check_cosignature(checkpoint: Checkpoint, cosignature: Cosignature, key: bytes, verify: Verify) -> None:
    """That the holder of ``key`` cosigned exactly this checkpoint; else Unproven ``cosignature``."""
    if not 0 <= cosignature.seconds <= SIZE_MAX or not verify(
        key, _cosigned_message(checkpoint, cosignature.seconds), cosignature.signature
    ):
        raise Unproven("cosignature", agency=cosignature.agency)


def key_id(name: str, kind: bytes, public_key: bytes) -> bytes:
    """What a signature line begins with: SHA-256(name || 0x0A || kind || key)[:4] (signed-note)."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public_key).digest()[:_KEY_ID_BYTES]


def _cosigned_message(checkpoint: Checkpoint, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{checkpoint.text}".encode()


def _witness_name(origin: str, agency: str) -> str:
    return f"{origin}/{agency}"


def _with_lines(checkpoint: Checkpoint, lines: Sequence[Line]) -> bytes:
    written = (f"{_DASH}{line.name} {_written(line.key_id + line.signature)}\n" for line in lines)
    return f"{checkpoint.text}\n{''.join(written)}".encode()


def _read(data: bytes) -> Note:
    if len(data) > NOTE_BYTES_MAX:
        raise ValueError
    note = data.decode()
    text, gap, signatures = note.rpartition("\n\n")
    if not gap or not note.endswith("\n") or any(ord(each) < 32 and each != "\n" for each in note):
        raise ValueError
    origin, size, tree_root = text.split("\n")
    checkpoint = Checkpoint(origin, int(size), _raw(tree_root))
    lines = tuple(_line(each) for each in signatures[:-1].split("\n"))
    sound = origin and len(checkpoint.root) == HASH_BYTES and 0 <= checkpoint.size <= SIZE_MAX
    if not sound or len(lines) > LINES_MAX or _with_lines(checkpoint, lines) != data:
        raise ValueError
    return Note(checkpoint, lines)


def _line(text: str) -> Line:
    name, signature = text.removeprefix(_DASH).split(" ")
    data = _raw(signature)
    if not name or "+" in name or any(each.isspace() for each in name) or len(data) <= _KEY_ID_BYTES:
        raise ValueError
    return Line(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def _written(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
