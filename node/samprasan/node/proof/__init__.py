"""Believe the hub only as far as it was seen.  Each module imports only what stands below it.

- ``repair``: records that differ are put back as signed batches say
- ``reconciliation``: records against totals: what differs and why
- ``witness``: check a checkpoint before it is cosigned
"""
