"""Batches enter the log; checkpoints, audit, scrub.  Each module imports only what stands below it.

- ``intake``: verify, fold, append, sign the receipt
- ``audit``: verify the log and compare the tables
- ``checkpoints``: sign checkpoints, prove growth, take cosignatures
- ``scrub``: look at stored bytes again
- ``recall``: read a chain back
"""
