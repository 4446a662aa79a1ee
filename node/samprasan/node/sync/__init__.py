"""Outbox → batch, receipt → deed.  Each module imports only what stands below it.

- ``receipts``: what the hub said of a batch becomes what this node knows
- ``leaving``: an account that is left rests, and is forgotten
- ``hello``: compose a hello and act on its answer: two heads of one chain are compared
- ``batches``: seal the outbox into the next signed batch
- ``outbox``: what is left to send, and why it stands
- ``hub_chain``: keep the hub's own chain
- ``halt``: why a node stops sending, and how it goes on
"""
