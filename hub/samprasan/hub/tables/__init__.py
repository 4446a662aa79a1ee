"""The hub's tables.  No column holds a 13-digit id, a name or a text about a deed.

Each module imports only what stands below it.

- ``ledger``: accounts and what a fold of the log makes of them
- ``refeeding``: what a recovering hub has been given back
- ``chain``: the log, its tree, what was compared and found
- ``parties``: members, integrators, documents, letters
- ``columns``: what the tables share
"""

from samprasan.hub.tables.chain import (
    changes,
    checkpoints,
    contributions,
    cosignatures,
    counted,
    damages,
    head,
    log,
    reconciliations,
    refusals,
    tree,
)
from samprasan.hub.tables.columns import metadata
from samprasan.hub.tables.ledger import (
    accounts,
    admissions,
    admitted,
    agencies,
    corrections,
    evaluations,
    holding,
    holds,
    leftovers,
    links,
    offers,
    operations,
    rekeyed,
    rotations,
    subjects,
    uses,
)
from samprasan.hub.tables.parties import (
    certificates,
    dissents,
    documents,
    integrator_certificates,
    integrators,
    invites,
    mailbox,
    presence,
    subscriptions,
    withdrawn,
)
from samprasan.hub.tables.refeeding import recovery, refed, refed_accounts, refed_evaluations, refeeders

__all__ = [
    "accounts",
    "admissions",
    "admitted",
    "agencies",
    "certificates",
    "changes",
    "checkpoints",
    "contributions",
    "corrections",
    "cosignatures",
    "counted",
    "damages",
    "dissents",
    "documents",
    "evaluations",
    "head",
    "holding",
    "holds",
    "integrator_certificates",
    "integrators",
    "invites",
    "leftovers",
    "links",
    "log",
    "mailbox",
    "metadata",
    "offers",
    "operations",
    "presence",
    "reconciliations",
    "recovery",
    "refed",
    "refed_accounts",
    "refed_evaluations",
    "refeeders",
    "refusals",
    "rekeyed",
    "rotations",
    "subjects",
    "subscriptions",
    "tree",
    "uses",
    "withdrawn",
]
