"""A digest as words, which people read to each other by telephone: a word a byte, and one that shows a slip.

The words stand in ``spoken_digest.toml``, 256 in each language.  The last one is that of the first byte of SHA-256 of
the digest: one wrong word, or two in each other's place, are noticed 255 times of 256.
"""

import hashlib
import re
import tomllib
import unicodedata
from functools import cache
from importlib import resources

from samprasan.keys.errors import LANGUAGES, Malformed

DIGEST_BYTES = 32
_HEX = re.compile(r"[0-9a-f]{64}")


def words_of(digest: bytes, language: str) -> list[str]:
    """The 33 words of a digest of 32 bytes, in ``th`` or ``en``."""
    listed = _words()[language]
    return [listed[byte] for byte in digest + _check(digest)]


def parse(text: str) -> bytes:
    """The digest that somebody typed, 32 bytes: 64 hexadecimal digits or 33 words, Thai or English, however spaced.

    Raises Malformed ``digest_form``, ``digest_word`` with the place of the first that is no word of ours, or
    ``digest_misheard`` if the words do not belong together.
    """
    digits = "".join(text.split()).replace(":", "").lower()
    if _HEX.fullmatch(digits):
        return bytes.fromhex(digits)
    typed = unicodedata.normalize("NFC", text).lower().split()
    if len(typed) != DIGEST_BYTES + 1:
        raise Malformed("digest_form", words=len(typed))
    bytes_by_word = _bytes_by_word()
    for place, word in enumerate(typed, 1):
        if word not in bytes_by_word:
            raise Malformed("digest_word", place=place)
    *digest, check = (bytes_by_word[word] for word in typed)
    if bytes([check]) != _check(bytes(digest)):
        raise Malformed("digest_misheard")
    return bytes(digest)


def _check(digest: bytes) -> bytes:
    return hashlib.sha256(digest).digest()[:1]


@cache
def _words() -> dict[str, list[str]]:
    text = resources.files(__package__).joinpath("spoken_digest.toml").read_text("utf-8")
    return {language: listed.split() for language, listed in tomllib.loads(text).items() if language in LANGUAGES}


@cache
def _bytes_by_word() -> dict[str, int]:
    return {word: byte for listed in _words().values() for byte, word in enumerate(listed)}
