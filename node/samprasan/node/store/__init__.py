"""The node's rows, one module an aggregate.  Every function takes the open transaction."""

from samprasan.node.store import (
    awards,
    batches,
    ceremony,
    deeds,
    documents,
    facts,
    hub_chain,
    links,
    log_views,
    moves,
    orphans,
    questions,
    record_totals,
    redemptions,
    rotation,
    subjects,
)

__all__ = [
    "awards",
    "batches",
    "ceremony",
    "deeds",
    "documents",
    "facts",
    "hub_chain",
    "links",
    "log_views",
    "moves",
    "orphans",
    "questions",
    "record_totals",
    "redemptions",
    "rotation",
    "subjects",
]
