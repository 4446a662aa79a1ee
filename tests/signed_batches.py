"""An agency that signs batches by itself, and what the hub says of them."""

from typing import Any

from samprasan.hub import store
from samprasan.hub.accounts import accounts
from samprasan.keys import signing
from samprasan.keys.chain import Head
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

from tests.federation import Federation


class Agency:
    """Signs batches as mpc, well or badly."""

    def __init__(self, fed: Federation) -> None:
        self.fed = fed
        self.signer = fed.nodes["mpc"].world.signer
        self.federation_id = federation_id(fed)
        self.head = Head()
        self.account_id = open_account(fed)
        self.ops = 0

    def op_id(self) -> bytes:
        self.ops += 1
        return self.ops.to_bytes(16, "big")

    def link(self) -> log.Update:
        purposes = [log.PURPOSE_SHARE, log.PURPOSE_REDEEM]
        return log.Update(op_id=self.op_id(), link=log.Link(account_id=self.account_id, purposes=purposes))

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


def open_account(fed: Federation) -> bytes:
    request = hub_pb2.OpenAccountsRequest(
        request_id=b"r" * 16, subjects=[hub_pb2.SubjectRef(subject_key=b"k" * 32, kind=log.SUBJECT_KIND_PERSON)]
    )
    (envelope,) = accounts.open_accounts(fed.hub, "mpc", request)
    return hub_pb2.AccountOpened.FromString(envelope.payload).account_id


def outcomes(answer: Envelope) -> list[tuple[int, int]]:
    return [(each.kind, each.reason) for each in log.Receipt.FromString(answer.payload).outcomes]
