"""``serve`` and ``sync`` at once: two processes of one node that are told the same, on either database."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from samprasan.hub.log import checkpoints, recall
from samprasan.node import store
from samprasan.node.linking import linking_use
from samprasan.node.proof import witness
from samprasan.node.sync import hub_chain

from tests.federation import Federation, deed

MEET_SECONDS = 0.5  # how long one waits for the other to have read the same; whoever takes turns does not come


def at_once(step: Callable[[], object]) -> list[Exception]:
    """Let two threads do the same; what they raised."""
    failed: list[Exception] = []

    def work() -> None:
        try:
            step()
        except Exception as problem:
            failed.append(problem)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return failed


def meeting(read: Callable[..., Any]) -> Callable[..., Any]:
    """A read after which both wait for each other, so that neither sees what the other writes."""
    both = threading.Barrier(2)

    def slowly(*given: Any) -> Any:
        found = read(*given)
        with suppress(threading.BrokenBarrierError):
            both.wait(MEET_SECONDS)
        return found

    return slowly


def test_the_hubs_chain_is_kept_once(fed_on_each: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    fed, node = fed_on_each, fed_on_each.nodes["mpc"]
    fed.give("mpc", deed(1, 1))
    fed.run()
    kept = hub_chain.kept_up_to(node.db)
    with node.db.begin() as tx:
        store.hub_chain.forget_from(tx, 0)
        linking_use.count_again(tx, node)
    entries = list(recall.recalled(fed.hub.db, "mpc", True, 0))
    with monkeypatch.context() as patch:
        patch.setattr(store.hub_chain, "head", meeting(store.hub_chain.head))
        assert at_once(lambda: hub_chain.keep_entries(node, entries)) == []
    assert hub_chain.kept_up_to(node.db) == kept > 0


def test_a_checkpoint_and_its_proofs_are_kept_once(fed_on_each: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    fed, node = fed_on_each, fed_on_each.nodes["mpc"]
    fed.give("mpc", deed(1, 1))
    fed.run()
    fed.give("mpc", deed(2, 2))
    fed.deliver(message for message in node.tick() if message.kind != "witness")
    checkpoints.offer_checkpoint(fed.hub)
    asked = witness.question(node.db)
    answer = checkpoints.answer_question(fed.hub.db, "mpc", asked.request)
    assert len(answer.inclusion) > 0
    with monkeypatch.context() as patch:
        patch.setattr(store.log_views, "newest", meeting(store.log_views.newest))
        assert at_once(lambda: witness.accept_answer(node, asked, answer)) == []
    with node.db.read() as tx:
        assert store.log_views.newest(tx) == answer.checkpoint
        assert store.log_views.proof_of(tx, 1) is not None
