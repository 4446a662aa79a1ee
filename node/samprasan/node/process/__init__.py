"""The node as a process.  Each module imports only what stands below it.

- ``counter_service``: what an agency's own applications ask, over a Unix socket or mutual TLS
- ``serve``: serve until stopped, or run a session until something is done
- ``reconnect``: sessions, one after the other, however often the hub goes away
- ``status``: what ``status``, ``sync`` and the metrics say
"""
