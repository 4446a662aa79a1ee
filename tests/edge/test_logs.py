"""Log lines: where something failed, and never what a library may have put into a message."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from samprasan.edge import logs
from samprasan.keys import plain_text

SECRET = "1101700230705"  # in place of what a library may put into a message


def fail(number: int) -> None:
    raise ValueError(f"{SECRET} {number}")


def caught(step: Callable[..., None], *arguments: object) -> Exception:
    try:
        step(*arguments)
    except Exception as problem:
        return problem
    raise AssertionError("nothing was raised")


Logged = Callable[[], dict[str, Any]]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Logged]:
    """The newest line, read; none may hold what stood in a message."""
    written = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", written)
        logs.configure(json=True)

    def last() -> dict[str, Any]:
        assert SECRET not in written.getvalue()
        document: dict[str, Any] = json.loads(written.getvalue().splitlines()[-1])
        return document

    yield last
    logs.configure(json=True)


def test_an_exception_is_logged_by_kind_and_place(logged: Logged) -> None:
    try:
        fail(1)
    except ValueError:
        logs.get_logger("test").error("failed", exc_info=True)
    told = logged()
    assert told["exception"] == "ValueError"
    assert told["at"][-1].startswith("test_logs.fail:")


def test_a_group_names_every_exception_inside_and_its_place(logged: Logged) -> None:
    inner = ExceptionGroup("inner", [caught(fail, 2)])
    try:
        raise ExceptionGroup("outer", [caught(fail, 1), inner])
    except ExceptionGroup:
        logs.get_logger("test").error("failed", exc_info=True)
    told = logged()
    first, second = told["inner"]
    assert first["exception"] == "ValueError"
    assert first["at"][-1].startswith("test_logs.fail:")
    assert second["inner"][0]["at"][-1].startswith("test_logs.fail:")


def test_an_exception_that_is_handed_over_is_logged_the_same_way(logged: Logged) -> None:
    logs.get_logger("test").error("failed", exc_info=caught(fail, 1))
    assert logged()["at"][-1].startswith("test_logs.fail:")


Configure = Callable[..., Callable[[], str]]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Configures logs; what they write can be read then.  Behind the test libraries log as before."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]

    with monkeypatch.context() as patch:

        def configured(*, json: bool, debug: bool = False) -> Callable[[], str]:
            stderr = io.StringIO()
            patch.setattr(sys, "stderr", stderr)
            logs.configure(json=json, debug=debug)
            return stderr.getvalue

        yield configured
    root.setLevel(level)
    root.handlers[:] = handlers
    logs.configure(json=True)


@pytest.mark.parametrize("debug", [False, True])
def test_at_a_terminal_no_value_moves_the_cursor(configure: Configure, debug: bool) -> None:
    """Codes of a hub, senders of mail and what a server complains of stand in log lines."""
    written = configure(json=False, debug=debug)
    logs.get_logger("test").error("failed", code="\x1b]0;title\x07\x1b[2K\x1b[1A", names=["\u202e", "\x9b1A\nnext"])
    logging.getLogger("library").warning("\x1b[2K\u202e")
    shown = written()
    assert shown.count("\n") == 2
    assert plain_text.visible(shown, keep="\n") == shown
    assert "\\u001b]0;title\\u0007\\u001b[2K\\u001b[1A" in shown


@pytest.mark.parametrize("as_json", [False, True])
def test_a_librarys_exception_is_told_by_kind_and_place(configure: Configure, as_json: bool) -> None:
    """As asyncio tells of a task that nobody waited for: its text names the exception with its message."""
    written = configure(json=as_json)
    problem = caught(fail, 1)
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: %r", problem, exc_info=problem)
    assert SECRET not in written()
    assert "Task exception was never retrieved" in written()
    assert "ValueError" in written()
    assert "test_logs.fail:" in written()


def test_a_library_with_odd_levels_and_values_ends_nothing(configure: Configure) -> None:
    written = configure(json=True)
    logging.getLogger("library").log(35, "louder")
    values: tuple[str, ...] = ("one",)
    logging.getLogger("library").warning("%d of %d", *values)
    louder, odd = map(json.loads, written().splitlines())
    assert (louder["event"], louder["level"]) == ("louder", "warning")
    assert odd["event"] == "%d of %d"
