"""The newest changes, kept in memory for all who follow at the end of the log, so that each is read once."""

from collections import deque
from itertools import takewhile

from samprasan.hub import limits
from samprasan.hub.integrators import reader as integrators_reader
from samprasan.hub.integrators.reader import News, Reader
from samprasan.hub.store.changes import Kept
from samprasan.v1.changes_pb2 import EVENT_TYPE_UNLINKED

_NOWHERE = 1 << 62


class RecentChanges:
    """Entries from ``first`` on up to the log's ``size``; those without changes are not among them."""

    def __init__(self) -> None:
        self.first = _NOWHERE
        self.size = 0
        self.checkpoint = b""
        self._entries: deque[Kept] = deque()
        self._changes = 0

    @property
    def is_started(self) -> bool:
        """Whether it is known where it begins."""
        return self.first != _NOWHERE

    def start(self, size: int) -> None:
        """Begin with what comes from there on."""
        self.first = self.size = size

    def add(self, news: News) -> bool:
        """What is new; whether the log has grown by it.  Who is gone by now is told of no more."""
        gone = {
            change.account_id
            for entry in news.entries
            for change in entry.content.changes
            if change.type == EVENT_TYPE_UNLINKED
        }
        if gone:
            self._entries = deque(integrators_reader.without(self._entries, gone))
        self._entries.extend(news.entries)
        self._changes += sum(len(entry.content.changes) for entry in news.entries)
        while self._entries and self._changes > limits.RECENT_CHANGES_MAX:
            oldest = self._entries.popleft()
            self._changes -= len(oldest.content.changes)
            self.first = oldest.log_index + 1
        has_grown = news.size > self.size
        self.size, self.checkpoint = max(self.size, news.size), news.checkpoint
        return has_grown

    def since(self, reader: Reader) -> News | None:
        """What is new to a reader; None if it has not come as far as what is kept here."""
        place = reader.place.log_index
        if place < self.first:
            return None
        newest = takewhile(lambda entry: entry.log_index >= place, reversed(self._entries))
        return News(list(newest)[::-1], place, self.size)
