"""Text that people read: nothing in it moves a cursor, is unseen, or turns around what stands beside it."""

import re
import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format, half a surrogate pair, ends of lines
# Of other categories, and yet shown as nothing (Unicode, Default_Ignorable_Code_Point, and the empty Braille cell).
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
# Thai, and Latin letters, digits and punctuation; a fixed list, so that every program decides alike.
_LATIN = " -~\u00a1-\u00ac\u00ae-\u024f"
_PUNCTUATION = "\u2010-\u2015\u2018-\u201f\u2020-\u2022\u2026\u2030\u2032\u2033\u20ac\u2116\u2122"
_ALPHABET = re.compile(f"[{_LATIN}{_PUNCTUATION}\u0e01-\u0e3a\u0e3f-\u0e5b]*")
_THAI_MARKS = re.compile("[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]{4}")  # more than a consonant carries
_SPACES = re.compile("^ |  | $")


def is_plain(text: str) -> bool:
    """Whether ``text`` is Thai or Latin writing of which every character shows, with single spaces inside alone.

    Runs of spaces could draw lines of their own where a screen wraps.
    """
    return bool(_ALPHABET.fullmatch(text)) and not _SPACES.search(text) and not _THAI_MARKS.search(text)


def visible(text: str, *, keep: str = "") -> str:
    r"""``text`` with each character that does not show as itself as ``\uXXXX``, but those to ``keep``.

    Inside a JSON text it means the same afterwards.
    """
    if _ALPHABET.fullmatch(text):
        return text
    return "".join(each if each in keep or _shows(each) else _escaped(each) for each in text)


def _shows(character: str) -> bool:
    """Whether it does: those of the categories Cc, Cf, Cs, Zl and Zp do not (Unicode, 4.5), nor what is ignored."""
    return unicodedata.category(character) not in _UNSEEN and not _IGNORABLE.fullmatch(character)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
