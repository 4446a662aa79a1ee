"""The one writing thread: batches that wait enter the log together, other writes take their turn between them.

One durable commit serves every batch that has come in meanwhile, so that many agencies cost no more syncs than one.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from samprasan.hub import limits
from samprasan.hub.log.intake import Answer, Submission

T = TypeVar("T")
_Write = tuple[Callable[[], Any], "Future[Any]"]
_Batch = tuple[Submission, "Future[Answer]"]


class Sequencer:
    """Runs ``append`` for batches and any function for other writes, in the order in which they came.

    What its caller gave up before its turn is left out; once begun, it is finished.
    """

    def __init__(self, append: Callable[[Sequence[Submission]], list[Answer]], written: Callable[[], None]) -> None:
        """``written`` is called in this thread after every write."""
        self._append = append
        self._written = written
        self._waiting: queue.SimpleQueue[_Write | _Batch | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)
        self._thread.start()

    def submit(self, submission: Submission) -> "Future[Answer]":
        """The answer to a batch, once it is durable."""
        future: Future[Answer] = Future()
        self._waiting.put((submission, future))
        return future

    def call(self, write: Callable[[], T]) -> "Future[T]":
        """What ``write`` returns, in its turn."""
        future: Future[T] = Future()
        self._waiting.put((write, future))
        return future

    def close(self) -> None:
        """Finish what waits and stop."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            waiting = self._take_all()
            for group in _grouped(waiting):
                if group[0] is None:
                    return
                self._carry_out([item for item in group if item[1].set_running_or_notify_cancel()])
                self._written()

    def _carry_out(self, group: Sequence[Any]) -> None:
        """One group whose callers still wait; once begun, they cannot give it up."""
        if not group:
            return
        futures = [future for _, future in group]
        if isinstance(group[0][0], Submission):
            _settle(futures, partial(self._append, [submission for submission, _ in group]))
        else:
            _settle(futures, partial(_alone, group[0][0]))

    def _take_all(self) -> list[Any]:
        """What waits, at least one item."""
        items = [self._waiting.get()]
        with contextlib.suppress(queue.Empty):
            while True:
                items.append(self._waiting.get_nowait())
        return items


def _grouped(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Batches in a row as groups of at most PUSH_GROUP_MAX, everything else alone, in order."""
    group: list[Any] = []
    for item in items:
        is_batch = item is not None and isinstance(item[0], Submission)
        if group and (not is_batch or len(group) == limits.PUSH_GROUP_MAX):
            yield group
            group = []
        if is_batch:
            group.append(item)
        else:
            yield [item]
    if group:
        yield group


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
