"""What the vectors have in common: keys made from names, roster 1, and a message with its one encoding."""

import hashlib
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from samprasan.keys import documents, pseudonym, signing
from samprasan.keys.durations import DAY_MS
from samprasan.keys.signing import KeySigner
from samprasan.v1.documents_pb2 import HubKeys, LinkingPlan, Member, Roster

NOW = 1_767_225_600_000  # 2026-01-01, UTC
LATER = NOW + 30 * DAY_MS
AGENCIES = ("codi", "mpc", "nhco")


def made(name: str) -> bytes:
    """32 bytes that nobody chose."""
    return hashlib.sha256(f"samprasan/vectors/{name}".encode()).digest()


def scalar(name: str) -> int:
    """A scalar that nobody chose."""
    return pseudonym.random_scalar(hashlib.sha512(made(name)).digest())


SIGNERS = {each: KeySigner(made(f"signing/{each}")) for each in (*AGENCIES, "hub")}


def said(message: Message) -> dict[str, Any]:
    """A message: its type, its fields, and its one encoding."""
    fields = MessageToDict(message, preserving_proto_field_name=True)
    return {"type": message.DESCRIPTOR.full_name, "fields": fields, "payload": signing.encode(message).hex()}


def enveloped(message: Message, *signers: str) -> dict[str, Any]:
    """A message in an envelope that these have signed."""
    envelope = signing.seal(message, *(SIGNERS[each] for each in signers))
    return said(message) | {
        "payload_type": envelope.payload_type,
        "pae": signing.pae(envelope.payload_type, envelope.payload).hex(),
        "digest": signing.digest(envelope).hex(),
        "signatures": [
            {
                "public_key": SIGNERS[each].public_key.hex(),
                "key_id": signature.key_id.hex(),
                "signature": signature.signature.hex(),
            }
            for each, signature in zip(signers, envelope.signatures, strict=True)
        ],
    }


def roster(**more: Any) -> Roster:
    """Roster 1 of the federation in these files."""
    members = [
        Member(agency=each, name=name, signing_key=SIGNERS[each].public_key, sealing_key=made(f"sealing/{each}"))
        for each, name in zip(AGENCIES, ("พอช.", "ศูนย์คุณธรรม", "สช."), strict=True)
    ]
    hub = HubKeys(signing_key=SIGNERS["hub"].public_key, tls_ca=made("certificate authority"))
    return Roster(version=1, created_at=NOW, expires_at=LATER, threshold=2, members=members, hub=hub, **more)


ROSTER_1 = roster(plan=LinkingPlan(key_epoch=1, share_version=1, dealers=AGENCIES))
FEDERATION = documents.federation_id(signing.seal(ROSTER_1))
