"""Following, without a network: what to ask, what to make of each word, where to go on.

- A reader begins with a snapshot unless it has a cursor, and begins so again when its cursor is too old.
- It keeps a digest of every page as it came; each bookmark must carry the hub's signature over the same digest, the
  same number of events and the place the stream began at.  Otherwise the stream is not what the hub says it showed.
- A cursor counts as dealt with when the reader asks for what comes behind it.
"""

import hashlib
from collections.abc import Callable, Iterator

from samprasan.keys import checkpoint, signing
from samprasan.keys.credentials import Issued
from samprasan.keys.errors import Malformed, Unproven
from samprasan.keys.signing import Verify, verify_ed25519
from samprasan.ledger.events import BOOKMARK, DRAINING, RESET, Change, from_event, refusal
from samprasan.v1 import changes_pb2 as v1


class Following:
    """One reader's place in one subscription."""

    def __init__(
        self,
        issued: Issued,
        subscription: str,
        wanted: v1.Filter,
        after: str,
        keep: Callable[[str], None],
        verify: Verify = verify_ed25519,
    ) -> None:
        """``after`` is a cursor or empty; ``keep`` is called with each that is to be gone on from."""
        self._issued = issued
        self._verify = verify
        self._subscription = subscription
        self._wanted = wanted
        self._keep = keep
        self._kept = after
        self.cursor = _cursor(after)
        self._begin_stream()

    @property
    def needs_snapshot(self) -> bool:
        """Whether there is no place to follow from."""
        return not self.cursor

    def snapshot_request(self) -> v1.SnapshotRequest:
        """What to ask for first."""
        return v1.SnapshotRequest(subscription=self._subscription, filter=self._wanted)

    def follow_request(self) -> v1.FollowRequest:
        """What to ask for then; a new stream begins."""
        self._begin_stream()
        return v1.FollowRequest(subscription=self._subscription, after=self.cursor, filter=self._wanted)

    def take_snapshot(self, part: v1.SnapshotResponse, *, is_first: bool) -> Iterator[Change]:
        """The changes of a part; with the last one, the place to follow from is known."""
        if is_first:
            yield Change(type=RESET)
        yield from map(from_event, part.events)
        if part.cursor:
            self._done(part.cursor)

    def read_word(self, word: v1.FollowResponse) -> Iterator[Change]:
        """What a word of the stream tells; Unproven ``shown`` if the hub did not sign what it sent."""
        match word.WhichOneof("word"):
            case "page":
                self._digest.update(word.page.SerializeToString(deterministic=True))
                self._events += len(word.page.events)
                for event in word.page.events:
                    yield from_event(event)
                    self.cursor = event.cursor
                self._done(self.cursor)
            case "bookmark":
                self._check(word.bookmark)
                self._done(word.bookmark.cursor)
                yield Change(type=BOOKMARK, cursor=word.bookmark.cursor.hex())
            case "draining":
                yield Change(type=DRAINING)

    def lose_place(self, too_old: v1.TooOld, *, start_over: bool) -> None:
        """The cursor cannot be followed: begin with a snapshot, or Refused ``cursor_too_old``."""
        if not start_over:
            raise refusal(too_old)
        self.cursor = b""

    def _begin_stream(self) -> None:
        self._digest, self._events, self._after = hashlib.sha256(), 0, self.cursor

    def _done(self, cursor: bytes) -> None:
        self.cursor = cursor
        if cursor.hex() != self._kept:
            self._kept = cursor.hex()
            self._keep(self._kept)

    def _check(self, bookmark: v1.Bookmark) -> None:
        issued = self._issued
        shown = signing.open_signed(bookmark.shown, v1.Shown, issued.hub_key, self._verify)
        holds = (
            shown.federation_id == issued.federation_id
            and (shown.integrator, shown.subscription) == (issued.integrator, self._subscription)
            and shown.filter == self._wanted
            and (not self._after or shown.after == self._after)
            and shown.cursor == bookmark.cursor
            and (shown.events, shown.digest) == (self._events, self._digest.digest())
        )
        if not holds:
            raise Unproven("shown")
        if bookmark.checkpoint:
            checkpoint.open_note(bookmark.checkpoint, issued.federation_id, issued.hub_key, self._verify)


def _cursor(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as problem:
        raise Malformed("cursor") from problem
