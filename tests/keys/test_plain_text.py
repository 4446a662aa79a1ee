"""Text that shows as itself."""

import json

import pytest
from samprasan.keys import plain_text

UNSEEN = [
    "\x1b[2K",
    "a\nb",
    "a\x7f",
    "\x9b31m",
    "\u202e0000",
    "a\u200bb",
    "\u2066x",
    "a\u2028b",
    "\ufeffa",
    "\U000e0041",
]


@pytest.mark.parametrize("text", UNSEEN)
def test_what_moves_hides_or_turns_is_shown_as_its_number(text: str) -> None:
    assert not plain_text.is_plain(text)
    assert plain_text.is_plain(plain_text.visible(text))
    as_json = plain_text.visible(json.dumps(text, ensure_ascii=False))
    assert json.loads(as_json) == text


@pytest.mark.parametrize("text", ["ศูนย์คุณธรรม (องค์การมหาชน)", "Moral Promotion Center", "๒๕๖๙", "a\u0301", "[bold]"])
def test_what_shows_as_itself_stays(text: str) -> None:
    assert plain_text.is_plain(text)
    assert plain_text.visible(text) == text
