"""What the hub must hear of a deed.  Each module imports only what stands below it.

- ``moves``: deeds under a wrong id go to the right one, by two people
- ``orphans``: awards without a deed, and what two people decide
- ``history``: one record from its file to its receipt
- ``officers``: those who propose and confirm, by name
- ``awards``: queue a first award, a correction or a reversal
"""
