"""An agency's own service: it keeps the agency's deeds and benefits and talks to the hub.

Each module imports only what stands below it.

- ``__main__``: ``samprasan-node``, the command line
- ``commands``: what an IT team types
- ``process``: loops, threads, sockets
- ``session``: one connection to the hub, a module a task
- ``certificate``: join a hub; let the agency's own applications in
- ``home``: the folder of a node, opened
- ``documents``: what agencies sign together
- ``recovery``: feed the hub again, replay the own chain
- ``sync``: outbox → batch, receipt → deed
- ``counter``: what one person asks for
- ``imports``: rows become stored deeds
- ``proof``: witness, reconciliation, repair
- ``deeds``: what the hub must hear of a deed
- ``linking``: an id becomes an account
- ``exports``: a file becomes rows
- ``store``: every SQL statement
- ``migrations``: how older databases become newer ones
- ``tables``: the tables
- ``identity``: ``Node``, the one value that steps are given
- ``limits``: every limit, with its reason
- ``person_names``: whether two names may be one person's
- ``rows``: what the stores give of the tables
- ``states``: the states of what is kept, and what may follow what
"""
