"""What a step is given of the world: clock, randomness, its own signature, the check of others'."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from google.protobuf.message import Message
from samprasan.edge.clocks import Clocks
from samprasan.keys import signing
from samprasan.keys.errors import Unavailable
from samprasan.keys.pseudonym import Map
from samprasan.keys.signing import Signer, Verify
from samprasan.ledger import batch_form
from samprasan.v1.envelope_pb2 import Envelope

M = TypeVar("M", bound=Message)


def system_clock() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def monotonic_clock() -> int:
    """Milliseconds that never jump."""
    return time.monotonic_ns() // 1_000_000


def in_threads(work: Callable[[Any], Any], values: Sequence[Any]) -> Iterable[Any]:
    """``map``, on every core: worth it for work that lets other threads run, such as libsodium's."""
    pool, cores = _pool()
    size = -(-len(values) // (4 * cores)) or 1
    parts = [values[start : start + size] for start in range(0, len(values), size)]
    done = pool.map(lambda part: [work(value) for value in part], parts)
    return [result for part in done for result in part]


@cache
def _pool() -> tuple[ThreadPoolExecutor, int]:
    cores = len(os.sched_getaffinity(0))
    return ThreadPoolExecutor(cores, thread_name_prefix="curve"), cores


@dataclass(frozen=True, slots=True)
class World:
    """Steps take time, randomness and signatures from here alone, so that a simulation can give them its own.

    ``each`` does the same to many values, as :func:`map` does.  ``others`` are clocks to measure one's own against.
    """

    signer: Signer
    clock: Callable[[], int] = system_clock
    entropy: Callable[[int], bytes] = os.urandom
    verify: Verify = signing.verify_ed25519
    each: Map = map
    others: Clocks | None = None

    def now(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self.clock()

    def moment(self) -> int:
        """Now, for what cannot be undone.

        Raises Unavailable ``hub_clock_unknown``, ``hub_clock_off`` while others' clocks do not bear it out.
        """
        now = self.clock()
        if self.others is not None:
            self.others.check(now)
        return now

    def is_right(self) -> bool:
        """Whether others' clocks bear one's own out."""
        try:
            self.moment()
        except Unavailable:
            return False
        return True

    def random_bytes(self, count: int) -> bytes:
        """``count`` unpredictable bytes."""
        return self.entropy(count)

    def new_op_id(self, now: int) -> bytes:
        """An op_id for an update that is made now, 16 bytes: see :func:`samprasan.ledger.batch_form.new_op_id`."""
        return batch_form.new_op_id(self.random_bytes(batch_form.OP_ID_RANDOM_BYTES), now)

    def sign(self, message: Message) -> Envelope:
        """``message`` in an envelope with one's own signature."""
        return signing.seal(message, self.signer)

    def open(self, envelope: Envelope, kind: type[M], public_key: bytes) -> M:
        """The ``kind`` in an envelope that exactly ``public_key`` signed; else Malformed or Unproven."""
        return signing.open_signed(envelope, kind, public_key, self.verify)
