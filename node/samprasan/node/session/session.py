"""What the tasks of one session share, and their patience with what fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from samprasan.client.connection import Hub
from samprasan.edge.logs import get_logger
from samprasan.edge.throttle import Allowance
from samprasan.keys.errors import SamprasanError, Unavailable
from samprasan.node.identity import Node
from samprasan.node.proof import witness
from samprasan.node.session.live import Live

P = ParamSpec("P")
T = TypeVar("T")
PATIENCE_SECONDS = 60.0  # between tries of a task that an operator, another agency or the developers have to help
_ITS_OWN = frozenset({"calls_over_limit", "log_damaged", "reconcile_busy"})  # the hub answers: everything else goes on
logger = get_logger("node")


@dataclass
class Session:
    """A node, a connection to its hub, and what was told over it.

    A ``patient`` session goes on after a fault of ours; else it is raised, since somebody waits for a command.
    ``told`` has the ids evaluated without use, by agency, that were logged already; ``free_answers`` what each agency
    may still be answered at no charge; who holds ``quiet`` keeps new batches from being sent.  What sends may outlive
    the session for a while: once it ``is_over``, nothing new begins.
    """

    node: Node
    hub: Hub
    live: Live
    patient: bool = True
    told: dict[str, tuple[int, int]] = field(default_factory=dict)
    free_answers: dict[str, Allowance] = field(default_factory=dict)
    quiet: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_over: bool = False

    async def step(self, step: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run a step in a thread."""
        return await asyncio.to_thread(step, *arguments, **named)

    @contextlib.asynccontextmanager
    async def patiently(self, task: str) -> AsyncIterator[None]:
        """Wait after a failure that is the task's own, so that it does not stop the others.

        What is raised all the same ends the session: the hub is gone, or it was caught with two histories.
        """
        try:
            yield
        except SamprasanError as problem:
            is_gone = isinstance(problem, Unavailable) and problem.code not in _ITS_OWN
            if is_gone or problem.code in witness.LIES:
                raise
            if problem.code == "no_roster":
                return
            logger.error("task waits", task=task, code=problem.code)
            await asyncio.sleep(PATIENCE_SECONDS)
        except Exception:  # a fault of ours in one task is no reason to stop the others
            if not self.patient:
                raise
            logger.error("task failed", task=task, exc_info=True)
            await asyncio.sleep(PATIENCE_SECONDS)
