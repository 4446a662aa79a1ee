"""The scanner that guards privacy finds what is planted, in every encoding."""

import hashlib

import pytest

from tests.leaks import LEAKS, SCANNER


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found(leak: str) -> None:
    assert SCANNER.hits(b"before " + LEAKS[leak] + b" after") != set()


def test_other_bytes_are_no_leak() -> None:
    assert SCANNER.hits(b"1101700203452 " + hashlib.sha512(b"other").digest() * 50) == set()
