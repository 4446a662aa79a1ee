"""What agencies sign together, at a node.  Each module imports only what stands below it.

- ``proposals``: what this agency lays before the others: policy, grant, cut, ceremony, catalogue
- ``inbox``: what waits for this agency: find it, approve it
- ``accepted``: believe what enough agencies signed
- ``differences``: every field of a document as a line, and what it changes of another
"""
