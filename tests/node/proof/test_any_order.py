"""Whatever people decide in whatever order, the node's records and the hub's totals agree.

Imports, undoing, consents given and taken back, erasure, moves, redemptions and refunds, with days in between; at two
agencies that know the same people.
"""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from samprasan.hub.log import audit
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import SamprasanError
from samprasan.node import store
from samprasan.node.counter import consent, erasure, redemption
from samprasan.node.imports import undo
from samprasan.node.imports.deed import Consents
from samprasan.node.states import AwardState, RedemptionState

from tests import federation
from tests.federation import Federation, deed
from tests.leaving import available, leave, run_without
from tests.moving import approve, confirm, propose_split
from tests.reconciling import reconcile
from tests.redemptions import wish
from tests.sim.simulation import Seeds
from tests.sim.stores import begun_federation

STEPS = 40
PEOPLE = 4
RECORDS = 8
WALKS_THAT_DO_ALL = 20  # some of it is refused most times
WAITS = (1, 3, 8, 10)  # days: grace is over, and the rest


class Walk:
    """Somebody at the two agencies does this and that."""

    def __init__(self, fed: Federation, seed: int) -> None:
        self.fed, self.chance = fed, random.Random(seed)
        self.imports: list[tuple[str, int]] = []
        self.done: Counter[str] = Counter()
        self.asked = 0
        self.trace: list[str] = []
        self.deck: list[Callable[[Walk, str], None]] = []

    def step(self) -> None:
        if not self.deck:
            self.deck = self.chance.sample(_DEEDS, len(_DEEDS))
        does = self.deck.pop()
        name = does.__name__
        with suppress(SamprasanError):  # it cannot be done now, which is as good
            does(self, self.chance.choice(("mpc", "mpc", "nhco")))
            self.done[name] += 1
        self.trace.append(name)

    def person(self) -> Any:
        return deed(1, self.chance.randrange(PEOPLE)).subject

    def imports_records(self, agency: str) -> None:
        """Also records that were there before, of somebody else, of other worth, or with other consent."""
        made = [
            deed(
                self.chance.randrange(RECORDS),
                self.chance.randrange(PEOPLE),
                quantity=Decimal(self.chance.choice((1, 2, 5))),
                status=self.chance.choice(("verified", "verified", "verified", "revoked")),
                consents=Consents(self.chance.random() < 0.8, self.chance.random() < 0.8),
            )
            for _ in range(self.chance.choice((1, 1, 3)))
        ]
        report = self.fed.give(agency, *{each.record_id: each for each in made}.values())
        if report.import_id is not None:
            self.imports.append((agency, report.import_id))

    def undoes_an_import(self, _: str) -> None:
        if self.imports:
            agency, import_id = self.imports.pop(self.chance.randrange(len(self.imports)))
            undo.undo_import(self.fed.nodes[agency], import_id)

    def gives(self, agency: str) -> None:
        what = self.chance.choice((("share", "redeem"), ("share",), ("redeem",), ("integrators",)))
        consent.give(self.fed.nodes[agency], self.person(), what)

    def withdraws(self, agency: str) -> None:
        what = self.chance.choice((consent.PURPOSES, consent.PURPOSES, ("share",), ("redeem",)))
        consent.withdraw(self.fed.nodes[agency], self.person(), what)

    def erases(self, agency: str) -> None:
        erasure.erase(self.fed.nodes[agency], self.person())

    def moves(self, _: str) -> None:
        right = self.chance.randrange(PEOPLE)
        move = propose_split(self.fed, f"R{self.chance.randrange(RECORDS):05d}", right=right, name=f"ชื่อสมมติ {right}")
        if confirm(self.fed, move) == "waiting":
            approve(self.fed)

    def redeems(self, agency: str) -> None:
        self.asked += 1
        asked = wish(self.asked, subject=self.person(), reserve_only=self.chance.random() < 0.3)
        redemption.request_redemption(self.fed.nodes[agency], asked)

    def ends_a_hold(self, agency: str) -> None:
        node = self.fed.nodes[agency]
        with node.db.read() as tx:
            held = [row for row in store.redemptions.newest(tx, 1_000) if row.state == RedemptionState.HELD]
        if held:
            op_key = self.chance.choice(held).op_key
            if self.chance.random() < 0.5:
                redemption.post(node, op_key, None)
            else:
                redemption.void(node, op_key, "cancelled")

    def refunds(self, agency: str) -> None:
        node = self.fed.nodes[agency]
        with node.db.read() as tx:
            posted = [row for row in store.redemptions.newest(tx, 1_000) if row.state == RedemptionState.POSTED]
        if posted:
            row = self.chance.choice(posted)
            credits_ = self.chance.choice((row.posted, 3))
            redemption.refund(node, row.op_key, credits_, "mistake")

    def waits(self, _: str) -> None:
        self.fed.clock.now_ms += self.chance.choice(WAITS) * DAY_MS
        self.fed.hub.tick()

    def runs(self, _: str) -> None:
        self.fed.run()

    def sends(self, _: str) -> None:
        """Receipts are still on their way."""
        run_without(self.fed, "pushed")


