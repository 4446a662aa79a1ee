"""After a loss: feed the hub again, replay the own chain.  Each module imports only what stands below it.

- ``replay``: a restored node takes its own batches back from the log
- ``refeed``: a hub is given back what it gave
- ``cut``: the agencies give up an entry that nobody has
"""
