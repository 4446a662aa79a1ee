"""The hub's rows, one module an aggregate.  Every function takes the open transaction."""

from samprasan.hub.store import (
    changes,
    checkpoints,
    contributions,
    damages,
    documents,
    evaluations,
    holds,
    integrators,
    ledger,
    log,
    lots,
    mailbox,
    members,
    pseudonyms,
    recovery,
    tree,
)

__all__ = [
    "changes",
    "checkpoints",
    "contributions",
    "damages",
    "documents",
    "evaluations",
    "holds",
    "integrators",
    "ledger",
    "log",
    "lots",
    "mailbox",
    "members",
    "pseudonyms",
    "recovery",
    "tree",
]
