"""Work that goes to and fro between the event loop and threads."""

import asyncio
import threading
from contextvars import Context, ContextVar
from typing import Any

from dewar.loop.background import BackgroundWork
from dewar.loop.call_queue import CallQueue
from dewar.loop.process_loop import process_loop
from dewar.loop.suspended import OFF_LOOP, ON_LOOP

_seen: ContextVar[list[str]] = ContextVar("seen")


def item(steps: Any) -> BackgroundWork:
    """Return background work that nobody waits for."""
    return BackgroundWork(steps, Context(), CallQueue("hand", 2), lambda: None)


def where() -> str:
    """The kind of thread that this is."""
    return threading.current_thread().name.partition("-")[0]


def test_each_step_runs_where_it_asks_to_in_one_context() -> None:
    """What one sets the next sees, and the end is told once."""
    found: list[list[str]] = []
    ended: list[str] = []

    async def steps() -> None:
        _seen.set([where()])
        await ON_LOOP
        _seen.get().append(where())
        await asyncio.sleep(0)
        await OFF_LOOP
        _seen.get().append(where())
        await ON_LOOP
        _seen.get().append(where())
        found.append(_seen.get())

    one = item(steps)
    one.begin(lambda: ended.append("ended"))
    assert one.wait(30)
    assert found == [["hand", "dewar", "hand", "dewar"]]
    assert ended == ["ended"]


def test_it_can_be_cancelled_where_it_waits() -> None:
    """And its last steps are taken."""
    waiting = threading.Event()
    found: list[str] = []

    async def steps() -> None:
        await ON_LOOP
        try:
            waiting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await OFF_LOOP
            found.append(where())

    one = item(steps)
    one.begin(lambda: None)
    assert waiting.wait(30)
    assert not one.wait(0)
    one.cancel()
    assert one.wait(30)
    assert found == ["hand"]


def test_it_can_be_cancelled_before_it_waits() -> None:
    """It is told where it would wait, so that it cleans up there, too."""
    gate = threading.Event()
    found: list[str] = []

    async def steps() -> None:
        gate.wait(30)
        await ON_LOOP
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            found.append(where())

    one = item(steps)
    one.begin(lambda: None)
    one.cancel()
    done = threading.Event()
    process_loop.call_soon(done.set)
    assert done.wait(30)  # the loop has seen the cancellation
    gate.set()
    assert one.wait(30)
    assert found == ["dewar"]


def test_it_can_be_cancelled_between_two_waits() -> None:
    """A step on a thread goes on, and the next one on the loop is told."""
    began, gate = threading.Event(), threading.Event()
    found: list[str] = []

    async def steps() -> None:
        await ON_LOOP
        await OFF_LOOP
        began.set()
        gate.wait(30)
        await ON_LOOP
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            found.append(where())

    one = item(steps)
    one.begin(lambda: None)
    assert began.wait(30)
    one.cancel()
    done = threading.Event()
    process_loop.call_soon(done.set)
    assert done.wait(30)  # the loop has seen the cancellation
    gate.set()
    assert one.wait(30)
    assert found == ["dewar"]


def test_nothing_of_it_runs_before_its_begin() -> None:
    """So one that never begins leaves no coroutine behind."""
    one = item(lambda: 1 / 0)
    assert "not begun" in repr(one)
