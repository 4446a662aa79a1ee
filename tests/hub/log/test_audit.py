"""The audit finds whatever was changed behind the hub's back."""

import random

import pytest
import sqlalchemy as sa
from samprasan.hub.log import audit
from samprasan.hub.tables import accounts, agencies, head, links, log, operations

from tests.federation import Federation, deed

FLIPS = 60


def problems(fed: Federation) -> list[str]:
    hub = fed.hub
    return audit.audit(hub, hub.world.signer.public_key).problems


@pytest.fixture
def settled(fed: Federation) -> Federation:
    fed.give("mpc", *(deed(number, number % 3) for number in range(9)))
    fed.run()
    assert problems(fed) == []
    return fed


def flip(data: bytes) -> bytes:
    return data[:-3] + bytes([data[-3] ^ 4]) + data[-2:]


TAMPERINGS = {
    "an account's credits": sa.update(accounts).values(available=accounts.c.available + 1),
    "a link's purposes": sa.update(links).values(purposes=2),
    "an operation's content": sa.update(operations).values(content=5),
    "an agency's sum": sa.update(agencies).where(agencies.c.agency == "mpc").values(earned=1),
    "an account that vanished": sa.delete(accounts),
    "the log's last entry cut off": sa.delete(log).where(log.c.agency == "mpc"),
    "the head": sa.update(head).values(log_size=99),
    "a batch filed as another's": sa.update(log).where(log.c.agency == "mpc").values(agency="nhco"),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_a_tampered_table_is_told(settled: Federation, what: str) -> None:
    with settled.hub.db.begin() as tx:
        tx.execute(TAMPERINGS[what])
    assert problems(settled) != []


@pytest.mark.parametrize("column", ["batch", "receipt"])
def test_a_flipped_bit_in_a_stored_batch_or_receipt_is_found(settled: Federation, column: str, seed: int) -> None:
    """Of any entry, anybody's and the hub's own."""
    chance = random.Random(seed)
    with settled.hub.db.read() as tx:
        rows = [(row.log_index, row[1]) for row in tx.execute(sa.select(log.c.log_index, log.c[column]))]
    missed = []
    for _ in range(FLIPS):
        index, data = chance.choice(rows)
        place = chance.randrange(len(data) * 8)
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        entry = sa.update(log).where(log.c.log_index == index)
        with settled.hub.db.begin() as tx:
            tx.execute(entry.values({column: bytes(changed)}))
        if not problems(settled):
            missed.append((index, place))
        with settled.hub.db.begin() as tx:
            tx.execute(entry.values({column: data}))
    assert missed == []
    assert problems(settled) == []
