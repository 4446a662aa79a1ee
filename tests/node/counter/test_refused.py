"""What a counter was told to have failed is not done later, whatever it failed for."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from samprasan.hub import store
from samprasan.keys.errors import Refused, SamprasanError, Unavailable, Unproven
from samprasan.node.commands import hub_calls
from samprasan.node.counter import redemption
from samprasan.node.process import serve
from samprasan.node.sync import batches, outbox

from tests import federation
from tests.federation import Federation, deed
from tests.redemptions import wish

FAILURES: list[BaseException] = [
    Unavailable("hub_unreachable", status="away"),
    Refused("node_restored"),
    Unproven("chain_fork", agency="mpc", seq=1),
    RuntimeError("a fault of ours"),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
]
OP = (1).to_bytes(16, "big")


@pytest.fixture
def counter(fed: Federation) -> Federation:
    """Somebody has credits, and a hold that is open and one that is spent."""
    federation.publish(fed)
    fed.give("mpc", deed(1, 1), deed(2, 1), deed(3, 1))
    fed.run()
    redemption.request_redemption(fed.nodes["mpc"], wish(1, reserve_only=True))
    redemption.request_redemption(fed.nodes["mpc"], wish(2))
    fed.run()
    return fed


def opened(fed: Federation, agency: str = "mpc") -> Any:
    return SimpleNamespace(node=fed.nodes[agency], connect=None, settings=SimpleNamespace(offline_credits_max=0))


def settle(fed: Federation, op: int, update: bytes) -> Any:
    return hub_calls.settle_redemption(opened(fed), op.to_bytes(16, "big"), 0.1, update)


def post(fed: Federation) -> Any:
    return settle(fed, 1, redemption.post(fed.nodes["mpc"], OP, None))


def void(fed: Federation) -> Any:
    return settle(fed, 1, redemption.void(fed.nodes["mpc"], OP, "cancelled"))


def refund(fed: Federation) -> Any:
    return settle(fed, 2, redemption.refund(fed.nodes["mpc"], (2).to_bytes(16, "big"), None, "mistake"))


def refund_anothers(fed: Federation) -> Any:
    hold = redemption.find(fed.nodes["mpc"], (2).to_bytes(16, "big"))["hold"]
    agency, _, hold_id = hold.partition("/")
    return hub_calls.refund_elsewhere(opened(fed, "codi"), agency, bytes.fromhex(hold_id), 3, "mistake", 0.1)


def redeem(fed: Federation) -> Any:
    return hub_calls.redeem(opened(fed), wish(9), 0.1)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("does", [redeem, post, void, refund, refund_anothers])
def test_what_failed_is_not_done_later(
    counter: Federation, monkeypatch: pytest.MonkeyPatch, does: Callable[[Federation], Any], failure: BaseException
) -> None:
    async def fails(*_: Any) -> bool:
        raise failure

    before = standing(counter)
    monkeypatch.setattr(serve, "settle", fails)
    with pytest.raises((SamprasanError, type(failure))):
        does(counter)
    monkeypatch.undo()
    assert all(outbox.outbox(node.db, counter.clock()).is_empty for node in counter.nodes.values())
    counter.run()
    assert standing(counter) == before


def standing(fed: Federation) -> Any:
    with fed.hub.db.read() as tx:
        return store.ledger.federation_totals(tx)


@pytest.mark.parametrize("does", [redeem, post, void, refund, refund_anothers])
def test_what_no_answer_came_to_in_time_is_not_done_later(
    counter: Federation, monkeypatch: pytest.MonkeyPatch, does: Callable[[Federation], Any]
) -> None:
    async def takes_long(*_: Any) -> bool:
        return False

    before = standing(counter)
    monkeypatch.setattr(serve, "settle", takes_long)
    with pytest.raises(Unavailable) as away:
        does(counter)
    assert away.value.code == "counter_offline"
    counter.run()
    assert standing(counter) == before


def test_what_another_command_queued_is_left(counter: Federation) -> None:
    node = counter.nodes["mpc"]
    kept = redemption.refund(node, (2).to_bytes(16, "big"), None, "mistake")
    redemption.post(node, OP, None)
    assert not redemption.drop_unsent(node.db, (2).to_bytes(16, "big"))
    counter.run()
    assert redemption.outcome_of(node.db, kept) == ("settled", None)


def test_what_has_left_is_told_to_be_pending(counter: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has sealed it before this one's own session failed."""
    node = counter.nodes["mpc"]

    async def sealed_meanwhile(*_: Any) -> bool:
        assert batches.seal_next_batch(node, outbox.outbox(node.db, counter.clock()).head.seq)
        raise Refused("node_restored")

    monkeypatch.setattr(serve, "settle", sealed_meanwhile)
    with pytest.raises(Unavailable) as pending:
        void(counter)
    assert pending.value.code == "redemption_pending"
