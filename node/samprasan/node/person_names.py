"""Whether two names may be one person's: to notice an id that was typed wrong.  Pure.

The check digit of an id misses one error in fifty, and none in the third digit is ever found: a typing error then opens
somebody else's account.  What the node has for that id already tells, if the names are no spellings of one another.
"""

import unicodedata
from difflib import SequenceMatcher

# Longer ones first.  Words that also begin given names, such as คุณ, are left.
_TITLES = (
    *("นางสาว", "นาง", "นาย", "น.ส.", "ด.ช.", "ด.ญ.", "เด็กชาย", "เด็กหญิง", "ดร.", "ผศ.", "รศ.", "ว่าที่ร.ต."),
    *("ห้างหุ้นส่วนจำกัด", "หจก.", "บริษัท", "บจก.", "มูลนิธิ", "สมาคม"),
    *("mrs.", "mrs ", "mr.", "mr ", "miss ", "ms.", "ms ", "dr.", "dr "),
)
_LETTERS_SHOWN = 2
_ALIKE = 0.75  # of the characters in order: one or two letters of a word may be written otherwise


def differ(known: str, stated: str) -> bool:
    """Whether neither the given name nor the whole is a spelling of the other's; an empty name tells nothing."""
    if known == stated:
        return False
    first, second = _normalised(known), _normalised(stated)
    if not first or not second:
        return False
    return not (_alike(first[0], second[0]) or _alike("".join(first), "".join(second)))


def masked(name: str) -> str:
    """The name so that who knows it knows it again, and nobody else does: ``สม*** ใจ***``."""
    return " ".join(_beginning(word) + "***" for word in name.split())


def _beginning(word: str) -> str:
    """The first two letters, with the vowels and tones above and below them."""
    letters = 0
    for at, character in enumerate(word):
        letters += not unicodedata.combining(character) and unicodedata.category(character) != "Mn"
        if letters > _LETTERS_SHOWN:
            return word[:at]
    return word[:1]


def _alike(one: str, other: str) -> bool:
    return one == other or SequenceMatcher(None, one, other, autojunk=False).ratio() >= _ALIKE


def _normalised(name: str) -> list[str]:
    """The words of a name without a title, in one case and one form of Unicode."""
    text = unicodedata.normalize("NFKC", name).casefold().strip()
    for title in _TITLES:
        if text.startswith(title) and len(text) > len(title):
            text = text.removeprefix(title).strip()
            break
    return text.split()
