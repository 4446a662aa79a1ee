"""The officers who propose and confirm, by name: who confirms must be somebody else."""

from samprasan.keys.errors import Malformed
from samprasan.node import limits


def check_officer(by: str) -> str:
    """The name as it is kept.  Raises Malformed ``by``."""
    name = by.strip()
    if not 0 < len(name) <= limits.OFFICER_CHARACTERS_MAX:
        raise Malformed("by", most=limits.OFFICER_CHARACTERS_MAX)
    return name


def is_same(one: str, other: str) -> bool:
    """Whether two names are one officer's, however they are spaced and capitalized."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
