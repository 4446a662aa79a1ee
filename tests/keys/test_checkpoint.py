"""Checkpoints: a note says one thing in one way, and each signature on it is for that and by whom it says."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samprasan.keys import checkpoint
from samprasan.keys.checkpoint import Checkpoint
from samprasan.keys.errors import Malformed, Unproven
from samprasan.keys.signing import KeySigner, verify_ed25519

FEDERATION = b"federation id 16"
HUB, MPC, NHCO, STRANGER = (KeySigner(bytes([number]) * 32) for number in (1, 2, 3, 4))
KEYS = {"mpc": MPC.public_key, "nhco": NHCO.public_key}
HEAD = Checkpoint(checkpoint.origin_of(FEDERATION), 42, hashlib.sha256(b"root").digest())
NOTE = checkpoint.sign_note(HEAD, HUB)


def opened(data: bytes) -> checkpoint.Note:
    return checkpoint.open_note(data, FEDERATION, HUB.public_key, verify_ed25519)


def both_cosigned() -> bytes:
    given_by = [
        checkpoint.cosigned(HEAD, agency, signer, 1_795_000_000) for agency, signer in (("mpc", MPC), ("nhco", NHCO))
    ]
    return checkpoint.with_cosignatures(opened(NOTE), given_by, KEYS)


def test_a_note_reads_as_the_specification_writes_it() -> None:
    lines = NOTE.decode().split("\n")
    assert lines[:4] == [f"samprasan/{FEDERATION.hex()}", "42", base64.b64encode(HEAD.root).decode(), ""]
    assert lines[4].startswith(f"— samprasan/{FEDERATION.hex()} ")
    assert lines[5:] == [""]


def test_key_ids_are_those_of_others() -> None:
    """The verifier keys that Go's note package documents, and that of its checksum database."""
    for known in (
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # pragma: allowlist secret
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    ):
        name, key_id, material = known.split("+", 2)
        data = base64.b64decode(material)
        assert checkpoint.key_id(name, data[:1], data[1:]).hex() == key_id


def test_a_note_that_another_implementation_signed_verifies() -> None:
    """Go's note package, its documented example: the same signature over the text's bytes."""
    text = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    key = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:]
    parts = (
        "x08go/ZJkuBS9UG/SffcvIAQxV",  # pragma: allowlist secret
        "BtiFupLLr8pAcElZInNIuGUgYN",  # pragma: allowlist secret
        "1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",  # pragma: allowlist secret
    )
    line = "".join(parts)
    assert verify_ed25519(key, text, base64.b64decode(line)[4:])


def test_what_the_hub_signed_is_read_back() -> None:
    assert opened(NOTE).checkpoint == HEAD
    assert checkpoint.cosignatures(opened(NOTE), KEYS, verify_ed25519) == []


def test_cosignatures_are_found_by_agency() -> None:
    note = opened(both_cosigned())
    assert [each.agency for each in checkpoint.cosignatures(note, KEYS, verify_ed25519)] == ["mpc", "nhco"]


def test_a_cosignature_signs_time_and_text() -> None:
    """What the specification says is signed, put together here by hand."""
    given_by = checkpoint.cosigned(HEAD, "mpc", MPC, 1_795_000_000)
    message = b"cosignature/v1\ntime 1795000000\n" + HEAD.text.encode()
    assert verify_ed25519(MPC.public_key, message, given_by.signature)


def test_a_line_of_somebody_unknown_does_not_count() -> None:
    given_by = checkpoint.cosigned(HEAD, "codi", STRANGER, 5)
    data = checkpoint.with_cosignatures(opened(NOTE), [given_by], {"codi": STRANGER.public_key})
    assert checkpoint.cosignatures(opened(data), KEYS, verify_ed25519) == []


def test_a_cosignature_by_another_key_under_an_agencys_name_does_not_hold() -> None:
    forged = checkpoint.Cosignature("mpc", 5, checkpoint.cosigned(HEAD, "mpc", STRANGER, 5).signature)
    data = checkpoint.with_cosignatures(opened(NOTE), [forged], KEYS)
    with pytest.raises(Unproven, match="mpc"):
        checkpoint.cosignatures(opened(data), KEYS, verify_ed25519)


