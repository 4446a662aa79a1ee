"""Log lines: where something failed, and never what a library may have put into a message."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from samprasan.edge import logs

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
