"""Reconciliation: bytes to find d of a million accounts that differ, beside two other ways; and what proof costs."""

import random
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from samprasan.hub import store
from samprasan.hub.log import audit
from samprasan.keys.signing import verify_ed25519
from samprasan.ledger.sketch import CELL_BYTES, Keys, Peeling, Side

from tests import federation
from tests.federation import Federation, deed

ACCOUNTS = 1_000_000
DIFFERING = (1, 10, 100, 1000)
TRIES = 3
ROW_BYTES = 16 + 6 * 8  # an account and what it has, as plain as can be
BUCKETS, FAN_OUT, DIGEST_BYTES = 65_536, 16, 8
GOAL_BYTES = 32  # a differing account
BATCHES, UPDATES = 40, 1000
Values = NDArray[np.int64]


def run() -> None:
    """Print both sides and the ratios."""
    chance = random.Random(1)
    ids = [chance.randbytes(16) for _ in range(ACCOUNTS)]
    values = np.random.default_rng(1).integers(0, 500, (ACCOUNTS, 6))
    begun = time.perf_counter()
    side = Side(Keys.drawn(b"timed"), ids, values)
    side.more(1400)
    print(f"a sketch of {ACCOUNTS:,} accounts, 1,400 cells: {time.perf_counter() - begun:.1f} s (goal 2)", flush=True)
    for count in DIFFERING:
        sketch = sum(_sketch(ids, values, count, each) for each in range(TRIES)) / TRIES
        buckets = _buckets(ids, values, count)
        naive = ACCOUNTS * ROW_BYTES
        ratio = sketch / (GOAL_BYTES * count)
        print(
            f"{count:,} of {ACCOUNTS:,} differ: {sketch:,.0f} B = {ratio:.2f} × 32·d (goal 1.0); "
            f"bucket digest tree {buckets / sketch:.0f} × that, everything {naive / sketch:,.0f} ×",
            flush=True,
        )
    _log()


def _changed(values: Values, count: int, seed: int) -> tuple[Values, Sequence[int]]:
    where = np.random.default_rng(100 * count + seed).choice(ACCOUNTS, count, replace=False)
    changed = values.copy()
    changed[where, 0] += 1
    return changed, where.tolist()


def _sketch(ids: Sequence[bytes], values: Values, count: int, seed: int) -> int:
    """Bytes until every account that differs is known, as a hub sends them: each message an eighth of those before."""
    keys = Keys.drawn(b"%d" % seed)
    changed, where = _changed(values, count, seed)
    mine, theirs = Side(keys, ids, changed), Side(keys, ids, values)
    peeling = Peeling(mine.ids)
    while not peeling.is_done:
        more = max(peeling.count // 8, 1)
        peeling.add_cells(mine.more(more), theirs.more(more))
    assert {place for place, delta in peeling.found.items() if delta} == set(where)
    return peeling.count * CELL_BYTES


def _buckets(ids: Sequence[bytes], values: Values, count: int) -> int:
    """A tree of digests over buckets of accounts, walked down where it differs; then those buckets whole."""
    _, where = _changed(values, count, 0)
    placed: dict[int, int] = {}
    for account_id in ids:
        bucket = int.from_bytes(account_id[:2], "big")
        placed[bucket] = placed.get(bucket, 0) + 1
    differing = {int.from_bytes(ids[place][:2], "big") for place in where}
    sent, level, nodes = DIGEST_BYTES, BUCKETS, {0}
    while level > 1:
        level //= FAN_OUT
        sent += len(nodes) * FAN_OUT * DIGEST_BYTES
        nodes = {bucket // level for bucket in differing}
    return sent + sum(placed[bucket] * ROW_BYTES for bucket in differing)


def _log() -> None:
    """What the tree takes of an append, and how fast a log is audited."""
    fed = federation.make()
    fed.give("mpc", *(deed(number, number % 200) for number in range(BATCHES * UPDATES)))
    spent = 0.0
    grow = store.tree.grow

    def timed(*arguments: object) -> None:
        nonlocal spent
        begun = time.perf_counter()
        grow(*arguments)  # type: ignore[arg-type]
        spent += time.perf_counter() - begun

    store.tree.grow = timed  # type: ignore[assignment]
    in_hub, receive = 0.0, fed.hub.receive

    def received(message: federation.Message) -> list[federation.Message]:
        nonlocal in_hub
        begun = time.perf_counter()
        try:
            return receive(message)
        finally:
            in_hub += (time.perf_counter() - begun) * (message.kind == "push")

    fed.hub.receive = received  # type: ignore[method-assign]
    try:
        fed.run()
    finally:
        store.tree.grow = grow
    print(f"the log's tree takes {100 * spent / in_hub:.1f} % of taking batches in (goal 10)", flush=True)
    _audited(fed)
    fed.close()


def _audited(fed: Federation) -> None:
    begun = time.perf_counter()
    report = audit.audit(fed.hub, fed.hub.world.signer.public_key)
    seconds = time.perf_counter() - begun
    assert report.problems == []
    assert fed.hub.world.verify is verify_ed25519
    rate = report.updates / seconds
    print(f"audit: {rate:,.0f} updates/s, a million in {1_000_000 / rate / 60:.1f} min (goal 5)", flush=True)