def test_a_cosignature_of_another_checkpoint_or_time_does_not_hold() -> None:
    other = Checkpoint(HEAD.origin, HEAD.size + 1, HEAD.root)
    for wrong in (
        checkpoint.cosigned(other, "mpc", MPC, 5),
        checkpoint.Cosignature("mpc", 6, checkpoint.cosigned(HEAD, "mpc", MPC, 5).signature),
    ):
        with pytest.raises(Unproven):
            checkpoint.check_cosignature(HEAD, wrong, MPC.public_key, verify_ed25519)


def test_the_hubs_signature_is_no_cosignature_and_the_other_way_round() -> None:
    """One key under one name could be both: the type is in the key's id and in what is signed."""
    as_witness = checkpoint.cosigned(HEAD, "mpc", HUB, 5)
    assert not verify_ed25519(HUB.public_key, HEAD.text.encode(), as_witness.signature)
    assert checkpoint.key_id("a", checkpoint.LOG_KEY, KEYS["mpc"]) != checkpoint.key_id(
        "a", checkpoint.WITNESS_KEY, KEYS["mpc"]
    )


@pytest.mark.parametrize(
    "data",
    [
        checkpoint.sign_note(HEAD, STRANGER),
        checkpoint.sign_note(Checkpoint(checkpoint.origin_of(b"another one's id"), 42, HEAD.root), HUB),
        NOTE.replace(b"\n42\n", b"\n43\n"),
    ],
)
def test_a_note_that_the_hub_did_not_sign_is_unproven(data: bytes) -> None:
    with pytest.raises(Unproven):
        opened(data)


ROOT = base64.b64encode(HEAD.root)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        NOTE[:-1],
        NOTE + b"\n",
        NOTE.replace(b"\n42\n", b"\n042\n"),
        NOTE.replace(b"\n42\n", b"\n+42\n"),
        NOTE.replace(b"\n42\n", b"\n4_2\n"),
        NOTE.replace(b"\n42\n", "\n๔๒\n".encode()),
        NOTE.replace(b"\n42\n", b"\n-1\n"),
        NOTE.replace(b"\n42\n", b"\n%d\n" % 2**63),
        NOTE.replace(b"\n42\n", b"\n42\r\n"),
        NOTE.replace(ROOT, ROOT[:-1]),
        NOTE.replace(ROOT, base64.b64encode(HEAD.root[:31])),
        NOTE.replace(ROOT + b"\n", ROOT + b"\nan extension\n"),
        NOTE.replace("— ".encode(), b"- "),
        NOTE.replace(b"\n\n", b"\n"),
        NOTE + "— x AAAA\n".encode(),
        NOTE + "— a+b AAAAAAAA\n".encode(),
        NOTE + "— x AAAAAAA\n".encode(),
        NOTE + "—  AAAAAAAA\n".encode(),
        NOTE + "— x AAAAAAAA\n".encode() * checkpoint.LINES_MAX,
        b"\xff" + NOTE,
        NOTE + b"x" * checkpoint.NOTE_BYTES_MAX,
    ],
)
def test_a_note_that_is_written_otherwise_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        opened(data)


@given(st.integers(0, 8 * len(NOTE) - 1))
def test_no_bit_of_a_note_can_change(bit: int) -> None:
    changed = (int.from_bytes(NOTE, "big") ^ 1 << bit).to_bytes(len(NOTE), "big")
    with pytest.raises((Malformed, Unproven)):
        opened(changed)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_note_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        opened(data)


def test_a_forged_cosignature_spoils_no_checkpoint_but_is_told() -> None:
    """Every bit of a cosignature counts."""
    sound = checkpoint.cosigned(HEAD, "mpc", MPC, 5).signature
    for bit in range(512):
        forged = (int.from_bytes(sound, "big") ^ 1 << bit).to_bytes(64, "big")
        with pytest.raises(Unproven):
            checkpoint.check_cosignature(HEAD, checkpoint.Cosignature("mpc", 5, forged), MPC.public_key, verify_ed25519)
