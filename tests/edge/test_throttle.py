"""Faults cost nothing at first, then more and more, and are forgotten; who calls too fast waits its turn."""

from samprasan.edge import throttle
from samprasan.edge.throttle import Pace, Patience


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


def test_so_many_go_at_once_and_the_others_in_their_turn() -> None:
    pace = Pace(at_once=3, per_second=2.0)
    assert [pace.wait_seconds("a", 10.0) for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    assert pace.wait_seconds("b", 10.0) == 0
    assert pace.wait_seconds("a", 11.0) == 0.5
    assert [pace.wait_seconds("a", 100.0) for _ in range(4)] == [0, 0, 0, 0.5]


def test_what_would_wait_too_long_takes_nobodys_turn() -> None:
    pace = Pace(at_once=1, per_second=1.0)
    waits = [pace.wait_seconds("a", 0.0) for _ in range(20)]
    assert waits == [*map(float, range(9)), *[9.0] * 11]
    assert pace.wait_seconds("a", 1.0) == throttle.WAIT_SECONDS_MAX


def test_a_pace_remembers_no_more_callers_than_it_may() -> None:
    pace = Pace(at_once=1, per_second=1.0)
    for number in range(throttle.CALLERS_MAX + 1):
        pace.wait_seconds(str(number), 0.0)
    assert pace.wait_seconds("0", 0.0) == 0
    assert pace.wait_seconds(str(throttle.CALLERS_MAX), 0.0) == 1


def test_pauses_grow_to_a_limit_and_begin_anew_once_all_went_well_for_long() -> None:
    pauses = throttle.Pauses(1.0, 60.0)
    assert [pauses.after(0.1) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [pauses.after(worked) for worked in (60.0, 60.1, 0.1)] == [60, 1, 2]
    assert throttle.Pauses(1.0, 0.0).after(0.0) == 0
