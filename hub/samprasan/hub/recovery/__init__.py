"""A lost log comes back.  Each module imports only what stands below it.

- ``rebuild``: tables and tree anew from the log
- ``recovery``: take back from the agencies what the hub once gave them
- ``cut``: go on without an entry that nobody has
- ``lost_receipts``: put back batches whose receipts nobody got
- ``returned_entries``: what may be believed of what agencies give back
- ``attachments``: documents and pseudonyms that belong to entries
"""
