"""A session's tasks: what one of them cannot do stops the others only if the hub is gone or lies."""

import contextlib
from typing import Any

import pytest
from samprasan.keys.errors import Refused, SamprasanError, Unavailable, Unproven
from samprasan.node.process import live, session


@pytest.mark.parametrize(
    ("problem", "ends"),
    [
        (Unavailable("hub_unreachable", status="gone"), True),
        (Unproven("log_forked"), True),
        (Unproven("log_went_back", size=1, seen=2), True),
        (Unavailable("log_damaged", level=0, number=4), False),
        (Unavailable("reconcile_busy"), False),
        (Unproven("sketch", cells=5), False),
        (Refused("no_roster"), False),
    ],
)
async def test_only_a_hub_that_is_gone_or_lies_ends_a_session(
    problem: SamprasanError, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "HELLO_SECONDS", 0)
    nobody: Any = None
    task = session.Session(nobody, nobody, live.Live())
    raised = pytest.raises(type(problem), check=lambda found: found is problem) if ends else contextlib.nullcontext()
    with raised:
        async with task._patiently("a task"):
            raise problem
