"""An agency that signs batches by itself, and what the hub says of them."""

from collections.abc import Sequence
from typing import Any

from samprasan.hub import store
from samprasan.hub.accounts import opening
from samprasan.keys import signing
from samprasan.keys.chain import Head
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

from tests.evaluating import covering
from tests.federation import Federation


class Agency:
    """Signs batches as mpc, well or badly."""

    def __init__(self, fed: Federation) -> None:
        self.fed = fed
        self.signer = fed.nodes["mpc"].world.signer
        self.federation_id = federation_id(fed)
        self.head = Head()
        self.admissions: dict[bytes, bytes] = {}  # by account, what its first Link spends
        self.account_id = self.open_account()
        self.ops = 0

    def op_id(self) -> bytes:
        self.ops += 1
        return self.ops.to_bytes(16, "big")

    def open_account(self, subject_key: bytes = b"k" * 32) -> bytes:
        opened = open_account(self.fed, subject_key)
        self.admissions[opened.account_id] = opened.admission
        return opened.account_id

    def link(self, account_id: bytes = b"", purposes: Sequence[int] = (1, 2)) -> log.Update:
        named = [log.Purpose.ValueType(each) for each in purposes]
        account_id = account_id or self.account_id
        change = log.Link(account_id=account_id, purposes=named, admission=self.admissions.get(account_id, b""))
        return log.Update(op_id=self.op_id(), link=change)

    def award(self, credits_: int = 10) -> log.Update:
        made = log.Award(
            account_id=self.account_id,
            credits=credits_,
            dimension=log.DIMENSION_HEALTH,
            month=202611,
            policy_version=1,
        )
        return log.Update(op_id=self.op_id(), award=made)

    def batch(self, *updates: log.Update, **changes: Any) -> log.Batch:
        values: dict[str, Any] = {
            "federation_id": self.federation_id,
            "agency": "mpc",
            "seq": self.head.seq + 1,
            "previous": self.head.digest,
            "created_at": self.fed.clock.now_ms,
            "updates": updates or [self.link()],
        }
        return log.Batch(**(values | changes))

    def sign(self, batch: log.Batch) -> Envelope:
        return signing.seal(batch, self.signer)

    def send(self, envelope: Envelope) -> Envelope:
        """The hub's answer; a receipt moves the head."""
        answer: Envelope = self.fed.ask_hub("mpc", "push", envelope)
        if answer.payload_type.endswith("receipt"):
            seq = log.Receipt.FromString(answer.payload).seq
            if seq == self.head.seq + 1:
                self.head = Head(seq, signing.digest(envelope))
        return answer


def federation_id(fed: Federation) -> bytes:

    with fed.hub.db.read() as tx:
        return store.documents.agreed_on(tx).federation_id


def open_account(fed: Federation, subject_key: bytes = b"k" * 32, agency: str = "mpc") -> hub_pb2.AccountOpened:
    """Somebody's account, whom nobody knows."""
    request = hub_pb2.OpenAccountsRequest(request_id=b"r" * 16, evaluated=[covering(fed, 1, agency)])
    request.subjects.add(subject_key=subject_key, kind=log.SUBJECT_KIND_PERSON, key_epoch=1)
    (envelope,) = opening.open_accounts(fed.hub, agency, request)
    return hub_pb2.AccountOpened.FromString(envelope.payload)


def outcomes(answer: Envelope) -> list[tuple[int, int]]:
    return [(each.kind, each.reason) for each in log.Receipt.FromString(answer.payload).outcomes]
