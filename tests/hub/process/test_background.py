"""What a hub does by itself goes on, whatever a round of it meets."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from samprasan.hub.process import background
from samprasan.keys.errors import Unavailable
from structlog.testing import capture_logs


async def rounds(results: Iterable[bool | Exception]) -> list[dict[str, Any]]:
    """Let a job meet these results, one a round; what it logged."""
    coming: Iterator[bool | Exception] = iter(results)
    done = asyncio.Event()

    async def work() -> bool:
        result = next(coming, None)
        if result is None:
            done.set()
            await asyncio.Event().wait()
        if isinstance(result, Exception):
            raise result
        return bool(result)

    with capture_logs() as logged:
        job = asyncio.create_task(background.repeat("a job", 0, work))
        async with asyncio.timeout(10):
            await done.wait()
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
    return [dict(each) for each in logged]


@pytest.mark.parametrize("problem", [Unavailable("database", problem="x"), KeyError("x")])
async def test_a_job_goes_on_after_whatever_a_round_raises(problem: Exception) -> None:
    logged = await rounds([True, problem, problem, problem, False, problem])
    assert [each["event"] for each in logged] == ["job failed", "job goes on", "job failed"]


async def test_another_failure_of_the_same_job_is_told_too() -> None:
    logged = await rounds([Unavailable("database", problem="x"), KeyError("x"), KeyError("y")])
    assert [each.get("code", "a fault") for each in logged] == ["database", "a fault"]


async def test_a_fault_of_ours_is_logged_with_its_place_and_an_error_with_its_code() -> None:
    (fault,) = await rounds([KeyError("x")])
    (known,) = await rounds([Unavailable("database", problem="x")])
    assert fault["exc_info"] is True
    assert known["code"] == "database"


async def test_a_job_that_is_woken_does_not_wait() -> None:
    wake = asyncio.Event()
    count = 0

    async def work() -> bool:
        nonlocal count
        count += 1
        wake.clear()
        return False

    job = asyncio.create_task(background.repeat("a job", 3600, work, wake))
    async with asyncio.timeout(10):
        while count < 3:
            await asyncio.sleep(0)
            wake.set()
    job.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await job
    assert count >= 3  # within seconds, and not once an hour
