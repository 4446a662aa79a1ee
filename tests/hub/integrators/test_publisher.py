"""What ends publishing, and what does not; over real servers it is tried in tests/wire."""

from typing import Any

import pytest
from samprasan.hub.integrators import approval, publisher
from samprasan.hub.integrators.jetstream import Target
from samprasan.hub.integrators.publisher import Order, Publisher
from samprasan.keys.errors import Refused
from samprasan.v1 import changes_pb2
from structlog.testing import capture_logs

from tests.federation import Federation

FAULTS = [KeyError("110-17"), ZeroDivisionError(), Refused("integrator_unknown")]


async def test_a_fault_of_ours_is_told_and_ends_nothing_and_a_refusal_does(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = list(FAULTS)

    def fail(*_: object) -> Any:
        raise left.pop(0)

    monkeypatch.setattr(approval, "current_approval", fail)
    order = Order("app", "app", changes_pb2.Filter(), "json", start_over=False)
    target = Target("127.0.0.1:1", "SAMPRASAN", "samprasan")
    made = Publisher(fed.hub, bytes(32), target, order, print)
    with capture_logs() as lines, pytest.raises(Refused) as refused:
        await made.run()
    assert (refused.value.code, left) == ("integrator_unknown", [])
    failed = [each for each in lines if each["event"] == "publishing failed"]
    assert len(failed) == len(FAULTS) - 1
    assert publisher.RETRY_SECONDS_MAX == 30
