"""gRPC, loops, threads.  Each module imports only what stands below it.

- ``server``: both listeners, from start to drain
- ``background``: what a hub does by itself, in rounds
- ``hub_service``: the methods that nodes call
- ``changes_service``: the methods that integrators call
- ``callers``: whose certificate a connection showed
- ``running``: what the methods share: threads, and what wakes streams
- ``status``: what ``status`` and the metrics say
- ``sequencer``: the one writing thread
- ``tiles``: the log's tree over plain HTTP
"""
