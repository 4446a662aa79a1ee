"""The thin hub: it reconciles shared totals and holds no personal data.

Each module imports only what stands below it.

- ``__main__``: ``samprasan-hub``, the command line
- ``commands``: what an operator types
- ``home``: the folder of a hub, opened
- ``process``: gRPC, loops, threads
- ``integrators``: what apps are shown
- ``members``: joining, hello, mailbox, documents, alarms
- ``accounts``: pseudonyms, totals, reconciliation, rotation
- ``recovery``: a lost log comes back
- ``log``: batches enter the log; checkpoints, audit, scrub
- ``store``: every SQL statement
- ``migrations``: how older databases become newer ones
- ``tables``: the tables
- ``identity``: ``Hub``, the one value that steps are given
- ``limits``: every limit, with its reason
"""
