"""What programs say to people, in Thai and English, from a ``words.toml`` beside the program."""

import locale
import os
import tomllib
from functools import cache
from importlib import resources

from samprasan.keys.errors import LANGUAGES, Malformed

_chosen: list[str] = []


def choose(language: str | None) -> None:
    """Speak ``th`` or ``en`` from now on; with None as the environment says."""
    wanted = language or os.environ.get("SAMPRASAN_LANG") or _of_locale()
    if wanted not in LANGUAGES:
        raise Malformed("language", language=wanted)
    _chosen[:] = [wanted]


def language() -> str:
    """The language in use: ``th`` or ``en``."""
    if not _chosen:
        choose(None)
    return _chosen[0]


def _of_locale() -> str:
    name = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG")
    name = name or locale.getlocale()[0] or ""
    return "th" if name.startswith("th") else "en"


class Words:
    """The texts of one package."""

    def __init__(self, package: str) -> None:
        self._package = package

    def __call__(self, key: str, **values: object) -> str:
        """The text called ``key`` in the language in use."""
        return self.in_language(language(), key, **values)

    def in_language(self, wanted: str, key: str, **values: object) -> str:
        """The text called ``key`` in ``wanted``."""
        return _texts(self._package)[key][wanted].format_map(values)


@cache
def _texts(package: str) -> dict[str, dict[str, str]]:
    return tomllib.loads(resources.files(package).joinpath("words.toml").read_text("utf-8"))
