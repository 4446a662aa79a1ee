"""Chains: next, known, gap and fork are told apart."""

import pytest
from samprasan.keys.chain import START, Fit, Head, Heads, compare, fit

HEAD = Head(4, b"4" * 32)


@pytest.mark.parametrize(
    ("head", "seq", "previous", "expected"),
    [
        (START, 1, bytes(32), Fit.NEXT),
        (START, 1, b"x" * 32, Fit.FORK),
        (START, 2, bytes(32), Fit.GAP),
        (HEAD, 5, b"4" * 32, Fit.NEXT),
        (HEAD, 5, b"5" * 32, Fit.FORK),
        (HEAD, 6, b"4" * 32, Fit.GAP),
        (HEAD, 4, b"3" * 32, Fit.KNOWN),
        (HEAD, 1, bytes(32), Fit.KNOWN),
    ],
)
def test_where_a_batch_belongs(head: Head, seq: int, previous: bytes, expected: Fit) -> None:
    assert fit(head, seq, previous) is expected


@pytest.mark.parametrize(
    ("theirs", "mine_at_theirs", "expected"),
    [
        (HEAD, b"4" * 32, Heads.SAME),
        (HEAD, b"x" * 32, Heads.FORK),
        (Head(3, b"3" * 32), b"3" * 32, Heads.BEHIND),
        (Head(3, b"3" * 32), b"x" * 32, Heads.FORK),
        (START, None, Heads.BEHIND),
        (Head(5, b"5" * 32), None, Heads.AHEAD),
    ],
)
def test_how_two_heads_stand(theirs: Head, mine_at_theirs: bytes | None, expected: Heads) -> None:
    assert compare(HEAD, theirs, mine_at_theirs) is expected
