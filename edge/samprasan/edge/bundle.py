"""Bundles: a log as one file that anybody can verify without the hub.

A ZIP file of three parts: ``checkpoint`` (C2SP tlog-checkpoint), ``documents`` (signed envelopes that were ever in
force, rosters first) and ``log`` (the batch as sent and its receipt, in order).  In the last two each envelope comes
behind its length, 4 bytes big-endian.  What is read is limited before it is looked at.
"""

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, BinaryIO

from samprasan.keys.checkpoint import NOTE_BYTES_MAX
from samprasan.keys.errors import Malformed
from samprasan.keys.signing import ENVELOPE_BYTES_MAX

DOCUMENTS_MAX = 100_000
LENGTH_BYTES = 4  # before each envelope
_MOMENT = (2000, 1, 1, 0, 0, 0)  # the same log makes the same bytes


def write(file: BinaryIO, documents: Sequence[bytes], checkpoint: bytes, entries: Iterable[tuple[bytes, bytes]]) -> int:
    """Write a bundle; how many entries it has."""
    count = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(_part("checkpoint"), checkpoint)
        with bundle.open(_part("documents"), "w", force_zip64=True) as part:
            for each in documents:
                _write_envelope(part, each)
        with bundle.open(_part("log"), "w", force_zip64=True) as part:
            for batch, receipt in entries:
                _write_envelope(part, batch)
                _write_envelope(part, receipt)
                count += 1
    return count


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle; :meth:`entries` can be read once, in order."""

    documents: Sequence[bytes]
    checkpoint: bytes
    _file: zipfile.ZipFile

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Batch and receipt of each entry.  Raises Malformed ``bundle``."""
        with _opened(self._file, "log") as part:
            envelopes = _each(part)
            for batch in envelopes:
                receipt = next(envelopes, None)
                if receipt is None:
                    raise Malformed("bundle", problem="a batch without receipt")
                yield batch, receipt


def log_bytes(file: BinaryIO) -> int:
    """The length of the log in a bundle, as the bundle says: for progress alone; 0 if it is none."""
    try:
        return zipfile.ZipFile(file).getinfo("log").file_size
    except (zipfile.BadZipFile, KeyError, OSError, ValueError):
        return 0


def read(file: BinaryIO) -> Bundle:
    """Open a bundle; Malformed ``bundle`` if it is none."""
    try:
        bundle = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError) as problem:
        raise Malformed("bundle", problem=type(problem).__name__) from problem
    documents = []
    with _opened(bundle, "documents") as part:
        for each in _each(part):
            documents.append(each)
            if len(documents) > DOCUMENTS_MAX:
                raise Malformed("bundle", problem="documents")
    with _opened(bundle, "checkpoint") as part:
        note = _some(part, NOTE_BYTES_MAX + 1)
    return Bundle(documents, note, bundle)


def _part(name: str) -> zipfile.ZipInfo:
    part = zipfile.ZipInfo(name, _MOMENT)
    part.compress_type = zipfile.ZIP_DEFLATED
    return part


def _write_envelope(part: IO[bytes], envelope: bytes) -> None:
    part.write(len(envelope).to_bytes(LENGTH_BYTES, "big") + envelope)


def _opened(bundle: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return bundle.open(name)
    except (KeyError, zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as problem:
        raise Malformed("bundle", problem=name) from problem


def _each(part: IO[bytes]) -> Iterator[bytes]:
    while head := _some(part, LENGTH_BYTES):
        length = int.from_bytes(head, "big")
        if len(head) < LENGTH_BYTES or length > 2 * ENVELOPE_BYTES_MAX:
            raise Malformed("bundle", problem="length")
        envelope = _some(part, length)
        if len(envelope) < length:
            raise Malformed("bundle", problem="cut off")
        yield envelope


def _some(part: IO[bytes], count: int) -> bytes:
    """``count`` bytes, or what is left."""
    try:
        return part.read(count)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, zlib.error) as problem:
        raise Malformed("bundle", problem=type(problem).__name__) from problem
