"""A digest as words: what is read aloud comes back as it was, and a slip is noticed."""

import random
import unicodedata

import pytest
from samprasan.keys import spoken_digest
from samprasan.keys.errors import LANGUAGES, Malformed

DIGESTS = [random.Random(seed).randbytes(32) for seed in range(200)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_read_comes_back(language: str) -> None:
    for digest in DIGESTS:
        said = spoken_digest.words_of(digest, language)
        assert len(said) == 33
        for typed in (" ".join(said), "\n".join(said).upper(), unicodedata.normalize("NFD", "   ".join(said))):
            assert spoken_digest.parse(typed) == digest


def test_digits_are_taken_however_they_are_grouped() -> None:
    digits = DIGESTS[0].hex()
    groups = [digits[at : at + 4] for at in range(0, 64, 4)]
    for typed in (digits, digits.upper(), " ".join(groups), ":".join(groups)):
        assert spoken_digest.parse(typed) == DIGESTS[0]


def test_no_two_words_are_alike() -> None:
    listed = [{spoken_digest.words_of(bytes([byte]) * 32, each)[0] for byte in range(256)} for each in LANGUAGES]
    assert [len(each) for each in listed] == [256, 256]
    assert not listed[0] & listed[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_slip_is_noticed(language: str) -> None:
    chance, unnoticed = random.Random(7), 0
    codes = set()
    for digest in DIGESTS:
        said = spoken_digest.words_of(digest, language)
        one, other = chance.sample(range(33), 2)
        said[one], said[other] = said[other], said[one]
        try:
            unnoticed += spoken_digest.parse(" ".join(said)) != digest
        except Malformed as problem:
            codes.add(problem.code)
    assert codes == {"digest_misheard"}
    assert unnoticed <= 4


def test_what_is_no_digest_is_told_without_its_words() -> None:
    said = spoken_digest.words_of(DIGESTS[0], "en")
    with pytest.raises(Malformed) as short:
        spoken_digest.parse(" ".join(said[:-1]))
    assert (short.value.code, short.value.values) == ("digest_form", {"words": 32})
    with pytest.raises(Malformed) as unknown:
        spoken_digest.parse(" ".join([*said[:6], "xyzzy", *said[7:]]))
    assert (unknown.value.code, unknown.value.values) == ("digest_word", {"place": 7})
