"""Coroutines of jobs: they are cancelled, and their soft limit is a cancellation with its error."""

import asyncio
from concurrent.futures import CancelledError
from typing import Any

import pytest

from dewar.tasks.errors import SoftTimeLimitExceeded
from dewar.tasks.interruptible import Interruptible


def run(job: Interruptible, function: Any) -> Any:
    return asyncio.run(job.guard(function)())


async def hold() -> None:
    await asyncio.Event().wait()


def test_a_coroutine_is_cancelled_where_it_waits() -> None:
    """The job ends as one of concurrent.futures does, because a task would lose the error."""
    job = Interruptible("mail", 5.0)

    async def work() -> None:
        job.cancel()
        await hold()

    with pytest.raises(CancelledError, match="mail was cancelled"):
        run(job, work)


def test_a_coroutine_is_cancelled_once() -> None:
    """Whoever asks again does not disturb it as it cleans up."""
    job = Interruptible("mail")
    cleaned: list[bool] = []

    async def work() -> None:
        job.cancel()
        try:
            await hold()
        finally:
            job.cancel()
            for _ in range(3):
                await asyncio.sleep(0)
            cleaned.append(True)

    with pytest.raises(CancelledError):
        run(job, work)
    assert cleaned == [True]


def test_one_that_was_to_be_cancelled_before_it_began_is() -> None:
    """At its first wait."""
    job = Interruptible("mail")
    job.cancel()
    with pytest.raises(CancelledError):
        run(job, hold)


def test_a_cancellation_of_its_own_is_its_error() -> None:
    """Nobody asked for it."""
    job = Interruptible("mail")

    async def work() -> None:
        raise asyncio.CancelledError("own")

    with pytest.raises(asyncio.CancelledError):
        run(job, work)


def test_the_limit_can_be_caught_and_the_task_is_not_cancelled_then() -> None:
    """It waits and uses timeouts as before."""
    job = Interruptible("mail", 5.0)

    async def work() -> int:
        job.interrupt()
        with pytest.raises(SoftTimeLimitExceeded) as caught:
            await hold()
        assert isinstance(caught.value, asyncio.CancelledError)
        assert (caught.value.name, caught.value.seconds) == ("mail", 5.0)
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await hold()
        return task.cancelling()

    assert run(job, work) == 0


def test_what_the_coroutine_waits_for_is_cancelled_with_it() -> None:
    """A group's tasks end, and the error that leaves the group is that of the limit."""
    job = Interruptible("mail", 5.0)
    ended: list[str] = []

    async def child() -> None:
        try:
            await hold()
        finally:
            ended.append("child")

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(child())
            await asyncio.sleep(0)
            job.interrupt()

    with pytest.raises(SoftTimeLimitExceeded) as caught:
        run(job, work)
    assert type(caught.value) is SoftTimeLimitExceeded
    assert ended == ["child", "child"]


def test_a_cancellation_goes_before_the_limit() -> None:
    """Both come at once: the job is cancelled."""
    job = Interruptible("mail", 5.0)

    async def work() -> None:
        job.interrupt()
        job.cancel()
        await hold()

    with pytest.raises(CancelledError):
        run(job, work)


def test_a_function_that_returns_a_coroutine_is_one_too() -> None:
    """As a lambda does. Its limit may be over before it waits."""
    job = Interruptible("mail", 5.0)

    async def work() -> None:
        job.interrupt()
        await hold()

    with pytest.raises(SoftTimeLimitExceeded):
        run(job, lambda: work())


@pytest.mark.parametrize("turns", range(200))
def test_a_limit_at_the_end_leaves_the_next_coroutine_alone(turns: int) -> None:
    """They run in one task, one after the other, as the limit falls due somewhere in the first."""
    job, after = Interruptible("mail", 5.0), Interruptible("next", 5.0)

    async def work() -> None:
        for _ in range(turns % 5):
            await asyncio.sleep(0)

    async def following() -> str:
        for _ in range(5):
            await asyncio.sleep(0)
        return "done"

    async def main() -> str:
        loop = asyncio.get_running_loop()
        thread = loop.run_in_executor(None, job.interrupt)
        try:
            await job.guard(work)()
        except SoftTimeLimitExceeded:
            assert turns % 5
        result: str = await after.guard(following)()
        await thread
        return result

    assert asyncio.run(main()) == "done"


def test_the_result_and_the_errors_pass_through() -> None:
    """Whatever is thrown into it and comes out of it."""

    async def work() -> int:
        with pytest.raises(ZeroDivisionError):
            await asyncio.gather(fail(), asyncio.sleep(0))
        await asyncio.wait_for(asyncio.sleep(0), 30)
        return 3

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    assert run(Interruptible("mail", 5.0), work) == 3
    with pytest.raises(ZeroDivisionError):
        run(Interruptible("mail", 5.0), fail)
