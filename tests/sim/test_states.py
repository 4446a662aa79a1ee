"""What a node keeps changes its state as the table says, whatever is lost, repeated or killed; only a cut goes back."""

from enum import StrEnum

import pytest
from samprasan.edge.database import Database
from samprasan.node.states import (
    NEXT,
    AwardState,
    HoldUpdateState,
    MoveState,
    QuestionState,
    RedemptionState,
)

from tests.sim.simulation import STEPS, Faults, Seeds, Simulation

TABLES: dict[str, type[StrEnum]] = {
    "awards": AwardState,
    "hold_updates": HoldUpdateState,
    "redemptions": RedemptionState,
    "moves": MoveState,
    "questions": QuestionState,
}
SEEN_BY_CHANCE = {  # by a simulation of redemptions, corrections and crashes
    ("awards", "queued", "settled"),
    ("awards", "settled", "replaced"),
    ("hold_updates", "queued", "settled"),
    ("redemptions", "asked", "held"),
    ("redemptions", "held", "posted"),
    ("questions", "open", "answered"),
}


def watch(db: Database) -> None:
    """Note every change of a state in a table of its own."""
    with db.begin() as tx:
        tx.exec_driver_sql("CREATE TABLE changed (what TEXT, old TEXT, new TEXT)")
        for table in TABLES:
            tx.exec_driver_sql(
                f"CREATE TRIGGER note_{table} AFTER UPDATE OF state ON {table} WHEN old.state <> new.state "
                f"BEGIN INSERT INTO changed VALUES ('{table}', old.state, new.state); END"
            )


def test_states_follow_each_other_as_the_table_says(seeds: Seeds) -> None:
    seen: set[tuple[str, str, str]] = set()
    for number in seeds(2, 4, 50):
        world = Simulation(number, Faults(forgotten=0, hostile=0))  # a node that cheats changes its own tables
        for node in world.fed.nodes.values():
            watch(node.db)
            node.db.sync()  # type: ignore[attr-defined]
        world.run(STEPS // 2)
        for node in world.fed.nodes.values():
            with node.db.read() as tx:
                for what, old, new in tx.exec_driver_sql("SELECT DISTINCT what, old, new FROM changed"):
                    states = TABLES[what]
                    assert states(new) in NEXT[states].get(states(old), frozenset()), (
                        f"seed {number}: {what} {old} -> {new}"
                    )
                    seen.add((what, old, new))
        world.close()
    assert seen >= SEEN_BY_CHANCE


@pytest.mark.parametrize("states", TABLES.values())
def test_the_table_names_states_of_one_kind(states: type[StrEnum]) -> None:
    for before, after in NEXT[states].items():
        assert isinstance(before, states)
        assert all(isinstance(each, states) for each in after)
