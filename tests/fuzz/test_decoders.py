"""Every decoder of what others wrote, 50,000 inputs a seed: it reads them, or says in our words that it does not."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from google.protobuf.message import Message
from samprasan.hub.integrators import view
from samprasan.keys import documents, handles, identifiers, pseudonym, ristretto, sharing, signing
from samprasan.keys.credentials import Credentials, Issued
from samprasan.keys.errors import SamprasanError
from samprasan.keys.identifiers import Scheme
from samprasan.keys.invitation import Invitation
from samprasan.keys.signing import KeySigner
from samprasan.ledger import batch_form, policy
from samprasan.node.exports import cells, profile
from samprasan.node.exports.cells import UnreadableCell
from samprasan.v1 import changes_pb2, documents_pb2, hub_pb2, linking_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

from tests.dealing import deal
from tests.federation import SAMPLES
from tests.fuzz.mutation import GROWTH_MEBIBYTES_MAX, ID, Seeds, mutated, policy_document, resident_mebibytes

INPUTS = 50_000  # of each seed
SIGNER = KeySigner(b"\x01" * 32)
ELEMENT = ristretto.multiply_base(5)
OURS = (SamprasanError, UnreadableCell)


@dataclass(frozen=True)
class Decoder:
    """A decoder and inputs that it takes."""

    decode: Callable[[bytes], object]
    corpus: Sequence[bytes]
    refuses: bool = True


def batch() -> log.Batch:
    link = log.Link(account_id=ID, purposes=[log.PURPOSE_SHARE])
    award = log.Award(account_id=ID, credits=5, dimension=log.DIMENSION_SOCIAL, month=202611, policy_version=1)
    reverse = log.Reverse(award_op_id=ID, reason=log.REVERSE_REASON_RECORD_CHANGED)
    updates = [
        log.Update(op_id=ID, link=link),
        log.Update(op_id=ID, award=award),
        log.Update(op_id=ID, reverse=reverse),
    ]
    return log.Batch(federation_id=ID, agency="mpc", seq=7, previous=bytes(32), created_at=1, updates=updates)


def message(kind: type[Message], *examples: Message) -> Decoder:
    """The strict reading of one kind of payload."""
    return Decoder(lambda data: signing.decode(kind, data), [signing.encode(each) for each in examples])


def as_intake_does(data: bytes) -> object:
    read = signing.decode(log.Batch, data)
    return batch_form.check(read, len(data), ID, "mpc")


def an_envelope(data: bytes) -> object:
    envelope = signing.read_envelope(data)
    return signing.open_signed(envelope, log.Batch, SIGNER.public_key, signing.verify_ed25519)


def a_document(data: bytes) -> object:
    return documents.read(Envelope(payload_type=signing.payload_type(documents_pb2.Policy), payload=data))


def a_policy(data: bytes) -> object:
    return policy.from_document(signing.decode(documents_pb2.Policy, data))


def the_elements(data: bytes) -> object:
    return [ristretto.decode_element(each) for each in ristretto.elements(data)]


def text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: read(data.decode("utf-8", "replace"))


def an_id(data: bytes) -> object:
    return [identifiers.parse(scheme, data.decode("utf-8", "replace"), "codi.council") for scheme in Scheme]


MEMBER = documents_pb2.Member(agency="mpc", name="ศูนย์คุณธรรม", signing_key=SIGNER.public_key, sealing_key=bytes(32))
ROSTER = documents_pb2.Roster(version=1, created_at=1, expires_at=2, threshold=2, members=[MEMBER] * 3)
RECEIPT = log.Receipt(federation_id=ID, agency="mpc", seq=1, batch_digest=bytes(32), outcomes=[log.Outcome(kind=1)])  # type: ignore[arg-type]
QUESTION = linking_pb2.EvalRequest(request_id=ID, requester="mpc", evaluator="nhco", blinded=ELEMENT * 3)
ANSWER = linking_pb2.EvalResponse(request_id=ID, evaluator="nhco", evaluated=ELEMENT * 3, proof=bytes(64))
INVITE = Invitation("mpc", "ศูนย์", "h:1", "h:2", b"der", b"secret", 5).encode()  # pragma: allowlist secret
PROFILE = (SAMPLES / "profiles" / "mpc-attendance.toml").read_bytes()
DAYS = ["13/11/2569", "๑๓ พ.ย. ๒๕๖๙", "2026-11-13", "13 พฤศจิกายน พ.ศ. 2569"]
QUANTITIES = ["1,234.5", "2:30", "๒.๕", "0:00:59", "=1+1"]
IDS = ["1-2345-67890-12-1", "๑๒๓๔๕๖๗๘๙๐๑๒๑", "1.23457E+12", "720803", "CC-0001"]

SPOILT = ["รหัสรายการ".encode(), "ÃËÑÊÃÒÂ¡ÒÃ".encode()]
PROOF = pseudonym.prove(5, 7, [ELEMENT], [ristretto.multiply(5, ELEMENT)]).encode()
POLICY_FILE = (SAMPLES / "policy.toml").read_bytes()[:600]


def a_quantity(data: bytes) -> object:
    return cells.quantity_of(data.decode("utf-8", "replace"), Fraction(1))


def a_cursor(data: bytes) -> object:
    return CURSORS.opened(data)


def a_filter(data: bytes) -> object:
    read = signing.decode(changes_pb2.Filter, data)
    view.check(documents_pb2.Scope(), read, ["mpc", "nhco", "codi"])
    return read


NAMES = handles.Names(bytes(32), ID, "welfare-app", 1)
CURSORS = NAMES.cursors("main", handles.scope_tag(b""))
FILTER = changes_pb2.Filter(agencies=["mpc", "codi"], dimensions=[1, 2], kinds=[1], causes=[1, 2])  # type: ignore[list-item]
APP = Credentials.new("welfare-app")
ISSUED = Issued("welfare-app", "h:1", "PEM", "PEM", bytes(32), ID)
INTEGRATOR = documents_pb2.Integrator(version=1, created_at=1, expires_at=2, name="app", title="แอป", purpose="p")
TOKEN = changes_pb2.HandleToken(federation_id=ID, integrator="welfare-app", agency="mpc", sealed=bytes(44))

DECODERS = {
    "envelope": Decoder(an_envelope, [signing.seal(batch(), SIGNER).SerializeToString()]),
    "batch": Decoder(as_intake_does, [signing.encode(batch())]),
    "receipt": message(log.Receipt, RECEIPT),
    "refusal": message(log.Refusal, log.Refusal(federation_id=ID, agency="mpc", seq=1, batch_digest=bytes(32))),
    "roster": message(documents_pb2.Roster, ROSTER),
    "grant": message(documents_pb2.Grant, documents_pb2.Grant(federation_id=ID, version=1, agency="mpc", elements=5)),
    "policy": Decoder(a_policy, [signing.encode(policy_document())]),
    "document": Decoder(a_document, [signing.encode(policy_document())]),
    "eval request": message(linking_pb2.EvalRequest, QUESTION),
    "eval response": message(linking_pb2.EvalResponse, ANSWER),
    "application": message(hub_pb2.Application, hub_pb2.Application(agency="mpc", signing_key=bytes(32))),
    "account opened": message(hub_pb2.AccountOpened, hub_pb2.AccountOpened(request_id=ID, agency="mpc")),
    "totals": message(hub_pb2.Totals, hub_pb2.Totals(request_id=ID, agency="mpc", as_of=5)),
    "elements": Decoder(the_elements, [ELEMENT, ELEMENT * 4]),
    "proof": Decoder(pseudonym.Proof.decode, [PROOF]),
    "share": Decoder(sharing.Share.decode, [each.encode() for each in deal(5, 7)]),
    "invite": Decoder(Invitation.decode, [INVITE]),
    "id": Decoder(an_id, [each.encode() for each in IDS]),
    "day": Decoder(text(lambda each: cells.day_of(each, "", 4)), [each.encode() for each in DAYS]),
    "quantity": Decoder(a_quantity, [each.encode() for each in QUANTITIES]),
    "mistaken encoding": Decoder(text(cells.mistaken_encoding), SPOILT, refuses=False),
    "profile": Decoder(text(profile.read), [PROFILE]),
    "integrator": message(documents_pb2.Integrator, INTEGRATOR),
    "cursor": Decoder(a_cursor, CURSORS.sealed([handles.Place(5, 1), handles.Place(7, 0, 1)])),
    "filter": Decoder(a_filter, [signing.encode(FILTER)]),
    "handle token": message(changes_pb2.HandleToken, TOKEN),
    "credentials": Decoder(Credentials.decode, [APP.encode()]),
    "certificate file": Decoder(Issued.decode, [ISSUED.encode()]),
    "policy file": Decoder(text(lambda each: policy.from_toml(each, ID, 1, 2)), [POLICY_FILE]),
}


@pytest.mark.parametrize("name", DECODERS)
def test_only_our_own_errors_come_out_and_memory_stays_flat(name: str, seeds: Seeds) -> None:
    for seed in seeds(1, 2, 4):
        fuzz(name, seed)


def fuzz(name: str, seed: int) -> None:
    """Let a decoder read many mutated inputs."""
    decoder = DECODERS[name]
    chance = random.Random(f"{name} {seed}")
    read = 0
    start = 0
    for number in range(INPUTS):
        data = mutated(chance, decoder.corpus)
        try:
            decoder.decode(data)
            read += 1
        except OURS:
            pass
        except BaseException as problem:
            raise AssertionError(f"seed {seed}: {type(problem).__name__} for {data.hex()}") from problem
        if number == INPUTS // 10:
            start = resident_mebibytes()
    assert resident_mebibytes() - start < GROWTH_MEBIBYTES_MAX
    assert (read < INPUTS) == decoder.refuses


@pytest.mark.parametrize("name", DECODERS)
def test_what_the_corpus_holds_is_read(name: str) -> None:
    """Else the fuzzing above would not come far."""
    decoder = DECODERS[name]
    understood = 0
    for data in decoder.corpus:
        try:
            decoder.decode(data)
            understood += 1
        except OURS:
            pass
    assert understood or name in {"id", "policy file", "document"}


@pytest.mark.parametrize(
    "read", [Invitation.decode, text(profile.read), text(lambda each: policy.from_toml(each, ID, 1, 2))]
)
@pytest.mark.parametrize("data", [b"[" * 16_000, b'{"a":' * 3_000, b"a = " + b"[" * 16_000, b"a = " + b"{a=" * 5_000])
def test_nesting_without_end_is_malformed(read: Callable[[bytes], Any], data: bytes) -> None:
    with pytest.raises(SamprasanError):
        read(data)


@pytest.mark.parametrize(("depth", "reads"), [(99, True), (101, False)])
def test_protobuf_nested_101_deep_is_malformed(depth: int, reads: bool) -> None:
    """The runtime's limit is 100; a Batch nests 3 deep, so deeper bytes sit in an unknown field."""
    data = b""
    for _ in range(depth):
        length = len(data)
        prefix = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
        data = b"\xfa\x07" + prefix + data  # field 127, length-delimited
    with pytest.raises(SamprasanError):
        signing.decode(log.Batch, data)
    group = b"\xfb\x07" * depth + b"\xfc\x07" * depth  # groups are what nests in unknown fields
    if reads:
        log.Batch.FromString(group)
    with pytest.raises(SamprasanError):
        signing.decode(log.Batch, group)


def test_dates_of_a_deed_are_never_later_than_they_can_be() -> None:
    assert cells.day_of("31/12/9999", "", 4) == date(9456, 12, 31)
