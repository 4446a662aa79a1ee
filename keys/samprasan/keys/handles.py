"""What one integrator knows things by: handles of subjects, ids of events, cursors of its subscriptions.

Each is made with a key of that integrator alone, derived from one secret of the hub, so that what two of them were
given has nothing in common and tells nothing about accounts or places of the log.  Another *epoch* of the integrator's
makes all of them anew.

A handle is HMAC-SHA-256 of the account id.  An id or a cursor is one AES-256 block: a permutation of places, under keys
of their own, with 40 bits that are zero inside, so that garbage and cursors of others are found out.  A cursor tells
besides for which scope it was made: whoever may see other things now cannot go on from it.
"""

import hashlib
import hmac
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from samprasan.keys.errors import Malformed

SECRET_BYTES = 32
CURSOR_BYTES = 16
SCOPE_BYTES = 3
_INDEX_BYTES, _SKIPPED_BYTES, _CUTS_BYTES, _ZERO_BYTES = 5, 2, 1, 5
_NO_SCOPE = bytes(SCOPE_BYTES)


class Place(NamedTuple):
    """Where to go on in the changes of a log: with entry ``log_index``, of which ``skipped`` changes are dealt with.

    ``cuts`` is how many the log had had.
    """

    log_index: int
    skipped: int = 0
    cuts: int = 0


class Names:
    """One integrator's keys of one epoch."""

    def __init__(self, secret: bytes, federation_id: bytes, integrator: str, epoch: int) -> None:
        self._key = _derived(secret, f"{federation_id.hex()}/{integrator}/{epoch}")
        self._handle_key = _derived(self._key, "handle")
        self._ids = _Places(_derived(self._key, "id"))

    @property
    def sealing_key(self) -> bytes:
        """32 bytes for what the hub gives away to get it back from this integrator."""
        return _derived(self._key, "token")

    def handle(self, account_id: bytes) -> bytes:
        """HMAC-SHA-256 of the account id under the integrator's own key, 32 bytes."""
        return hmac.digest(self._handle_key, account_id, hashlib.sha256)

    def ids(self, places: Sequence[Place]) -> list[bytes]:
        """An id, 16 bytes, for the change at each place."""
        return self._ids.sealed(places, _NO_SCOPE)

    def cursors(self, subscription: str, scope: bytes) -> "Cursors":
        """Of one subscription, an empty name being one, too; ``scope`` is a :func:`scope_tag`."""
        return Cursors(_derived(self._key, f"cursor/{subscription}"), scope)


def scope_tag(scope: bytes) -> bytes:
    """3 bytes by which a cursor knows the encoded Scope that it was made for."""
    return hashlib.sha256(scope).digest()[:SCOPE_BYTES]


@lru_cache(maxsize=1024)
def names_of(secret: bytes, federation_id: bytes, integrator: str, epoch: int) -> Names:
    """The same Names for the same integrator, which are costly to make."""
    return Names(secret, federation_id, integrator, epoch)


class Cursors:
    """Places as one subscription names them, under one scope."""

    def __init__(self, key: bytes, scope: bytes) -> None:
        self._places = _Places(key)
        self._scope = scope

    def sealed(self, places: Sequence[Place]) -> list[bytes]:
        """A cursor, 16 bytes, for each place."""
        return self._places.sealed(places, self._scope)

    def behind(self, log_index: int, cuts: int, numbers: Sequence[int]) -> Sequence[bytes]:
        """A cursor behind so many changes of one entry, for each of ``numbers``."""
        return self._places.behind(Place(log_index, 0, cuts), numbers, self._scope)

    def opened(self, cursor: bytes) -> Place | None:
        """The place; None under another scope; Malformed ``cursor`` if it was not made for this subscription."""
        place, scope = self._places.opened(cursor)
        return place if scope == self._scope else None


class _Places:
    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(AES(key), ECB())  # noqa: S305 - single blocks, no two of which are alike

    def sealed(self, places: Sequence[Place], scope: bytes) -> list[bytes]:
        return [found for place in places for found in self.behind(place, [place.skipped], scope)]

    def behind(self, place: Place, numbers: Sequence[int], scope: bytes) -> Sequence[bytes]:
        """Blocks that differ in what is skipped alone, put together and sealed in few steps for a thousand of them."""
        first = place.log_index.to_bytes(_INDEX_BYTES, "big")
        last = place.cuts.to_bytes(_CUTS_BYTES, "big") + scope + bytes(_ZERO_BYTES)
        skipped = struct.pack(f">{len(numbers)}H", *numbers)
        between = [skipped[at : at + _SKIPPED_BYTES] for at in range(0, len(skipped), _SKIPPED_BYTES)]
        data = self._cipher.encryptor().update(first + (last + first).join(between) + last)
        return struct.unpack(f"{CURSOR_BYTES}s" * len(numbers), data)

    def opened(self, cursor: bytes) -> tuple[Place, bytes]:
        if len(cursor) != CURSOR_BYTES:
            raise Malformed("cursor")
        block = self._cipher.decryptor().update(cursor)
        if any(block[-_ZERO_BYTES:]):
            raise Malformed("cursor")
        index, rest = block[:_INDEX_BYTES], block[_INDEX_BYTES:]
        skipped, cuts = rest[:_SKIPPED_BYTES], rest[_SKIPPED_BYTES : _SKIPPED_BYTES + _CUTS_BYTES]
        place = Place(*(int.from_bytes(each, "big") for each in (index, skipped, cuts)))
        return place, block[-_ZERO_BYTES - SCOPE_BYTES : -_ZERO_BYTES]


def _derived(key: bytes, what: str) -> bytes:
    return hmac.digest(key, b"samprasan/v1/" + what.encode(), hashlib.sha256)
