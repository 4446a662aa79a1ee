"""Who a deed belongs to, as agencies write it.

Thirteen-digit ids (citizens ``th-pid``, juristic persons ``th-jid``) are secrets: dashes and spaces are dropped, Thai
digits folded, the mod 11 check digit tested, and neither ``repr`` nor ``str`` ever shows one.  Ids in a public register
(``registry``) and DOPA area codes (``th-area``) name nobody and are hashed as they are.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from operator import mul

from samprasan.keys.errors import Malformed

DOMAIN = "samprasan/v1/"
_THAI_DIGITS = str.maketrans("๐๑๒๓๔๕๖๗๘๙", "0123456789")
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015\u2212.]")
_SCIENTIFIC = re.compile(r"^\d([.,]\d+)?[eE]\+?\d+$")
_WEIGHTS = tuple(range(13, 1, -1))
_WEIGHTED_ZEROS = sum(_WEIGHTS) * ord("0")
_REGISTRY_ID_MAX = 64  # longest id seen in a register: 17 characters


_WRITTEN = re.compile(r"(?<!\d)\d[ -]?\d{4}[ -]?\d{5}[ -]?\d{2}[ -]?\d(?!\d)")


class Scheme(StrEnum):
    """How an id is to be read."""

    CITIZEN = "th-pid"
    JURISTIC = "th-jid"
    REGISTRY = "registry"
    AREA = "th-area"


@dataclass(frozen=True, repr=False, slots=True)
class Identifier:
    """A subject's id, normalised.  ``reveal()`` is the only way to its text."""

    scheme: Scheme
    _text: str

    def reveal(self) -> str:
        """The id itself.  Never log what this returns."""
        return self._text

    @property
    def registry(self) -> str:
        """The register of an id in one; else empty."""
        return self._text.partition("/")[0] if self.scheme is Scheme.REGISTRY else ""

    @property
    def is_public(self) -> bool:
        """Whether the id names no person: such ids are hashed without the OPRF."""
        return self.scheme in (Scheme.REGISTRY, Scheme.AREA)

    def domain_bytes(self) -> bytes:
        """``"samprasan/v1/" + scheme + "/" + id``: the OPRF's input, or what a public id is hashed from."""
        return f"{DOMAIN}{self.scheme}/{self._text}".encode()

    def public_text(self) -> str:
        """The scheme and the id, for public ids only."""
        if not self.is_public:
            raise ValueError("a 13-digit id is not public")
        return f"{self.scheme}/{self._text}"

    def public_subject_key(self) -> bytes:
        """SHA-256 of :meth:`domain_bytes`, 32 bytes, for public ids only."""
        if not self.is_public:
            raise ValueError("a 13-digit id has no public subject key")
        return hashlib.sha256(self.domain_bytes()).digest()

    def __repr__(self) -> str:
        return f"<{self.scheme} id>"

    __str__ = __repr__


def fold_digits(text: str) -> str:
    """``text`` with Thai digits as ASCII digits."""
    return text if text.isascii() else text.translate(_THAI_DIGITS)


def holds_id(text: str) -> bool:
    """Whether ``text`` has a 13-digit id of a citizen or a juristic person in it, written as ids are."""
    return any(_is_secret(re.sub("[ -]", "", each)) for each in _WRITTEN.findall(fold_digits(text)))


def check_digit(twelve: str) -> str:
    """The thirteenth digit of a Thai id (Department of Provincial Administration, mod 11)."""
    weighted = sum(map(mul, twelve.encode("ascii"), _WEIGHTS)) - _WEIGHTED_ZEROS
    return str((11 - weighted % 11) % 10)


def parse(scheme: Scheme, text: str, registry: str = "") -> Identifier:
    """Read an id as people and spreadsheets write it.

    ``registry`` names the register of a ``registry`` id.  Raises Malformed, whose ``code`` says what is wrong and whose
    values never hold the id: ``id_missing``, ``id_lost_digits``, ``id_length``, ``id_characters``, ``id_first_digit``,
    ``id_check_digit``, ``registry_missing``, ``id_secret`` for a 13-digit id that is said to be in a register.
    """
    folded = fold_digits(text).strip()
    if not folded:
        raise Malformed("id_missing")
    if scheme is Scheme.REGISTRY:
        return _registry_id(folded, registry.strip())
    if _SCIENTIFIC.match(folded):
        raise Malformed("id_lost_digits")
    digits = _SEPARATORS.sub("", folded)
    if not (digits.isascii() and digits.isdecimal()):
        raise Malformed("id_characters")
    return _area_code(digits) if scheme is Scheme.AREA else _thirteen_digits(scheme, digits)


def public_identifier(text: str) -> Identifier:
    """The public id that ``text`` names with its scheme, as :meth:`Identifier.public_text` writes it.

    Raises Malformed as :func:`parse`, ``id_not_public`` for what is none, or is written otherwise.
    """
    scheme, _, rest = text.partition("/")
    if scheme == Scheme.AREA:
        found = parse(Scheme.AREA, rest)
    elif scheme == Scheme.REGISTRY:
        registry, _, number = rest.partition("/")
        found = parse(Scheme.REGISTRY, number, registry)
    else:
        raise Malformed("id_not_public")
    if found.public_text() != text:
        raise Malformed("id_not_public")
    return found


def _thirteen_digits(scheme: Scheme, digits: str) -> Identifier:
    if len(digits) != 13:
        raise Malformed("id_length", length=len(digits), expected="13")
    juristic = digits[0] == "0"
    if juristic != (scheme is Scheme.JURISTIC) or digits[0] == "9":
        raise Malformed("id_first_digit", scheme=scheme.value)
    if check_digit(digits[:12]) != digits[12]:
        raise Malformed("id_check_digit")
    return Identifier(scheme, digits)


def _is_secret(digits: str) -> bool:
    """Whether it may be the id of a citizen or a juristic person, which nobody may see."""
    is_thirteen = len(digits) == 13 and digits.isascii() and digits.isdecimal()
    return is_thirteen and digits[0] != "9" and check_digit(digits[:12]) == digits[12]


def _area_code(digits: str) -> Identifier:
    if len(digits) not in (2, 4, 6, 8):
        raise Malformed("id_length", length=len(digits), expected="2, 4, 6, 8")
    return Identifier(Scheme.AREA, digits)


def _registry_id(text: str, registry: str) -> Identifier:
    if not registry or "/" in registry:
        raise Malformed("registry_missing")
    digits = _SEPARATORS.sub("", text)
    if _is_secret(digits):
        raise Malformed("id_secret")
    if len(text) > _REGISTRY_ID_MAX:
        raise Malformed("id_length", length=len(text), expected=f"1-{_REGISTRY_ID_MAX}")
    return Identifier(Scheme.REGISTRY, f"{registry}/{text}")
