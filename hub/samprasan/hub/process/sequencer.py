"""The one writing thread: batches that wait enter the log together, other writes take their turn between them.

One durable commit serves every batch that has come in meanwhile, so that many agencies cost no more syncs than one.
"""

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from samprasan.hub import limits
from samprasan.hub.log.intake import Answer, Submission
from samprasan.v1 import log_pb2 as log

T = TypeVar("T")
_Write = tuple[Callable[[], Any], "Future[Any]"]
_Batch = tuple[Submission, "Future[Answer]"]


class Sequencer:
    """Runs ``append`` for batches and any function for other writes: each agency's batches in the order they came.

    Agencies take turns, a batch each, so that nobody waits for all that somebody else has sent.  What its caller gave
    up before its turn is left out; once begun, it is finished.
    """

    def __init__(self, append: Callable[[Sequence[Submission]], list[Answer]], written: Callable[[], None]) -> None:
        """``written`` is called in this thread after every write."""
        self._append = append
        self._written = written
        self._coming: queue.SimpleQueue[_Write | _Batch | None] = queue.SimpleQueue()
        self._writes: deque[_Write] = deque()
        self._batches: dict[str, deque[_Batch]] = {}  # by agency; whose turn is next comes first
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)
        self._thread.start()

    def submit(self, submission: Submission) -> "Future[Answer]":
        """The answer to a batch, once it is durable."""
        future: Future[Answer] = Future()
        self._coming.put((submission, future))
        return future

    def call(self, write: Callable[[], T]) -> "Future[T]":
        """What ``write`` returns, in its turn."""
        future: Future[T] = Future()
        self._coming.put((write, future))
        return future

    def close(self) -> None:
        """Finish what waits and stop."""
        self._coming.put(None)
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed or self._writes or self._batches:
            self._let_in()
            for _ in range(min(len(self._writes), limits.WRITES_IN_A_ROW_MAX)):
                self._carry_out([self._writes.popleft()])
            self._carry_out(self._next_group())

    def _let_in(self) -> None:
        """What has come; something comes first, if nothing waits."""
        with contextlib.suppress(queue.Empty):
            while True:
                is_idle = not self._is_closed and not self._writes and not self._batches
                item = self._coming.get() if is_idle else self._coming.get_nowait()
                if item is None:
                    self._is_closed = True
                elif isinstance(item[0], Submission):
                    self._batches.setdefault(item[0].agency, deque()).append(item)
                else:
                    self._writes.append(item)

    def _next_group(self) -> list[_Batch]:
        """At most PUSH_GROUP_MAX batches, a batch of each agency in turn; fewer that look much up in the log."""
        group: list[_Batch] = []
        corrections = 0
        while self._batches and len(group) < limits.PUSH_GROUP_MAX and corrections < limits.CORRECTIONS_AT_ONCE:
            agency = next(iter(self._batches))
            waiting = self._batches.pop(agency)
            batch = waiting.popleft()
            if waiting:
                self._batches[agency] = waiting  # its next turn is behind everybody else's
            group.append(batch)
            corrections += sum(map(_is_correction, batch[0].batch.updates))
        return group

    def _carry_out(self, waiting: Sequence[Any]) -> None:
        """What of it its callers still wait for; once begun, they cannot give it up."""
        group = [item for item in waiting if item[1].set_running_or_notify_cancel()]
        futures = [future for _, future in group]
        if not group:
            return
        if isinstance(group[0][0], Submission):
            _settle(futures, partial(self._append, [submission for submission, _ in group]))
        else:
            _settle(futures, partial(_alone, group[0][0]))
        self._written()


def _is_correction(update: log.Update) -> bool:
    """Whether it names an award, which stands in the log."""
    return bool(update.award.replaces or update.award.restores or update.reverse.award_op_id)


def _alone(write: Callable[[], Any]) -> list[Any]:
    return [write()]


def _settle(futures: Sequence["Future[Any]"], work: Callable[[], Sequence[Any]]) -> None:
    try:
        results = work()
    except BaseException as problem:
        for future in futures:
            future.set_exception(problem)
    else:
        for future, result in zip(futures, results, strict=True):
            future.set_result(result)
