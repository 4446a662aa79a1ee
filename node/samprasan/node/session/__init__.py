"""One connection to the hub, and the tasks that run over it.  Each module imports only what stands below it.

- ``tasks``: hello first, then every task at once, until one of them ends the session
- ``push``: batches go out, receipts come in
- ``ceremony``: hold key ceremonies and end rotations
- ``linking``: ask peers, and have the hub open accounts
- ``witness``: check and cosign checkpoints
- ``mail``: read the node's box: which step deals with which letter
- ``hello``: say hello, feed a hub that lost entries, keep up with its own chain
- ``documents``: fetch joint documents
- ``reconciliation``: compare records with the hub's totals over one stream
- ``session``: what the tasks of a session share
- ``live``: what wakes the tasks of a process, and whether the hub answers
"""
