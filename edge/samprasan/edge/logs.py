"""Logs: one canonical line an event, JSON in production, on stderr.

Events carry codes, counts, agencies and digests.  No id, no name, no free text of a record ever goes in; exceptions are
logged by type and place, without their message, because a library may have put a value there.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog
from samprasan.keys import plain_text

FRAMES_MAX = 8
INNER_MAX = 8  # of a group: a session has seven tasks
DEBUG_VARIABLE = "SAMPRASAN_LOG"  # =debug: what the libraries say, too


def configure(*, json: bool, debug: bool = False) -> None:
    """Send every log line of this process to stderr, warnings of libraries too; with ``debug`` all that they say."""
    logging.basicConfig(handlers=[_Libraries(debug)], level=logging.DEBUG if debug else logging.WARNING, force=True)
    for_people = [_visible, structlog.dev.ConsoleRenderer(colors=False)]  # JSON is ASCII: it escapes by itself
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_messages,
            *([structlog.processors.JSONRenderer()] if json else for_people),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> Any:
    """The logger of one module."""
    return structlog.get_logger(module=name)


def _without_messages(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if told := event.pop("exc_info", None):
        problem = told if isinstance(told, BaseException) else sys.exc_info()[1]
        event.update(_described(problem) if problem else {"exception": "none"})
    return event


class _Libraries(logging.Handler):
    """What libraries say, as lines like ours: no exception's message, and of several lines only the first."""

    def __init__(self, says_all: bool) -> None:
        super().__init__()
        self._says_all = says_all

    def emit(self, record: logging.LogRecord) -> None:
        try:
            told = record.getMessage()
        except (KeyError, TypeError, ValueError):  # the library's values do not fit its own text
            told = str(record.msg)
        problem = {"exc_info": record.exc_info[1]} if record.exc_info and record.exc_info[1] else {}
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)  # a library may have its own
        get_logger(record.name).log(level, told if self._says_all else told.partition("\n")[0], **problem)


def _visible(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Whoever wrote a value (a code of the hub's, a server's complaint), nothing in it moves the cursor."""
    return {
        key: each if isinstance(each, int | float) else plain_text.visible(str(each)) for key, each in event.items()
    }


def _described(problem: BaseException) -> dict[str, Any]:
    """Kind and place of an exception, and of every one inside a group."""
    frames = traceback.extract_tb(problem.__traceback__)[-FRAMES_MAX:]
    found: dict[str, Any] = {
        "exception": type(problem).__name__,
        "at": [f"{Path(frame.filename).stem}.{frame.name}:{frame.lineno}" for frame in frames],
    }
    if isinstance(problem, BaseExceptionGroup):
        found["inner"] = [_described(each) for each in problem.exceptions[:INNER_MAX]]
    return found
