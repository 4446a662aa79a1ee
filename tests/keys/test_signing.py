"""Envelopes: one signature is for one kind, one key, those bytes; and one message has one encoding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samprasan.keys import signing
from samprasan.keys.errors import Malformed, SamprasanError, Unproven
from samprasan.keys.signing import KeySigner, verify_ed25519
from samprasan.v1 import documents_pb2, hub_pb2, linking_pb2, log_pb2
from samprasan.v1.envelope_pb2 import Envelope

SIGNER, OTHER = KeySigner(b"\x01" * 32), KeySigner(b"\x02" * 32)
BATCH = log_pb2.Batch(federation_id=b"f" * 16, agency="mpc", seq=1, previous=bytes(32), created_at=5)
SIGNED_KINDS = [
    log_pb2.Batch,
    log_pb2.Receipt,
    log_pb2.Refusal,
    documents_pb2.Roster,
    documents_pb2.Policy,
    documents_pb2.Grant,
    linking_pb2.EvalRequest,
    linking_pb2.EvalResponse,
    linking_pb2.EvalRefusal,
    hub_pb2.Application,
    hub_pb2.AccountOpened,
    hub_pb2.Totals,
]


def opened(envelope: Envelope) -> log_pb2.Batch:
    return signing.open_signed(envelope, log_pb2.Batch, SIGNER.public_key, verify_ed25519)


def test_what_was_sealed_opens() -> None:
    assert opened(signing.seal(BATCH, SIGNER)) == BATCH


def test_the_pre_authentication_encoding_is_dsses() -> None:
    assert signing.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_every_kind_has_its_own_payload_type() -> None:
    names = [signing.payload_type(kind) for kind in SIGNED_KINDS]
    assert len(set(names)) == len(names)
    assert "application/vnd.samprasan.v1.eval-request" in names


@pytest.mark.parametrize("kind", SIGNED_KINDS)
def test_a_signature_made_for_one_kind_never_verifies_for_another(kind: type[log_pb2.Batch]) -> None:
    envelope = signing.seal(kind(), SIGNER)
    for other in SIGNED_KINDS:
        if other is not kind:
            envelope.payload_type = signing.payload_type(other)
            with pytest.raises(Unproven):
                signing.check_signature(envelope, other, SIGNER.public_key, verify_ed25519)


def test_another_key_two_signatures_and_none_are_unproven() -> None:
    for envelope in (signing.seal(BATCH, OTHER), signing.seal(BATCH, SIGNER, OTHER), signing.seal(BATCH)):
        with pytest.raises(Unproven):
            opened(envelope)


def test_a_key_id_that_names_another_key_is_unproven() -> None:
    envelope = signing.seal(BATCH, SIGNER)
    envelope.signatures[0].key_id = signing.key_id(OTHER.public_key)
    with pytest.raises(Unproven):
        opened(envelope)


@given(st.data())
def test_any_bit_changed_anywhere_is_found(data: st.DataObject) -> None:
    envelope = signing.seal(BATCH, SIGNER)
    encoded = bytearray(envelope.SerializeToString())
    place = data.draw(st.integers(0, len(encoded) * 8 - 1))
    encoded[place // 8] ^= 1 << place % 8
    try:
        changed = Envelope.FromString(bytes(encoded))
    except Exception:
        return
    with pytest.raises(SamprasanError):
        assert opened(changed) != BATCH


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        signing.encode(BATCH) + b"\xf8\x07\x01",  # field 127, unknown
        signing.encode(BATCH) + b"\x18\x01",  # seq a second time
        b"\x18\x81\x00",  # seq 1 in two bytes
        b"\x18\x00",  # the default, written out
        b"\x12\x03\xff\xfe\xfd",  # agency that is no UTF-8
    ],
)
def test_a_payload_that_could_be_written_otherwise_is_malformed(payload: bytes) -> None:
    with pytest.raises(Malformed):
        signing.decode(log_pb2.Batch, payload)


def test_an_unknown_field_deep_inside_is_malformed() -> None:
    update = b"\x0a\x02id" + b"\x92\x03\x00"
    with pytest.raises(Malformed):
        signing.decode(log_pb2.Batch, b"\x32" + bytes([len(update)]) + update)


def test_limits_come_before_signatures() -> None:
    envelope = signing.seal(BATCH, SIGNER)
    envelope.payload = bytes(signing.ENVELOPE_BYTES_MAX + 1)
    with pytest.raises(Malformed, match="larger than"):
        opened(envelope)


def test_one_key_counts_once() -> None:
    keys = {SIGNER.public_key: "mpc", OTHER.public_key: "nhco"}
    twice = signing.seal(BATCH, SIGNER, SIGNER)
    with pytest.raises(Unproven) as refused:
        signing.signers_of(twice, keys, verify_ed25519)
    assert refused.value.code == "key_twice"
    assert signing.signers_of(signing.seal(BATCH, SIGNER, OTHER), keys, verify_ed25519) == {"mpc", "nhco"}
    stranger = signing.seal(BATCH, SIGNER, KeySigner(b"\x03" * 32))
    assert signing.signers_of(stranger, keys, verify_ed25519) == {"mpc"}
