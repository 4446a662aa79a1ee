"""Gaps: batches that the log took and whose receipts nobody ever got are put back where something is missing.

Their agencies have the batches; the hub signs receipts for them anew.  Which batch stood where follows from the chains
and from the receipts around it, each of which must come out as it was.  Where a checkpoint covers the place, only one
moment makes the tree that was signed, and it is looked for: the business clock counts whole seconds, so that there are
few.  Most batches are taken as soon as they are made, some when the hub is back or the line is.  Where no checkpoint
covers the place, nobody was told of any moment.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.hub import store
from samprasan.hub.log import intake
from samprasan.hub.log.intake import Submission
from samprasan.hub.store.log import LogHead
from samprasan.hub.store.recovery import Refed
from samprasan.hub.store.tree import Tiles
from samprasan.keys import merkle, rosters, signing
from samprasan.keys.checkpoint import Checkpoint
from samprasan.keys.durations import DAY_MS
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

CLOCKS_APART_MS = 120_000  # hub and nodes raise an alarm beyond
MINUTE_MS = 60_000
WAITED_MS = (  # until a batch was taken, looked for in this order, as far as the tries go: of two, some ten minutes
    *(CLOCKS_APART_MS, 5 * MINUTE_MS, 10 * MINUTE_MS, 60 * MINUTE_MS),
    *(DAY_MS, 30 * DAY_MS),
)
ENTRIES_MAX = 500  # between the first gap and what tells where it ends
GAPS_MAX = 8
ARRANGEMENTS_MAX = 500  # folded, over all times that a batch may have waited: a few seconds
TRIES_MAX = 1_000_000  # entries hashed: some ten seconds, over all arrangements


def filled(tx: Tx, world: World, head: LogHead, agencies: Sequence[str], covering: Sequence[Checkpoint]) -> list[Refed]:
    """What comes behind the head, its gaps filled; nothing if nothing is missing, or nobody has what is.

    ``covering`` are the checkpoints of more entries than the log has, the smallest first.
    """
    end = covering[0].size if covering else store.recovery.last_index(tx) + 1
    if not head.size < end <= head.size + ENTRIES_MAX:
        return []
    placed = {each.log_index: each for each in store.recovery.between(tx, head.size, end)}
    if end - head.size - len(placed) > GAPS_MAX:
        return []
    heads = {agency: store.log.chain_head(tx, agency).seq for agency in (*agencies, rosters.HUB)}
    arrangements = list(
        islice(_arrangements(tx, agencies, placed, range(head.size, end), heads), ARRANGEMENTS_MAX // len(WAITED_MS))
    )
    tree = merkle.Growing.at(Tiles(tx), head.size)
    search = _Search(tree, head, covering[0].root if covering else None, TRIES_MAX // (end - head.size))
    for waited_ms in WAITED_MS:
        for entries in arrangements:
            receipts = _folded(tx, head, entries, _latest(entries, waited_ms, world.now()))
            if receipts and search.finds_moments(entries, receipts):
                return [_with_receipt(world, each, receipt) for each, receipt in zip(entries, receipts, strict=True)]
        if not search.tries:
            break
    return []


def _arrangements(
    tx: Tx, agencies: Sequence[str], placed: Mapping[int | None, Refed], places: range, heads: Mapping[str, int]
) -> Iterator[list[Refed]]:
    """Every way to fill the gaps in which each chain goes on without one."""
    if not places:
        yield []
        return
    known = placed.get(places[0])
    if known is not None:
        choices = [known] if known.seq == heads.get(known.agency, 0) + 1 else []
    else:
        waiting = (store.recovery.find(tx, agency, heads[agency] + 1) for agency in agencies)
        choices = [each for each in waiting if each is not None and each.log_index is None]
    for chosen in choices:
        after = {**heads, chosen.agency: chosen.seq}
        for rest in _arrangements(tx, agencies, placed, places[1:], after):
            yield [chosen, *rest]


def _folded(tx: Tx, head: LogHead, entries: Sequence[Refed], moments: Sequence[int]) -> list[log.Receipt]:
    """The receipts that these entries get there, none if one that is known does not come out; nothing is stored."""
    submissions = [(_submission(each), max(at, head.appended_at)) for each, at in zip(entries, moments, strict=True)]
    found: list[log.Receipt] = []

    def noted(receipt: log.Receipt) -> Envelope:
        found.append(receipt)
        return signing.seal(receipt)

    trial = tx.begin_nested()
    try:
        intake.enter_batches(tx, head.size, submissions, noted, store.documents.agreed_on(tx).activated)
    finally:
        trial.rollback()
    came_out = all(not each.receipt or _receipt(each) == came for each, came in zip(entries, found, strict=True))
    return found if came_out else []


def _latest(entries: Sequence[Refed], waited_ms: int, now: int) -> list[int]:
    """When each entry was appended; of those without receipt, when at the latest if it waited no longer than that."""
    moments: list[int] = []
    bound: int | None = None
    for each in reversed(entries):
        latest = _whole_seconds(min(_batch(each).created_at + waited_ms, now))
        if each.receipt:
            latest = bound = _receipt(each).appended_at
        moments.append(latest if bound is None else min(latest, bound))
    return list(accumulate(reversed(moments), max))  # nothing stands before what it follows


@dataclass
class _Search:
    """Looks for the moments that make the tree whose root was signed; any will do if none was."""

    tree: merkle.Growing
    head: LogHead
    root: bytes | None
    tries: int

    def finds_moments(self, entries: Sequence[Refed], receipts: Sequence[log.Receipt]) -> bool:
        """Whether there are such moments; the receipts say them then."""
        if self.root is None:
            return True
        gaps = [at for at, each in enumerate(entries) if not each.receipt]
        leaves = [_leaf(each) for each in receipts]
        for moments in _rising(self._windows(entries, receipts, gaps)):
            if not self.tries:
                return False
            self.tries -= 1
            for at, moment in zip(gaps, moments, strict=True):
                if receipts[at].appended_at != moment:
                    receipts[at].appended_at = moment
                    leaves[at] = _leaf(receipts[at])
            if self._root(leaves) == self.root:
                return True
        return False

    def _windows(self, entries: Sequence[Refed], receipts: Sequence[log.Receipt], gaps: Sequence[int]) -> list[range]:
        """When each of the gaps may have been appended."""
        windows = []
        for at in gaps:
            before = [receipt.appended_at for place, receipt in enumerate(receipts[:at]) if place not in gaps]
            made = _whole_seconds(_batch(entries[at]).created_at - CLOCKS_APART_MS)
            earliest = max([self.head.appended_at, made, *before])
            windows.append(range(_whole_seconds(earliest), receipts[at].appended_at + 1, intake.CLOCK_MS))
        return windows

    def _root(self, leaves: Sequence[bytes]) -> bytes:
        grown = self.tree.copy()
        for leaf in leaves:
            grown.add(leaf)
        return grown.root()


def _rising(windows: Sequence[range], earliest: int = 0) -> Iterator[tuple[int, ...]]:
    """A moment out of each window, none before the one that it follows; none if a window is empty."""
    if not windows:
        yield ()
        return
    if not all(windows):
        return
    first = windows[0]
    for moment in range(max(first.start, earliest), first.stop, first.step):
        for rest in _rising(windows[1:], moment):
            yield moment, *rest


def _leaf(receipt: log.Receipt) -> bytes:
    return merkle.leaf_hash(signing.payload_digest(receipt))


def _with_receipt(world: World, entry: Refed, receipt: log.Receipt) -> Refed:
    if entry.receipt:
        return entry
    return entry._replace(log_index=receipt.log_index, receipt=world.sign(receipt).SerializeToString())


def _submission(entry: Refed) -> Submission:
    return Submission(entry.agency, entry.batch, entry.digest, _batch(entry))


def _batch(entry: Refed) -> log.Batch:
    return log.Batch.FromString(Envelope.FromString(entry.batch).payload)


def _receipt(entry: Refed) -> log.Receipt:
    return log.Receipt.FromString(Envelope.FromString(entry.receipt).payload)


def _whole_seconds(moment: int) -> int:
    return moment // intake.CLOCK_MS * intake.CLOCK_MS
