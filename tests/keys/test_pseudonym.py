"""RFC 9497: every vector, and every quorum of two of three reproduces them."""

import hashlib
import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from samprasan.keys import pseudonym, ristretto, sharing
from samprasan.keys.errors import Malformed, Unproven
from samprasan.keys.pseudonym import POPRF, VOPRF, Proof

from tests.dealing import deal

SUITES = json.loads((Path(__file__).parents[1] / "vectors" / "rfc9497_ristretto255.json").read_text("utf-8"))
VECTORS = [(suite, vector) for suite in SUITES for vector in suite["vectors"]]
BY_MODE = {suite["mode"]: suite for suite in SUITES}


def parts(vector: dict[str, Any], name: str) -> list[bytes]:
    return [bytes.fromhex(part) for part in vector[name].split(",")]


def scalar(hexadecimal: str) -> int:
    return ristretto.decode_scalar(bytes.fromhex(hexadecimal))


def with_length(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def tweak(suite: dict[str, Any], vector: dict[str, Any]) -> int:
    """POPRF's addition to the key (RFC 9497 section 3.3.3); 0 in the other modes."""
    if suite["mode"] != POPRF:
        return 0
    framed = b"Info" + with_length(bytes.fromhex(vector["Info"]))
    return ristretto.hash_to_scalar(framed, b"HashToScalar-" + pseudonym.context(POPRF))


def output(suite: dict[str, Any], vector: dict[str, Any], value: bytes, unblinded: bytes) -> bytes:
    if suite["mode"] != POPRF:
        return pseudonym.finalize(value, unblinded)
    info = bytes.fromhex(vector["Info"])
    return hashlib.sha512(with_length(value) + with_length(info) + with_length(unblinded) + b"Finalize").digest()


@pytest.mark.parametrize(("suite", "vector"), VECTORS)
def test_every_vector_comes_out(suite: dict[str, Any], vector: dict[str, Any]) -> None:
    mode, key = suite["mode"], scalar(suite["skSm"])
    tweaked = (key + tweak(suite, vector)) % ristretto.ORDER
    values, blinds = parts(vector, "Input"), [scalar(each.hex()) for each in parts(vector, "Blind")]
    blinded = [pseudonym.blind(value, blind, mode) for value, blind in zip(values, blinds, strict=True)]
    assert blinded == parts(vector, "BlindedElement")
    evaluation_key = ristretto.invert(tweaked) if mode == POPRF else tweaked
    evaluated = [pseudonym.evaluate(evaluation_key, element) for element in blinded]
    assert evaluated == parts(vector, "EvaluationElement")
    if "Proof" in vector:
        left, right = (evaluated, blinded) if mode == POPRF else (blinded, evaluated)
        proof = pseudonym.prove(tweaked, scalar(vector["Proof"]["r"]), left, right, mode)
        assert proof.encode().hex() == vector["Proof"]["proof"]
        pseudonym.verify(ristretto.multiply_base(tweaked), left, right, Proof.decode(proof.encode()), mode)
    for value, blind, element, expected in zip(values, blinds, evaluated, parts(vector, "Output"), strict=True):
        assert output(suite, vector, value, ristretto.multiply(ristretto.invert(blind), element)) == expected


@pytest.mark.parametrize("vector", BY_MODE[VOPRF]["vectors"])
@pytest.mark.parametrize(("own", "peer"), list(permutations(sharing.INDICES, 2)))
def test_every_quorum_reproduces_the_vectors(vector: dict[str, Any], own: int, peer: int) -> None:
    shares = {share.index: share for share in deal(scalar(BY_MODE[VOPRF]["skSm"]), 123_456_789)}
    for value, blind, expected in zip(
        parts(vector, "Input"), parts(vector, "Blind"), parts(vector, "Output"), strict=True
    ):
        r = scalar(blind.hex())
        blinded = pseudonym.blind(value, r)
        evaluated = pseudonym.evaluate(shares[peer].scalar, blinded)
        proof = pseudonym.prove(shares[peer].scalar, 42, [blinded], [evaluated])
        pseudonym.verify(shares[peer].commitment(), [blinded], [evaluated], proof)
        assert sharing.combine(shares[own], peer, value, r, evaluated) == expected[:32]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, ristretto.ORDER - 1), st.integers(1, ristretto.ORDER - 1), st.binary(min_size=1, max_size=40))
def test_all_quorums_agree_and_one_share_alone_does_not(key: int, slope: int, value: bytes) -> None:
    assume(all((key + index * slope) % ristretto.ORDER for index in sharing.INDICES))  # nobody draws a zero share
    shares = deal(key, slope)
    found = {
        sharing.combine(mine, theirs.index, value, 7, pseudonym.evaluate(theirs.scalar, pseudonym.blind(value, 7)))
        for mine, theirs in permutations(shares, 2)
    }
    assert found == {pseudonym.pseudonym(value, ristretto.multiply(key, pseudonym.hash_to_group(value)))}
    sharing.check_commitments({share.index: share.commitment() for share in shares})


ORDER_BYTES = ristretto.ORDER.to_bytes(32, "little")
GOOD = ristretto.multiply_base(5)
BAD_ELEMENTS = {
    "the identity": bytes(32),
    "too short": GOOD[:31],
    "too long": GOOD + b"\x00",
    "empty": b"",
    "not canonical": b"\xed" + b"\xff" * 30 + b"\x7f",
    "top bit set": GOOD[:31] + bytes([GOOD[31] | 0x80]),
    "negative": bytes([1]) + bytes(31),
    "no point": b"\x02" + bytes(30) + b"\x40",
}


@pytest.mark.parametrize("bad", BAD_ELEMENTS)
def test_a_bad_element_is_refused(bad: str) -> None:
    with pytest.raises(Malformed):
        pseudonym.evaluate(3, BAD_ELEMENTS[bad])


@pytest.mark.parametrize("bad", [ORDER_BYTES, b"\xff" * 32, bytes(31), bytes(33), (1).to_bytes(31, "little") + b"\x80"])
def test_a_scalar_that_is_not_reduced_is_refused(bad: bytes) -> None:
    with pytest.raises(Malformed):
        ristretto.decode_scalar(bad)


def test_a_proof_of_another_key_order_or_element_does_not_hold() -> None:
    blinded = [pseudonym.blind(b"a", 3), pseudonym.blind(b"b", 4)]
    evaluated = [pseudonym.evaluate(9, element) for element in blinded]
    proof = pseudonym.prove(9, 77, blinded, evaluated)
    public = ristretto.multiply_base(9)
    pseudonym.verify(public, blinded, evaluated, proof)
    for wrong in (
        (ristretto.multiply_base(10), blinded, evaluated, proof),
        (public, blinded[::-1], evaluated, proof),
        (public, blinded, [evaluated[0], evaluated[0]], proof),
        (public, blinded, evaluated[:1], proof),
        (public, [], [], proof),
        (public, blinded, evaluated, Proof(proof.challenge, proof.response + 1)),
    ):
        with pytest.raises(Unproven):
            pseudonym.verify(*wrong)


def test_shares_of_another_line_are_found_out() -> None:
    first, second, third = deal(5, 6)
    stale = deal(5, 7)[2]
    with pytest.raises(Unproven):
        sharing.check_commitments({1: first.commitment(), 2: second.commitment(), 3: stale.commitment()})
    assert sharing.Share.decode(third.encode()) == third
    assert "6" not in repr(third).replace("epoch", "")
    with pytest.raises(Malformed):
        sharing.Share.decode(b"share/2 1 1 1 " + bytes(32))
