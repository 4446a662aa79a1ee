"""One connection to the hub, and the tasks that run over it.

In order of use: ``serve`` in the room ``process`` opens a connection, ``tasks`` says hello and starts the others.

- ``tasks``: hello first, then every task at once, until one of them ends the session
- ``session``: what the tasks of a session share, and their patience with what fails
- ``live``: what wakes the tasks of a process, and whether the hub answers
- ``hello``: say hello, give the hub back what it lost, recall its own chain
- ``push``: send batches and take receipts
- ``ceremony``: hold key ceremonies, and end rotations
- ``linking``: ask peers and the hub for accounts
- ``mail``: read this node's box: which step deals with which letter
- ``documents``: fetch joint documents
- ``witness``: check and cosign checkpoints
- ``reconciliation``: compare records with the hub's totals over one stream
"""
