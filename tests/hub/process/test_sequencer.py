"""The one writing thread: in order, in groups, and alive whatever its callers do."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from samprasan.hub import limits
from samprasan.hub.log.intake import Answer, Submission
from samprasan.hub.process.sequencer import Sequencer
from samprasan.keys.errors import Unavailable
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope


class Slow:
    """A sequencer whose thread waits at a gate, so that work piles up behind it."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.sequencer = Sequencer(self.append, lambda: None)
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.first = self.sequencer.call(self.wait)
        assert self.begun.wait(5)

    def wait(self) -> str:
        self.begun.set()
        assert self.gate.wait(5)
        return "first"

    def append(self, submissions: Sequence[Submission]) -> list[Answer]:
        self.groups.append(len(submissions))
        return [Envelope(payload_type=submission.agency) for submission in submissions]

    def submit(self, agency: str) -> "Future[Any]":
        return self.sequencer.submit(Submission(agency, b"", b"", log.Batch()))


def test_batches_that_wait_enter_together_and_other_writes_keep_their_turn() -> None:
    slow = Slow()
    before = [slow.submit("a") for _ in range(3)]
    between = slow.sequencer.call(lambda: "between")
    after = [slow.submit("b") for _ in range(limits.PUSH_GROUP_MAX + 1)]
    slow.gate.set()
    assert [each.result(5).payload_type for each in before] == ["a"] * 3
    assert between.result(5) == "between"
    assert [each.result(5).payload_type for each in after] == ["b"] * (limits.PUSH_GROUP_MAX + 1)
    assert slow.groups == [limits.PUSH_GROUP_MAX, 4]
    slow.sequencer.close()


def test_nobody_waits_for_all_that_somebody_else_has_sent() -> None:
    slow = Slow()
    many = [slow.submit("a") for _ in range(3 * limits.PUSH_GROUP_MAX)]
    calls = [slow.sequencer.call(lambda: None) for _ in range(2 * limits.WRITES_IN_A_ROW_MAX)]
    one, last = slow.submit("b"), slow.submit("c")
    order: list[str] = []
    for name, future in (("a", many[limits.PUSH_GROUP_MAX]), ("b", one), ("c", last), ("call", calls[-1])):
        future.add_done_callback(lambda _, name=name: order.append(name))  # type: ignore[misc]
    slow.gate.set()
    slow.sequencer.close()
    assert order == ["b", "c", "call", "a"]


def test_batches_that_look_much_up_in_the_log_enter_few_at_a_time() -> None:
    slow = Slow()
    award = log.Update(award=log.Award(replaces=b"o" * 16))
    batch = log.Batch(updates=[award] * (limits.CORRECTIONS_AT_ONCE // 2))
    for _ in range(5):
        slow.sequencer.submit(Submission("a", b"", b"", batch))
    slow.gate.set()
    slow.sequencer.close()
    assert slow.groups == [2, 2, 1]


def test_callers_that_give_up_do_not_stop_it() -> None:
    slow = Slow()
    assert not slow.first.cancel(), "begun: it will be finished"
    given_up = [slow.sequencer.call(lambda: 1 // 0), slow.submit("a")]
    assert all(each.cancel() for each in given_up)
    last = slow.sequencer.call(lambda: "alive")
    slow.gate.set()
    assert (slow.first.result(5), last.result(5), slow.groups) == ("first", "alive", [])
    slow.sequencer.close()


def test_a_write_that_fails_fails_alone() -> None:
    slow = Slow()
    failing = slow.sequencer.call(lambda: 1 // 0)
    good = slow.sequencer.call(lambda: "good")
    slow.gate.set()
    with pytest.raises(ZeroDivisionError):
        failing.result(5)
    assert good.result(5) == "good"
    slow.sequencer.close()


def test_a_group_that_cannot_be_stored_is_unavailable_for_all_of_it() -> None:
    def fail(_submissions: Sequence[Submission]) -> list[Answer]:
        raise Unavailable("database", problem="OperationalError")

    sequencer = Sequencer(fail, lambda: None)
    with pytest.raises(Unavailable):
        sequencer.submit(Submission("a", b"", b"", log.Batch())).result(5)
    sequencer.close()
