"""Text that people read: nothing in it moves a cursor, is unseen, or turns around what stands beside it."""

import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format, half a surrogate pair, ends of lines


def is_plain(text: str) -> bool:
    """Whether every character shows as itself: those of the categories Cc, Cf, Cs, Zl and Zp do not (Unicode, 4.5)."""
    return not any(unicodedata.category(each) in _UNSEEN for each in text)


def visible(text: str, *, keep: str = "") -> str:
    r"""``text`` with each character that does not show as itself as ``\uXXXX``, but those to ``keep``.

    Inside a JSON text it means the same afterwards.
    """
    return "".join(each if each in keep or is_plain(each) else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
