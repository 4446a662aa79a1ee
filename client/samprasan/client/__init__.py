"""For whoever reads what a federation shows: ``follow``, ``snapshot``, ``resolve``; with asyncio in ``client.aio``.

::

    from samprasan.client import follow

    for change in follow("welfare-app.credentials", cursor_file="welfare-app.cursor"):
        print(change.type, change.handle, change.earned)
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
