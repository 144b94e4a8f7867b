"""`Suspended`: work that goes to and fro, and what takes it for an iterable."""

import asyncio
import threading
from collections.abc import Iterable
from contextvars import Context
from typing import Any

import pytest

from dewar.loop.eager_task import start_eagerly
from dewar.loop.from_thread import run_coroutine
from dewar.loop.process_loop import process_loop
from dewar.loop.suspended import OFF_LOOP, ON_LOOP, Suspended, begin


class Body(list[bytes]):
    """A result that tells whether it was closed."""

    is_closed = False

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


def places() -> str:
    """Tell where the caller is."""
    return "loop" if process_loop.is_here() else "thread"


async def to_and_fro(seen: list[str], result: Iterable[bytes] = (b"done",)) -> Iterable[bytes]:
    seen.append(places())
    await ON_LOOP
    seen.append(places())
    await asyncio.sleep(0)
    await ON_LOOP  # it is there already
    seen.append(places())
    await OFF_LOOP
    seen.append(places())
    await ON_LOOP
    seen.append(places())
    return result


def test_work_that_stops_nowhere_is_its_result() -> None:
    """There is nothing to suspend then."""

    async def work() -> Iterable[bytes]:
        return [b"at once"]

    assert begin(work()) == [b"at once"]


def test_what_takes_it_for_an_iterable_waits_for_it() -> None:
    """Each step is where it belongs, and the result is closed at the end."""
    seen: list[str] = []
    body = Body([b"a", b"b"])
    suspended = begin(to_and_fro(seen, body))
    assert isinstance(suspended, Suspended)
    assert suspended.resume_on is ON_LOOP
    assert list(suspended) == [b"a", b"b"]
    assert seen == ["thread", "loop", "loop", "thread", "loop"]
    suspended.close()
    assert body.is_closed


def test_it_goes_on_step_by_step() -> None:
    """On the loop by an await, off it by a call; each comes back where it has to leave."""
    seen: list[str] = []
    suspended = Suspended(to_and_fro(seen), OFF_LOOP, is_wholly_async=False)
    suspended.resume()
    assert (suspended.resume_on, seen) == (ON_LOOP, ["thread"])

    async def there() -> None:
        await suspended

    run_coroutine(there)
    assert (suspended.resume_on, len(seen)) == (OFF_LOOP, 3)
    suspended.resume()
    assert suspended.resume_on is ON_LOOP
    run_coroutine(there)
    assert (suspended.resume_on, suspended.result) == (None, (b"done",))
    assert repr(suspended).endswith("done>")


def test_an_error_ends_it_wherever_it_is_raised() -> None:
    """It comes out of the step that raised it, and nothing is left to do."""

    async def work(resume_on: Any) -> Iterable[bytes]:
        await resume_on
        raise LookupError

    off = Suspended(work(OFF_LOOP), OFF_LOOP, is_wholly_async=False)
    off.resume()
    with pytest.raises(LookupError):
        off.resume()
    assert off.resume_on is None
    on = begin(work(ON_LOOP))
    with pytest.raises(LookupError):
        list(on)
    assert isinstance(on, Suspended)
    assert on.resume_on is None


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_what_nobody_iterates_is_done_all_the_same(is_forgotten: bool) -> None:
    """By its close, or at the latest when nobody has it any more; its result is closed."""
    done: list[str] = []
    body = Body()

    async def work() -> Iterable[bytes]:
        await ON_LOOP
        await asyncio.sleep(0)
        done.append("waited")
        await OFF_LOOP
        done.append("blocked")
        return body

    suspended: Any = begin(work())
    if is_forgotten:
        del suspended
    else:
        suspended.close()
        assert suspended.resume_on is None
    assert done == ["waited", "blocked"]
    assert body.is_closed


def test_what_was_not_begun_is_left_alone() -> None:
    """It does nothing, and no warning is given."""

    async def work() -> Iterable[bytes]:
        raise AssertionError

    Suspended(work(), ON_LOOP, is_wholly_async=True)


def test_a_cancelled_await_is_told_to_the_work() -> None:
    """Which decides what becomes of it."""
    seen: list[str] = []

    async def work() -> Iterable[bytes]:
        await ON_LOOP
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
        await asyncio.sleep(0)
        return [b"all the same"]

    suspended: Any = begin(work())

    async def there() -> None:
        async def wait() -> None:
            await suspended

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        await task

    run_coroutine(there)
    assert seen == ["cancelled"]
    assert list(suspended.result) == [b"all the same"]


def test_a_task_may_be_started_with_its_first_step() -> None:
    """What waits for nothing is done at once, anything else goes on as a task does."""
    seen: list[str] = []

    async def quick() -> None:
        seen.append(f"quick in {type(asyncio.current_task()).__name__}")

    async def slow() -> None:
        seen.append("slow begins")
        await asyncio.sleep(0)
        seen.append("slow ends")

    async def fails() -> None:
        raise LookupError

    is_done = threading.Event()

    def start() -> None:
        loop = asyncio.get_running_loop()
        first = start_eagerly(loop, quick(), Context())
        second = start_eagerly(loop, slow(), Context())
        third = start_eagerly(loop, fails(), Context())
        seen.append(f"{first.done()} {second.done()} {third.done()}")
        third.exception()
        second.add_done_callback(lambda _: is_done.set())
        # The loop is as it was.
        loop.call_soon(seen.append, "called soon")

    process_loop.call_soon(start)
    assert is_done.wait(10)
    assert seen[:3] == ["quick in Task", "slow begins", "True False True"]
    assert sorted(seen[3:]) == ["called soon", "slow ends"]
