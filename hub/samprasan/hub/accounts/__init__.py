"""Pseudonyms, totals, reconciliation, rotation.  Each module imports only what stands below it.

- ``rekey``: an account moves to its next pseudonym
- ``accounts``: a subject key finds its account; totals are read with a Link
- ``reconciliation``: what each agency did to each account, as a sketch
- ``rotation``: how far a rotation is
"""
