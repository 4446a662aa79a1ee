"""What ends publishing, and what does not; over real servers it is tried in tests/wire."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from samprasan.hub.integrators import jetstream, publisher
from samprasan.hub.integrators.jetstream import Target
from samprasan.hub.integrators.publisher import Order, Publisher
from samprasan.keys.errors import Refused
from samprasan.v1 import changes_pb2
from structlog.testing import capture_logs

from tests import reading
from tests.federation import Federation

ORDER = Order("app", "app", changes_pb2.Filter(), "json", start_over=False)


class Stream:
    """One that is read with these faults, one after the other."""

    def __init__(self, faults: list[Exception]) -> None:
        self.faults = faults

    async def last_cursor(self) -> bytes:
        raise self.faults.pop(0)


async def test_a_fault_of_ours_is_told_and_ends_nothing_and_a_refusal_does(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading.approve(fed, "app")
    faults: list[Exception] = [KeyError("110-17"), ZeroDivisionError(), Refused("stream_foreign", stream="S")]

    @contextlib.asynccontextmanager
    async def open_stream(_target: Target) -> AsyncIterator[Any]:
        yield Stream(faults)

    monkeypatch.setattr(jetstream, "open_stream", open_stream)
    monkeypatch.setattr(publisher, "FAULT_SECONDS_MIN", 0.01)
    made = Publisher(fed.hub, bytes(32), Target("nats://127.0.0.1:1", "S", "s"), ORDER, print)
    with capture_logs() as lines, pytest.raises(Refused) as refused:
        await made.run()
    assert (refused.value.code, faults) == ("stream_foreign", [])
    assert [each["event"] for each in lines] == ["publishing failed"] * 2
