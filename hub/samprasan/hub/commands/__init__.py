"""What an operator types.  Modules import what they need inside the function, so that ``--help`` stays fast.

Each module imports only what stands below it.

- ``integrators``: ``integrator …`` and ``publish``
- ``recovery``: ``backup``, ``restore`` and ``recover``
"""
