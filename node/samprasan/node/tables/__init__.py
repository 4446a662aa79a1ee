"""The node's tables.

Columns called ``sealed_…`` are AES-GCM under a key of the keyring; subjects are found by a keyed index of their id.

Each module imports only what stands below it.

- ``people``: people, their deeds and the awards for them
- ``counter``: redemptions, and deeds that go to the right person
- ``linking``: evaluated ids, and the ceremonies that make their key
- ``exchange``: what was sent to the hub, heard and checked
- ``columns``: what the tables share
"""

from samprasan.node.tables.columns import metadata
from samprasan.node.tables.counter import hold_updates, moved, moves, moving, redemptions
from samprasan.node.tables.exchange import (
    activations,
    batches,
    checkpoints,
    decisions,
    dissents,
    documents,
    ended,
    evidence,
    heard,
    hub_entries,
    notes,
    proofs,
    refused,
)
from samprasan.node.tables.linking import (
    admitted,
    ceremonies,
    ceremony_letters,
    ceremony_messages,
    evaluation_totals,
    evaluations,
    linking_counts,
    questions,
    shares,
)
from samprasan.node.tables.people import awards, deeds, earlier, erased, imports, restated, subjects

__all__ = [
    "activations",
    "admitted",
    "awards",
    "batches",
    "ceremonies",
    "ceremony_letters",
    "ceremony_messages",
    "checkpoints",
    "decisions",
    "deeds",
    "dissents",
    "documents",
    "earlier",
    "ended",
    "erased",
    "evaluation_totals",
    "evaluations",
    "evidence",
    "heard",
    "hold_updates",
    "hub_entries",
    "imports",
    "linking_counts",
    "metadata",
    "moved",
    "moves",
    "moving",
    "notes",
    "proofs",
    "questions",
    "redemptions",
    "refused",
    "restated",
    "shares",
    "subjects",
]
