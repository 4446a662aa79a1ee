"""The scrub finds every stored entry that is not what was stored, says in what, and sees when it is again."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from samprasan.hub import limits
from samprasan.hub.log import scrub
from samprasan.hub.process import status
from samprasan.hub.tables import log, tree

from tests.federation import Federation, deed


@pytest.fixture
def settled(fed_on_each: Federation) -> Federation:
    fed_on_each.give("mpc", *(deed(number, number % 3) for number in range(5)))
    fed_on_each.run()
    assert scrubbed(fed_on_each) == {}
    return fed_on_each


def scrubbed(fed: Federation) -> dict[int, str]:
    """What one round finds."""
    found: dict[int, str] = {}
    place = 0
    while True:
        place, some = scrub.scrub(fed.hub, place)
        found |= {each.log_index: each.what for each in some}
        if not place:
            return found


def the_batch(fed: Federation) -> sa.Row[int, bytes, bytes]:
    query = sa.select(log.c.log_index, log.c.batch, log.c.receipt).where(log.c.agency == "mpc").limit(1)
    with fed.hub.db.read() as tx:
        return tx.execute(query).one()


def flips(data: bytes, step: int) -> Iterator[bytes]:
    for bit in range(0, 8 * len(data), step):
        yield (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")


@pytest.mark.parametrize("column", ["batch", "receipt"])
def test_every_flipped_bit_is_found(settled: Federation, column: str) -> None:
    row = the_batch(settled)
    data = getattr(row, column)
    own = log.c.log_index == row.log_index
    for changed in flips(data, 41):
        with settled.hub.db.begin() as tx:
            tx.execute(log.update().where(own).values({column: changed}))
        assert scrubbed(settled).keys() == {row.log_index}
    with settled.hub.db.begin() as tx:
        tx.execute(log.update().where(own).values({column: data}))
    assert scrubbed(settled) == {}


def test_what_is_missing_moved_or_has_another_leaf_is_told(settled: Federation) -> None:
    index = the_batch(settled).log_index
    with settled.hub.db.begin() as tx:
        tx.execute(tree.update().where(tree.c.level == 0, tree.c.number == 0).values(hash=bytes(32)))
        tx.execute(log.update().where(log.c.log_index == 1).values(digest=bytes(32)))
        tx.execute(log.delete().where(log.c.log_index == index))
    assert scrubbed(settled) == {0: "tree", 1: "place", index: "missing"}
    document = status.status(settled.hub.db, settled.clock())
    assert document["log"]["damaged"] == {"0": "tree", "1": "place", str(index): "missing"}


def test_a_round_goes_over_the_whole_log_in_steps(settled: Federation) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "ENTRIES_SCRUBBED_AT_ONCE", 2)
        assert scrub.scrub(settled.hub, 0)[0] == 2
        assert scrubbed(settled) == {}
