"""What an IT team types.  Modules import what they need inside the function, so that ``--help`` stays fast.

Each module imports only what stands below it.

- ``approvals``: ``approvals list``, ``show``, ``approve``, ``decline`` and ``withdraw``
- ``moves``: ``merge``, ``split`` and ``moves``
- ``counter``: ``redeem``, ``redemptions`` and ``benefit``
- ``linking_key``: ``linking refresh``, ``repair``, ``rotate``, ``restart`` and ``grant``
- ``subjects``: ``balance``, ``handle``, ``consent`` and ``erase``
- ``proof``: ``checkpoint`` and ``reconcile``
- ``records``: ``import``, ``imports``, ``profile`` and ``deed``
- ``recovery``: ``backup``, ``restore``, ``recover``, ``cut`` and ``orphans``
- ``doctor``: what ``doctor`` looks at
- ``joint_documents``: the inbox and proposals as answers for people and scripts
- ``hub_calls``: steps and a connection together: balance, redeem, publish, submit
- ``formats``: rows, moments, days and progress as people read them
"""
