"""Why a node stops sending, and how an operator lets it go on."""

from samprasan.edge.database import Database, Tx
from samprasan.keys.errors import Refused, SamprasanError, Unproven
from samprasan.node import store
from samprasan.node.store.facts import RESTORED


def halt_sending(db: Database, problem: SamprasanError) -> None:
    """Stop sending until the operator says ``sync --resume``."""
    with db.begin() as tx:
        store.facts.halt(tx, problem.code)


def halt_restored(tx: Tx) -> None:
    """The node was made of a backup: it does nothing before it has recovered."""
    store.facts.halt(tx, RESTORED)


def check_recovered(db: Database) -> None:
    """Refused ``node_restored`` if the node was made of a backup and has not recovered."""
    if halt_reason(db) == RESTORED:
        raise Refused("node_restored")


def check_not_forked(db: Database) -> None:
    """Unproven ``log_forked`` as long as nobody has looked at the evidence: nothing is accepted from this hub."""
    if halt_reason(db) == "log_forked":
        raise Unproven("log_forked")


def halt_reason(db: Database) -> str:
    """The code of the error that stopped sending; empty if none did."""
    with db.read() as tx:
        return store.facts.get(tx, store.facts.HALTED) or ""


def resume_sending(db: Database) -> None:
    """The operator has looked: send again."""
    with db.begin() as tx:
        store.facts.drop(tx, store.facts.HALTED)
