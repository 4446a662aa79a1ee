"""Bugs that are planted into the product, each with the faults under which it shows; every one must be found."""

from collections.abc import Callable
from typing import Any

import pytest
from samprasan.edge import database
from samprasan.hub import store
from samprasan.keys import signing
from samprasan.ledger import batch_form, holds, state
from samprasan.node.counter import balance
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log

from tests.federation import NodeParty
from tests.sim import simulation, stores
from tests.sim.simulation import Faults

Plant = Callable[[pytest.MonkeyPatch], None]


def no_duplicate_check(patch: pytest.MonkeyPatch) -> None:
    """The hub forgets which op_ids it has seen."""
    patch.setattr(state.Step, "operation", lambda *_: None)
    patch.setattr(store.ledger, "insert_rows", database.upsert_rows)


def acknowledged_before_durable(patch: pytest.MonkeyPatch) -> None:
    """The hub's database no longer syncs a commit before the receipt goes out."""
    make = stores.simulated_database

    def unsynced(party: str) -> stores.SimulatedStore:
        db = make(party)
        if party == "hub":
            db.raw().execute("PRAGMA synchronous = OFF")
        return db

    patch.setattr(simulation, "simulated_database", unsynced)


def no_signature_check(patch: pytest.MonkeyPatch) -> None:
    """Whoever says a thing is believed."""
    patch.setattr(signing, "_signed_by", lambda *_: True)


def no_hold_reservation(patch: pytest.MonkeyPatch) -> None:
    """A hold is noted, but its credits stay available."""
    reserve = holds.reserve

    def unreserved(step: state.Step, op_id: bytes, wanted: log.Reserve) -> state.Decline:
        before = step.account(wanted.account_id)
        reason = reserve(step, op_id, wanted)
        if not reason and before is not None:
            step.changes.accounts[wanted.account_id] = before
        return reason

    patch.setattr(holds, "reserve", unreserved)


def double_post(patch: pytest.MonkeyPatch) -> None:
    """A hold that was posted can be posted again."""
    again = {(log.HOLD_STATE_POSTED, "post"): log.HOLD_STATE_POSTED}
    patch.setattr(holds, "_NEXT", {**holds._NEXT, **again})


def op_id_from_a_counter(patch: pytest.MonkeyPatch) -> None:
    """op_ids count from where a process began."""
    counts = {"next": 0}
    restart = NodeParty.restart

    def counted(_random_bytes: bytes, _now: int) -> bytes:
        counts["next"] += 1
        return counts["next"].to_bytes(16, "big")

    def restarted(node: NodeParty) -> None:
        counts["next"] = 0
        restart(node)

    patch.setattr(batch_form, "new_op_id", counted)
    patch.setattr(NodeParty, "restart", restarted)


def deadline_by_the_nodes_clock(patch: pytest.MonkeyPatch) -> None:
    """The hub lets a hold run out by the clock of whoever sent it."""
    begin: Any = state.Step.__init__

    def by_its_own(step: state.Step, before: state.State, agency: str, appended_at: int) -> None:
        begin(step, before, agency, appended_at)
        step.appended_at += {"mpc": 40_000, "nhco": -40_000}.get(agency, 0)

    patch.setattr(state.Step, "__init__", by_its_own)


def unechoed_reply(patch: pytest.MonkeyPatch) -> None:
    """A node takes any signed totals for the answer to its question."""

    def any_answer(_tx: Any, _node: Any, _request: Any, envelope: Any) -> Any:
        return hub_pb2.Totals.FromString(envelope.payload).accounts

    patch.setattr(balance, "_answered", any_answer)


PLANTED: list[tuple[Plant, Faults]] = [
    (no_duplicate_check, Faults(forgotten=60)),
    (acknowledged_before_durable, Faults(crashed=30)),
    (no_signature_check, Faults(forged=300)),
    (no_hold_reservation, Faults()),
    (double_post, Faults(hostile=300)),
    (op_id_from_a_counter, Faults(crashed=40)),
    (deadline_by_the_nodes_clock, Faults()),
    (unechoed_reply, Faults(swapped=500)),
]