_DEEDS: list[Callable[[Walk, str], None]] = [
    *[Walk.imports_records] * 4,
    Walk.undoes_an_import,
    *[Walk.gives] * 2,
    *[Walk.withdraws] * 2,
    Walk.erases,
    Walk.moves,
    *[Walk.redeems] * 2,
    Walk.ends_a_hold,
    Walk.refunds,
    *[Walk.waits] * 2,
    *[Walk.runs] * 4,
    Walk.sends,
]


async def walked(fed: Federation, seed: int) -> Walk:
    """Some steps, and now and then a look; in the end everything agrees."""
    federation.publish(fed)
    walk = Walk(fed, seed)
    for number in range(STEPS):
        walk.step()
        if number % 10 == 9:
            await agrees(walk, seed)
    await agrees(walk, seed)
    found = audit.audit(fed.hub, fed.hub.world.signer.public_key)
    assert found.problems == []
    return walk


async def agrees(walk: Walk, seed: int) -> None:
    walk.fed.run()
    walk.fed.run()
    for agency in ("mpc", "nhco"):
        outcome = await reconcile(walk.fed, agency)
        assert not outcome.differences, f"seed {seed}, {agency}: {outcome.causes} after {walk.trace}"


@pytest.mark.parametrize("part", range(4))
async def test_records_and_totals_agree_after_any_sequence(part: int, seeds: Seeds) -> None:
    done: Counter[str] = Counter()
    states: Counter[str] = Counter()
    walks = 0
    for walks, number in enumerate(seeds(1, 3, 50), 1):  # noqa: B007
        with federation.copied(begun_federation()[0], number) as fed:
            walk = await walked(fed, number * 4 + part)
            done += walk.done
            for agency in ("mpc", "nhco"):
                with fed.nodes[agency].db.read() as tx:
                    states.update(store.awards.by_state(tx))
    if walks >= WALKS_THAT_DO_ALL:
        assert done.keys() == {each.__name__ for each in _DEEDS}, "everything was done"
    assert states[AwardState.SETTLED]


async def test_records_and_totals_agree_on_each_database(fed_on_each: Federation) -> None:
    await walked(fed_on_each, 1)


def left_open_elsewhere(fed: Federation) -> None:
    """nhco keeps the account of person 1 open, on which mpc awarded and redeemed."""
    federation.publish(fed)
    fed.give("nhco", deed(50, 1))
    fed.give("mpc", deed(1, 1))
    fed.run()
    redemption.request_redemption(fed.nodes["mpc"], wish())
    fed.run()


def changed_without_consent(fed: Federation) -> None:
    """The record says less, and that nothing may be told of it."""
    fed.give("mpc", deed(1, 1))
    fed.run()
    fed.give("mpc", deed(1, 1, quantity=Decimal(1), consents=Consents(False, False)))


def of_somebody_else_who_does_not_share(fed: Federation) -> None:
    """A record is somebody else's, and the first one's account is out of reach."""
    fed.give("mpc", deed(1, 1))
    fed.run()
    consent.withdraw(fed.nodes["mpc"], deed(1, 1).subject, ("share",))
    fed.run()
    fed.give("mpc", deed(1, 2, status="revoked"))


def whose_owner_was_erased(fed: Federation) -> None:
    """The same, and the second one is erased."""
    fed.give("mpc", deed(1, 1), deed(2, 1))
    fed.run()
    consent.withdraw(fed.nodes["mpc"], deed(1, 1).subject, ("share",))
    fed.run()
    fed.give("mpc", deed(1, 2))
    fed.run()
    erasure.erase(fed.nodes["mpc"], deed(1, 2).subject)


def whose_next_owner_was_erased_on_the_way(fed: Federation) -> None:
    """A record is somebody else's, who is erased before the receipt comes."""
    fed.give("mpc", deed(1, 1), deed(2, 1), deed(3, 2))
    fed.run()
    fed.give("mpc", deed(1, 2))
    run_without(fed, "pushed")
    erasure.erase(fed.nodes["mpc"], deed(1, 2).subject)


