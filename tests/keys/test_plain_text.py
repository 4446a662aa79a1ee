"""Text that shows as itself."""

import json

import pytest
from samprasan.keys import plain_text

UNSEEN = ["\x1b[2K", "a\nb", "a\x7f", "\x9b31m", "\u202e0000", "a\u200bb", "\u2066x", "a\u2028b", "\ufeffa"]
UNSEEN += ["a\ufe0f", "a\u034fb", "\u180b", "\u17b4", "\U000e01ef", "\u3164", "\u115f", "\uffa0", "\u2800", "a\u00adb"]
ODD = ["a\u00a0b", "a\u3000b", "\ue000", "\u0378", "שלום", "سلام", "a\u0301", "ก" + "\u0e48" * 5, "two  spaces", " a"]
PLAIN = ["ศูนย์คุณธรรม (องค์การมหาชน)", "Moral Promotion Center", "๒๕๖๙", "[bold]", "café – 5 €", "กำกั้นฎีก์", ""]


@pytest.mark.parametrize("text", UNSEEN)
def test_what_moves_hides_or_turns_is_shown_as_its_number(text: str) -> None:
    assert not plain_text.is_plain(text)
    assert plain_text.visible(text).isascii()
    as_json = plain_text.visible(json.dumps(text, ensure_ascii=False))
    assert json.loads(as_json) == text


@pytest.mark.parametrize("text", ODD)
def test_what_looks_like_something_else_is_not_plain(text: str) -> None:
    assert not plain_text.is_plain(text)
    assert json.loads(plain_text.visible(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize("text", PLAIN)
def test_what_shows_as_itself_stays(text: str) -> None:
    assert plain_text.is_plain(text)
    assert plain_text.visible(text) == text
