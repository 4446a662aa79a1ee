"""The four errors, because callers do four things.

An error carries a ``code`` and its values; what it says to people stands in ``errors.toml``, in Thai and in English, so
that no raise site words anything.  Values never hold an id or a name of a subject.
"""

import tomllib
from functools import cache
from importlib import resources

from samprasan.keys import plain_text

LANGUAGES = ("th", "en")


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Every code's ``en``, ``th`` (what happened, where) and ``en_hint``, ``th_hint`` (what to do next)."""
    return tomllib.loads(resources.files(__package__).joinpath("errors.toml").read_text("utf-8"))


class _Known(dict[str, str]):
    """Values of an error; a value the text asks for and the sender left out shows as ``?``."""

    def __missing__(self, key: str) -> str:
        return "?"


class SamprasanError(Exception):
    """Anything this software refuses or cannot do.

    Attributes: ``code``, one of ``errors.toml``; ``values``, what the texts name.
    """

    def __init__(self, code: str, /, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values = values

    def text(self, language: str = "en") -> str:
        """What happened and where, in ``language`` (``th`` or ``en``)."""
        return self._word(language)

    def hint(self, language: str = "en") -> str:
        """One sentence on what to do next, in ``language``; empty if nobody can do anything."""
        return self._word(f"{language}_hint")

    def _word(self, key: str) -> str:
        texts = catalogue().get(self.code)
        if texts is None:  # a newer program's: its code is all there is to show
            return "" if key.endswith("_hint") else self.code
        values = {name: plain_text.visible(str(each)) for name, each in self.values.items()}  # whoever wrote them
        return texts.get(key, "").format_map(_Known(values))

    def __str__(self) -> str:
        return self.text("en")


class Malformed(SamprasanError):
    """It cannot be read at all: never retried."""


class Unproven(SamprasanError):
    """Evidence does not hold: never retried, wakes the operator."""


class Refused(SamprasanError):
    """Honest and readable; the rules say no: tell the person."""


class Unavailable(SamprasanError):
    """Could not be asked: retried."""
