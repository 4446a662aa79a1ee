"""Pseudonyms, totals, reconciliation, rotation.  Each module imports only what stands below it.

- ``rekey``: an account moves to its next pseudonym
- ``opening``: a subject finds its account, and the agency is admitted to it
- ``evaluations``: what two agencies signed of them covers accounts
- ``totals``: totals of accounts, for who has a Link
- ``reconciliation``: what each agency did to each account, as a sketch
- ``rotation_progress``: how far a rotation is
"""
