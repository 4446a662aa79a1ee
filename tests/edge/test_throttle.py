"""Faults cost nothing at first, then more and more, and are forgotten."""

from samprasan.edge import throttle
from samprasan.edge.throttle import Patience


def test_the_wait_doubles_after_a_few_faults_and_has_an_end() -> None:
    patient = Patience()
    waits = []
    for number in range(40):
        waits.append(patient.wait_seconds("a", number / 10))
        patient.fault("a", number / 10)
    assert waits[: throttle.FREE_FAULTS + 1] == [0.0] * (throttle.FREE_FAULTS + 1)
    assert waits[throttle.FREE_FAULTS + 1 :][:3] == [0.02, 0.04, 0.08]
    assert waits[-1] == throttle.WAIT_SECONDS_MAX


def test_each_caller_has_its_own_count_and_a_minute_forgets() -> None:
    patient = Patience()
    for _ in range(20):
        patient.fault("a", 5.0)
    assert patient.wait_seconds("a", 6.0) > 0
    assert patient.wait_seconds("b", 6.0) == 0
    assert patient.wait_seconds("a", 6.0 + throttle.FORGOTTEN_SECONDS) == 0


def test_it_remembers_no_more_callers_than_it_may() -> None:
    patient = Patience()
    for caller in ("quiet longest", "quiet"):
        for _ in range(20):
            patient.fault(caller, 0.0)
    for number in range(throttle.CALLERS_MAX - 1):
        patient.fault(str(number), 0.0)
    assert patient.wait_seconds("quiet longest", 1.0) == 0
    assert patient.wait_seconds("quiet", 1.0) > 0
