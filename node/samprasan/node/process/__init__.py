"""The node as a process.  Each module imports only what stands below it.

- ``local_service``: what an agency's own applications ask, over a Unix socket or mutual TLS
- ``serve``: keep a session going, or run one until something is done
- ``status``: what ``status``, ``sync`` and the metrics say
"""
