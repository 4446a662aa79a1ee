"""Looks for ids and names in bytes, in every encoding in which they could leak."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

THAI = str.maketrans("0123456789", "๐๑๒๓๔๕๖๗๘๙")
_HASHES = ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256")


def forms_of_id(digits: str) -> Iterator[bytes]:
    """A 13-digit id as text, dashed, in Thai digits, packed, hashed."""
    dashed = "-".join((digits[0], digits[1:5], digits[5:10], digits[10:12], digits[12]))
    spaced = dashed.replace("-", " ")
    for text in (digits, dashed, spaced):
        yield from forms_of_text(text)
        yield from forms_of_text(text.translate(THAI))
    number = int(digits)
    for order in ("big", "little"):
        yield number.to_bytes(6, order)
        yield number.to_bytes(8, order)
    yield _varint(number)
    yield bytes.fromhex("0" + digits)
    for prefix in ("", "samprasan/v1/th-pid/", "samprasan/v1/th-jid/"):
        for name in _HASHES:
            digest = hashlib.new(name, (prefix + digits).encode()).digest()
            yield digest
            yield digest.hex().encode()
            yield base64.b64encode(digest).rstrip(b"=")


def forms_of_text(text: str) -> Iterator[bytes]:
    """A text in the usual encodings, plain, escaped, and as hexadecimal and base64."""
    for encoding in ("utf-8", "cp874", "utf-16-le", "utf-16-be"):
        try:
            data = text.encode(encoding)
        except UnicodeEncodeError:
            continue
        yield data
        yield data.hex().encode()
        yield data.hex().upper().encode()
        yield from _base64_cores(data)
    if not text.isascii():
        yield text.encode("unicode_escape")


def _base64_cores(data: bytes) -> Iterator[bytes]:
    """What base64 of anything that contains ``data`` must contain, at each of the three alignments."""
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data)
        first = (shift * 8 + 5) // 6
        last = (shift + len(data)) * 8 // 6
        yield encoded[first:last]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class Scanner:
    """Finds any of many needles in bytes: eight-byte starts are looked up in a set, then compared in full."""

    def __init__(self, ids: Iterable[str], names: Iterable[str]) -> None:
        self.needles: dict[bytes, dict[bytes, str]] = {}
        for digits in ids:
            for form in forms_of_id(digits):
                self._add(form, "id")
        for name in names:
            for form in forms_of_text(name):
                self._add(form, "name")

    def _add(self, needle: bytes, what: str) -> None:
        if len(needle) >= 6:
            self.needles.setdefault(needle[:6], {})[needle] = what

    def hits(self, data: bytes) -> set[str]:
        """``"id"`` or ``"name"`` for what is found in ``data``."""
        found = set()
        for start in range(len(data) - 5):
            for needle, what in self.needles.get(data[start : start + 6], {}).items():
                if data.startswith(needle, start):
                    found.add(what)
        return found

    def scan(self, paths: Iterable[Path]) -> dict[str, set[str]]:
        """File → what was found in it."""
        results = {str(path): self.hits(path.read_bytes()) for path in paths if path.is_file()}
        return {path: found for path, found in results.items() if found}
