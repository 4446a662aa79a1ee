"""An agency whose work integrators see."""

from collections.abc import Sequence

from samprasan.v1 import log_pb2 as log

from tests.signed_batches import Agency

SHOWN = [log.PURPOSE_SHARE, log.PURPOSE_REDEEM, log.PURPOSE_INTEGRATORS]


class Working(Agency):
    """mpc at work on one account."""

    def link(self, account_id: bytes = b"", purposes: Sequence[int] = SHOWN) -> log.Update:
        return super().link(account_id, purposes)

    def unlink(self) -> log.Update:
        return log.Update(op_id=self.op_id(), unlink=log.Unlink(account_id=self.account_id))

    def do(self, *updates: log.Update) -> None:
        assert self.send(self.sign(self.batch(*updates))).payload_type.endswith("receipt")
