"""Every guarantee of a stream holds in the hands of a seed, and the validator finds every bug that breaks one."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from samprasan.hub.integrators import reader as integrators_reader
from samprasan.hub.integrators import view as integrators_view
from samprasan.hub.integrators.reader import News, Reader
from samprasan.hub.store.changes import Kept
from samprasan.keys.handles import Place
from samprasan.ledger import changes, state
from samprasan.v1 import changes_pb2 as v1

from tests.sim import followers, planted
from tests.sim.simulation import EXPECTED_CODES, Faults, Seeds

STEPS = 450
SEEDS_TO_FIND_A_BUG = 20


def test_readers_are_told_everything_once_and_in_order_whatever_happens(seeds: Seeds) -> None:
    tried = shown = hidden = messages = 0
    for seed in seeds(2, 5, 100):
        found = followers.run(seed, STEPS)
        assert found.problems == [], f"seed {seed}"
        assert found.codes <= EXPECTED_CODES, f"seed {seed}"
        tried += 1
        records = [record for follower in found.followers for record in follower.records]
        messages += sum(record.what == "page" for record in records)
        events = [event.type for record in records for event in record.events]
        shown += len(events)
        hidden += events.count(v1.EVENT_TYPE_UNLINKED)
    assert shown > 20 * tried
    assert hidden > 3 * tried
    assert messages > 4 * tried


def skips_on_resume(patch: pytest.MonkeyPatch) -> None:
    """A reader goes on one event too far."""
    opened: Any = integrators_reader._place_of
    patch.setattr(
        integrators_reader, "_place_of", lambda *given: (found := opened(*given))._replace(skipped=found.skipped + 1)
    )


def repeats_on_resume(patch: pytest.MonkeyPatch) -> None:
    """A cursor is taken to be inclusive."""
    opened: Any = integrators_reader._place_of

    def inclusive(*given: Any) -> Place:
        found: Place = opened(*given)
        return found._replace(skipped=max(0, found.skipped - 1))

    patch.setattr(integrators_reader, "_place_of", inclusive)


def begins_now(patch: pytest.MonkeyPatch) -> None:
    """Without a cursor a stream begins at the end of the log."""
    begin: Any = integrators_reader.begin_reading

    def from_now(db: Any, secret: bytes, approved: Any, asked: v1.FollowRequest) -> Any:
        found = begin(db, secret, approved, asked)
        if not asked.after:
            found.place = Place(integrators_reader.log_size(db), 0, found.place.cuts)
        return found

    patch.setattr(integrators_reader, "begin_reading", from_now)


def splits_batches(patch: pytest.MonkeyPatch) -> None:
    """Each event is a message of its own."""
    page: Any = Reader._page

    def one_by_one(reader: Reader, parts: Any, _count: int, behind: Place) -> Any:
        events = v1.Page.FromString(b"".join(parts)).events
        return [page(reader, [v1.Page(events=[event]).SerializeToString()], 1, behind) for event in events]

    pages: Any = Reader.pages

    def split(reader: Reader, news: News) -> Iterator[Any]:
        for found in pages(reader, news):
            yield from found

    patch.setattr(Reader, "_page", one_by_one)
    patch.setattr(Reader, "pages", split)


def forgets_who_is_gone(patch: pytest.MonkeyPatch) -> None:
    """Nobody is told that a subject may not be seen any more."""
    passes: Any = integrators_view.View._passes
    patch.setattr(
        integrators_view.View,
        "_passes",
        lambda view, change: change.type != v1.EVENT_TYPE_UNLINKED and passes(view, change),
    )


def one_consent_is_enough(patch: pytest.MonkeyPatch) -> None:
    """Who agreed at one agency is shown, whatever was said at another."""
    patch.setattr(state.Totals, "is_shown", property(lambda totals: totals.shown_by > 0))


def totals_of_before(patch: pytest.MonkeyPatch) -> None:
    """Totals lag one change behind."""
    of_account: Any = changes._of_account

    def lagging(seen: state.Seen, agency: str) -> Iterator[v1.Change]:
        for change in of_account(seen, agency):
            change.available = seen.before.available
            yield change

    patch.setattr(changes, "_of_account", lagging)


def loses_an_entry(patch: pytest.MonkeyPatch) -> None:
    """Of several entries that are read at once, the second is lost."""
    rest: Any = integrators_reader.read_changes

    def lossy(db: Any, log_index: int) -> News:
        news: News = rest(db, log_index)
        return news._replace(entries=news.entries[:1] + news.entries[2:])

    patch.setattr(integrators_reader, "read_changes", lossy)


def lets_everything_pass(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks at scope and filter."""
    patch.setattr(integrators_view.View, "_passes", lambda *_: True)


def turns_batches_round(patch: pytest.MonkeyPatch) -> None:
    """The events of a batch come in another order."""
    seen: Any = integrators_view.View.seen

    def backwards(view: integrators_view.View, kept: Kept, cuts: int) -> integrators_view.Seen:
        found: integrators_view.Seen = seen(view, kept, cuts)
        return found._replace(events=found.events[::-1])

    patch.setattr(integrators_view.View, "seen", backwards)


def bookmarks_ahead(patch: pytest.MonkeyPatch) -> None:
    """A bookmark promises what was not shown."""
    bookmark: Any = Reader.bookmark

    def ahead(reader: Reader, world: Any, checkpoint: bytes) -> Any:
        reader.place = Place(reader.place.log_index + 1, 0, reader.place.cuts)
        return bookmark(reader, world, checkpoint)

    patch.setattr(Reader, "bookmark", ahead)


PLANTED: list[tuple[Callable[[pytest.MonkeyPatch], None], Faults]] = [
    *((plant, Faults()) for plant in (skips_on_resume, repeats_on_resume, begins_now, splits_batches)),
    *((plant, Faults()) for plant in (forgets_who_is_gone, one_consent_is_enough, totals_of_before)),
    *((plant, Faults()) for plant in (loses_an_entry, lets_everything_pass, turns_batches_round, bookmarks_ahead)),
    (planted.acknowledged_before_durable, Faults(crashed=30)),
]


@pytest.mark.parametrize(("plant", "faults"), PLANTED)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    for seed in range(SEEDS_TO_FIND_A_BUG):
        problems = [each for each in followers.run(seed, STEPS, faults).problems if ": " in each]
        if problems:
            print(f"{plant.__name__}: seed {seed} found {problems[0]}")
            return
    pytest.fail(f"{plant.__name__} was not found in {SEEDS_TO_FIND_A_BUG} seeds")
