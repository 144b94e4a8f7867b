"""`ProcessLoop`: one loop on a thread of its own, which nothing ends but its closing."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextvars import Context, ContextVar, copy_context
from typing import Any

import pytest

from dewar.loop.process_loop import LoopStateError, ProcessLoop

_name: ContextVar[str] = ContextVar("name", default="nobody")


@pytest.fixture
def loop() -> Iterator[ProcessLoop]:
    """A loop beside the process's, as another process has one."""
    loop = ProcessLoop()
    yield loop
    loop.close()


def called_on(loop: ProcessLoop, function: Any) -> Any:
    """Return what a function returns on the loop's thread."""
    returned: list[Any] = []
    is_done = threading.Event()
    loop.call_soon(lambda: returned.append(function()))
    loop.call_soon(is_done.set)
    assert is_done.wait(10)
    return returned[0]


def test_it_begins_when_it_is_needed_and_is_the_same_for_everybody(loop: ProcessLoop) -> None:
    """However many threads ask for it first."""
    assert repr(loop) == f"<ProcessLoop not begun in process {os.getpid()}>"
    start = threading.Barrier(8)
    found: list[Any] = []

    def ask() -> None:
        start.wait()
        found.append(loop.get())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert called_on(loop, loop.is_here)
    assert not loop.is_here()


def test_a_coroutine_runs_in_the_context_it_is_given(loop: ProcessLoop) -> None:
    """And what it returns or raises comes back to the thread that waits."""
    _name.set("ours")
    context = copy_context()

    async def work() -> str:
        await asyncio.sleep(0)
        before = _name.get()
        _name.set("theirs")
        return before

    assert loop.run(work, context) == "ours"
    assert context[_name] == "theirs"
    assert _name.get() == "ours"

    async def fail() -> None:
        raise LookupError("on the loop")

    with pytest.raises(LookupError, match="on the loop"):
        loop.run(fail, Context())


def test_what_is_called_soon_is_called_in_order_and_in_an_empty_context(loop: ProcessLoop) -> None:
    """From many threads at once, each call once."""
    _name.set("ours")
    assert called_on(loop, _name.get) == "nobody"
    calls: list[tuple[int, int]] = []
    start = threading.Barrier(8)

    def call(number: int) -> None:
        start.wait()
        for turn in range(500):
            loop.call_soon(calls.append, (number, turn))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    called_on(loop, lambda: None)
    assert len(calls) == 4000
    for number in range(8):
        assert [turn for n, turn in calls if n == number] == list(range(500))


def test_it_does_not_wait_for_itself(loop: ProcessLoop) -> None:
    """That would be for ever; the error says what to write."""

    async def work() -> None:
        raise AssertionError("it was begun")

    def wait_here() -> str:
        with pytest.raises(LoopStateError, match="Write: await work"):
            loop.run(work, Context())
        return "told"

    assert called_on(loop, wait_here) == "told"


@pytest.mark.parametrize("exit_", [SystemExit, KeyboardInterrupt])
def test_an_exit_of_a_task_does_not_end_it(
    loop: ProcessLoop, exit_: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; what waited beside it goes on."""
    is_open = asyncio.Event()
    waited: list[str] = []

    async def wait() -> None:
        await is_open.wait()
        waited.append("through")

    async def leave() -> None:
        raise exit_

    async def begin() -> Any:
        beside = asyncio.create_task(wait())
        task = asyncio.create_task(leave())
        await asyncio.sleep(0)
        return beside, task

    beside, task = loop.run(begin, Context())
    called_on(loop, is_open.set)
    called_on(loop, lambda: None)
    assert waited == ["through"]
    assert isinstance(task.exception(), exit_)
    assert beside.done()
    assert [record.getMessage() for record in caplog.records] == [
        "A task asked the event loop to end"
    ]


def test_an_error_in_what_is_called_soon_costs_nobody_else(
    loop: ProcessLoop, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged."""
    loop.call_soon(lambda: 1 / 0)
    assert called_on(loop, lambda: "called") == "called"
    assert "division by zero" in caplog.text


def test_closing_cancels_what_runs_and_another_may_begin(loop: ProcessLoop) -> None:
    """What is cancelled gets to clean up, asynchronous generators too."""
    ended: list[str] = []

    async def generate() -> Any:
        try:
            yield 1
        finally:
            ended.append("generator")

    async def work() -> None:
        pieces = generate()
        await anext(pieces)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("task")
            del pieces

    async def begin() -> Any:
        return asyncio.create_task(work())

    task = loop.run(begin, Context())
    called_on(loop, lambda: None)
    first = loop.get()
    loop.close()
    assert task.cancelled()
    assert sorted(ended) == ["generator", "task"]
    assert first.is_closed()
    loop.close()
    assert loop.get() is not first
    assert called_on(loop, lambda: "again") == "again"


def test_what_does_not_end_is_told_of(loop: ProcessLoop, caplog: pytest.LogCaptureFixture) -> None:
    """The end of the process does not wait for it."""
    is_free: list[asyncio.Event] = []

    async def stubborn() -> None:
        is_free.append(asyncio.Event())
        try:
            await is_free[0].wait()
        except asyncio.CancelledError:
            await is_free[0].wait()

    async def begin() -> Any:
        return asyncio.create_task(stubborn())

    task = loop.run(begin, Context())
    called_on(loop, lambda: None)
    loop.close(0.05)
    assert "did not end when it was cancelled" in caplog.text
    task._log_destroy_pending = False


def run_script(script: str) -> tuple[int, str, str]:
    """Run a program; return its status and what it printed and complained of."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it takes a fork")
class User:
    """Takes note of the end."""

    def __init__(self, told: list[str], name: str) -> None:
        self._told, self._name = told, name

    def before_close(self) -> None:
        self._told.append(self._name)


def test_who_uses_the_loop_is_told_before_it_closes_and_is_not_kept(loop: ProcessLoop) -> None:
    """A process that makes and drops a hundred apps keeps nothing of them."""
    told: list[str] = []
    kept, gone = User(told, "kept"), [User(told, "gone") for _ in range(100)]
    for user in (kept, *gone):
        loop.add_user(user)
    references = [weakref.ref(user) for user in gone]
    gone.clear()
    del user
    gc.collect()
    assert [reference for reference in references if reference() is not None] == []
    assert list(loop._users) == [kept]
    loop.close()
    assert told == ["kept"]


def test_a_forked_process_begins_with_a_loop_of_its_own() -> None:
    """Its parent's thread is not in it, and the parent's loop goes on."""
    script = """
import os, warnings
from contextvars import Context
from dewar.loop.process_loop import process_loop

warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads

async def name():
    return os.getpid()

parent = process_loop.get()
pid = os.fork()
print(process_loop.run(name, Context()) == os.getpid(), process_loop.get() is parent, flush=True)
if pid:
    os.waitpid(pid, 0)
    print(process_loop.run(name, Context()) == os.getpid(), flush=True)
"""
    status, said, complaints = run_script(script)
    assert (status, complaints) == (0, "")
    assert sorted(said.splitlines()) == ["True", "True False", "True True"]


def test_it_ends_with_the_interpreter() -> None:
    """What still runs then is cancelled and cleans up."""
    script = """
import asyncio, threading
from contextvars import Context
from dewar.loop.process_loop import process_loop

begun = threading.Event()

async def work():
    try:
        begun.set()
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)

async def begin():
    globals()["task"] = asyncio.create_task(work())

process_loop.run(begin, Context())
begun.wait()
"""
    assert run_script(script) == (0, "cleaned up\n", "")
