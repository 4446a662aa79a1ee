"""What apps are shown.  Each module imports only what stands below it.

- ``publisher``: fill a NATS stream
- ``jetstream``: a NATS stream that one publisher fills
- ``cloudevents``: events as CloudEvents in NATS messages
- ``handle_token``: an integrator learns whom it has in front of it
- ``snapshot``: everything that may be seen as of one place
- ``recent_changes``: the newest changes, in memory for all who follow
- ``reader``: what an integrator is sent, from any place kept
- ``view``: what scope and filter let pass
- ``approval``: who may read, because the agencies agreed
"""
