"""What two integrators that compare notes can align, measured on the totals of the sample federation's subjects."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from samprasan.hub import store
from samprasan.hub.integrators import reader
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import log_pb2 as log

from tests import reading
from tests.federation import Federation
from tests.reading import Integration
from tests.working import Working

ORACLE = Path(__file__).parents[3] / "deploy" / "local" / "samples" / "expected.json"
PAGE = Path(__file__).parents[3] / "docs" / "integrating" / "handles.md"
EARNED = [subject["earned"] for subject in json.loads(ORACLE.read_text("utf-8"))["first"]["subjects"].values()]


class Crowd(Working):
    """mpc, which awards to each of many accounts what a subject of the samples earned: in health, and as another did in
    environment."""

    account_ids: list[bytes]

    def come(self) -> None:
        self.account_ids = [self.open_account(number.to_bytes(32, "big")) for number in range(len(EARNED))]
        for first in range(0, len(EARNED), 300):
            updates = []
            for number in range(first, min(first + 300, len(EARNED))):
                self.account_id = self.account_ids[number]
                green = self.award(EARNED[number - 100])
                green.award.dimension = log.DIMENSION_ENVIRONMENT
                updates += [self.link(), self.award(EARNED[number]), green]
            self.do(*updates)


@pytest.fixture
def crowd(fed: Federation) -> Crowd:
    made = Crowd(fed)
    made.come()
    scopes = {"app": "balances", "bank": "balances", "fit": "dimension=health", "green": "dimension=environment"}
    for name, scope in scopes.items():
        reading.approve(fed, name, scope)
    return made


Said = list[tuple[bytes, object]]


def accounts_of(crowd: Crowd, name: str, said: Said) -> Said:
    """The same, with the account behind each handle: what only the hub knows."""
    approved = Integration(crowd.fed, name).approved
    with crowd.fed.hub.db.read() as tx:
        names = reader.names_of(reading.SECRET, store.documents.agreed_on(tx), approved)
    behind = {names.handle(account_id): account_id for account_id in crowd.account_ids}
    return [(behind[handle], what) for handle, what in said]


def share_aligned(crowd: Crowd, ours: str, theirs: str, read: Callable[[Crowd, str], Said]) -> float:
    """Of how many subjects two integrators find out which of their handles are the same one's: each pairs what is said
    of one of its handles, and of no other, with the same said of one of the other's."""
    here, there = (accounts_of(crowd, name, read(crowd, name)) for name in (ours, theirs))
    often = [Counter(what for _, what in said) for said in (here, there)]
    whose = {what: account_id for account_id, what in there}
    right = [a for a, what in here if often[0][what] == often[1][what] == 1 and whose[what] == a]
    return len(right) / len(EARNED)


def in_order(crowd: Crowd, name: str) -> Said:
    """When each handle appeared, in a stream from the beginning."""
    linked = [each for each in Integration(crowd.fed, name).follow().events if each.type == v1.EVENT_TYPE_LINKED]
    return [(event.handle, place) for place, event in enumerate(linked)]


def by_totals(crowd: Crowd, name: str) -> Said:
    """What a snapshot says of each handle; its order is another one for everybody."""
    people = [event for event in Integration(crowd.fed, name).snapshot()[0] if event.handle]
    assert people == sorted(people, key=lambda event: event.handle)
    return [(event.handle, (event.earned, event.available)) for event in people]


def test_what_two_that_compare_notes_can_align_is_what_the_page_says(crowd: Crowd) -> None:
    measured = [
        ("followed from the beginning, whatever their scopes", ("fit", "green", in_order)),
        ("began with a snapshot, same scope, nothing has changed since", ("app", "bank", by_totals)),
        ("began with a snapshot, one sees health, the other environment", ("fit", "green", by_totals)),
    ]
    page = PAGE.read_text("utf-8")
    for what, compared in measured:
        share = share_aligned(crowd, *compared)
        print(f"{what}: {share:.1%} of {len(EARNED)}")
        assert f"| {what} | {share:.1%}" in page
