"""For whoever reads what a federation shows: ``follow``, ``snapshot``, ``resolve``; with asyncio in ``client.aio``.

::

    from samprasan.client import follow

    for change in follow("welfare-app.credentials", cursor_file="welfare-app.cursor"):
        print(change.type, change.handle, change.earned)

Each module imports only what stands below it.

- ``__main__``: ``samprasan-client``, the command line
- ``commands``: credentials, snapshots, streams, handles
- ``blocking``: plain loops
- ``aio``: the same with asyncio
- ``protocol``: following, without a network
- ``connection``: a typed connection to a hub
- ``verifying``: verify an exported log offline

"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samprasan.client.blocking import follow, resolve, snapshot
    from samprasan.ledger.events import Change

__all__ = ["Change", "follow", "resolve", "snapshot"]


def __getattr__(name: str) -> Any:
    """Load what is asked for: a command that shows its help needs none of it."""
    if name == "Change":
        from samprasan.ledger.events import Change

        return Change
    if name in __all__:
        from samprasan.client import blocking

        return getattr(blocking, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