def that_a_third_one_has_by_then(fed: Federation) -> None:
    """The same, and the record is somebody else's once more before the receipt comes."""
    fed.give("mpc", deed(1, 1), deed(2, 1), deed(3, 2), deed(4, 3))
    fed.run()
    fed.give("mpc", deed(1, 2))
    run_without(fed, "pushed")
    fed.give("mpc", deed(1, 3))
    erasure.erase(fed.nodes["mpc"], deed(1, 2).subject)


def whose_award_another_record_took_meanwhile(fed: Federation) -> None:
    """The same, and another record of the first one's says just what the first one's award says."""
    whose_next_owner_was_erased_on_the_way(fed)
    fed.give("mpc", deed(5, 1))


def whose_award_another_record_took_while_it_was_taken_back(fed: Federation) -> None:
    """A record is revoked, then somebody else's, who is erased before the first receipt comes."""
    fed.give("mpc", deed(1, 1), deed(2, 1))
    fed.run()
    fed.give("mpc", deed(1, 1, status="revoked"))
    run_without(fed, "pushed")
    fed.give("mpc", deed(1, 2, consents=Consents(False, False)))
    erasure.erase(fed.nodes["mpc"], deed(1, 2).subject)
    fed.give("mpc", deed(5, 1))
    run_without(fed, "pushed")


def erased_while_a_hold_is_open(fed: Federation) -> None:
    left_open_elsewhere(fed)
    redemption.request_redemption(fed.nodes["mpc"], wish(2, reserve_only=True))
    fed.run()
    erasure.erase(fed.nodes["mpc"], deed(1, 1).subject)


def erased_and_back(fed: Federation) -> None:
    left_open_elsewhere(fed)
    erasure.erase(fed.nodes["mpc"], deed(1, 1).subject)
    fed.run()
    fed.give("mpc", deed(9, 1))


def left_and_back_on_another_account(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    consent.withdraw(fed.nodes["mpc"], deed(1, 1).subject, consent.PURPOSES)
    for _ in range(3):
        fed.clock.now_ms += 8 * DAY_MS
        fed.run()
    consent.give(fed.nodes["mpc"], deed(1, 1).subject, ("share", "redeem"))
    fed.give("mpc", deed(9, 1))


def whose_deed_was_anothers_while_they_were_away(fed: Federation) -> None:
    """It is told of both for a time; who comes back has it no more."""
    fed.give("mpc", deed(1, 1), deed(2, 1))
    fed.run()
    leave(fed, 1)
    fed.run()
    fed.give("mpc", deed(1, 2))
    fed.run()
    assert available(fed) == 3 * 16
    consent.give(fed.nodes["mpc"], deed(1, 1).subject, ("share", "redeem"))


def whose_deed_went_and_came_back(fed: Federation) -> None:
    whose_deed_was_anothers_while_they_were_away(fed)
    fed.give("mpc", deed(1, 1))


def whose_deed_was_revoked_while_they_were_away(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 1))
    fed.run()
    leave(fed, 1)
    fed.run()
    fed.give("mpc", deed(1, 1, status="revoked"))
    fed.run()
    consent.give(fed.nodes["mpc"], deed(1, 1).subject, ("share", "redeem"))


def taken_back_from_another_after_it_was_over(fed: Federation) -> None:
    left_and_back_on_another_account(fed)
    fed.run()
    wrong = fed.give("mpc", deed(1, 3))
    fed.run()
    assert wrong.import_id is not None
    undo.undo_import(fed.nodes["mpc"], wrong.import_id)


@pytest.mark.parametrize(
    "happens",
    [
        whose_deed_was_anothers_while_they_were_away,
        whose_deed_went_and_came_back,
        whose_deed_was_revoked_while_they_were_away,
        taken_back_from_another_after_it_was_over,
        changed_without_consent,
        of_somebody_else_who_does_not_share,
        whose_owner_was_erased,
        whose_next_owner_was_erased_on_the_way,
        that_a_third_one_has_by_then,
        whose_award_another_record_took_meanwhile,
        whose_award_another_record_took_while_it_was_taken_back,
        erased_while_a_hold_is_open,
        erased_and_back,
        left_and_back_on_another_account,
    ],
)
async def test_records_and_totals_agree_when_a_person_was(
    happens: Callable[[Federation], None], fed: Federation
) -> None:
    happens(fed)
    fed.run()
    fed.run()
    assert (await reconcile(fed, "mpc")).differences == []
