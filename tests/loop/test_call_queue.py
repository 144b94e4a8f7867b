"""A few threads for what the event loop must not do."""

import subprocess
import sys
import threading
from contextvars import ContextVar
from queue import SimpleQueue

import pytest

from dewar.loop.call_queue import CallQueue

_seen: ContextVar[str] = ContextVar("seen", default="nothing")


def test_no_more_threads_are_started_than_are_needed() -> None:
    """One that is idle takes the next; else another is started, up to the most."""
    calls = CallQueue("few", 2)
    gate = threading.Barrier(3, timeout=30)
    names: SimpleQueue[str] = SimpleQueue()

    def work() -> None:
        gate.wait()
        names.put(threading.current_thread().name)

    for _ in range(4):
        calls.submit(work)
    gate.wait()
    gate.wait()
    assert {names.get(timeout=30) for _ in range(4)} == {"few-1", "few-2"}
    assert "2 of 2 threads" in repr(calls)


def test_they_begin_in_an_empty_context() -> None:
    """Nothing of whoever gave them something first."""
    _seen.set("mine")
    answers: SimpleQueue[str] = SimpleQueue()
    CallQueue("empty", 1).submit(lambda: answers.put(_seen.get()))
    assert answers.get(timeout=30) == "nothing"


@pytest.mark.parametrize("most", [1, 3])
def test_all_that_is_given_at_once_is_done(most: int) -> None:
    """From several threads; and they are daemons, which keep no process from ending."""
    calls = CallQueue("all", most)
    done: SimpleQueue[tuple[int, bool]] = SimpleQueue()

    def give(number: int) -> None:
        for count in range(50):
            calls.submit(
                lambda: done.put((number * 50 + count, threading.current_thread().daemon))  # noqa: B023
            )

    givers = [threading.Thread(target=give, args=(number,)) for number in range(4)]
    for giver in givers:
        giver.start()
    for giver in givers:
        giver.join()
    assert all(done.get(timeout=30)[1] for _ in range(200))


def test_where_no_thread_can_be_started_the_caller_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the interpreter's exit; where there is a thread already, that one does."""
    calls = CallQueue("last", 2)
    done: SimpleQueue[str] = SimpleQueue()
    gate = threading.Event()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("cannot create new thread at interpreter shutdown")

    def work() -> None:
        done.put(threading.current_thread().name)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        calls.submit(work)
        assert done.get(timeout=30) == threading.current_thread().name
    calls.submit(gate.wait)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        calls.submit(work)
        gate.set()
        assert done.get(timeout=30) == "last-1"


PROGRAM = """
import asyncio, atexit, os
from dewar import Dewar
from dewar.loop.process_loop import process_loop
app = Dewar("last", static_folder=None)
ending = asyncio.Event()

@app.get("/")
def view():
    async def later():
        await ending.wait()
        for _ in range(10_000):
            await asyncio.sleep(0)  # more turns than it takes to cancel this
        os.write(1, b"later\\n")
    app.after_response(later)
    app.after_response(os.write, 1, b"sync\\n")
    return ""

environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http",
           "SERVER_NAME": "x", "SERVER_PORT": "80"}
app(environ, lambda *_: print).close()
atexit.register(process_loop.call_soon, ending.set)  # called before what the loop registered
"""


def test_a_program_that_ends_waits_for_what_comes_after_its_responses() -> None:
    """On any server, and nothing is said on the way."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert sorted(done.stdout.split()) == ["later", "sync"]
    assert done.stderr == ""
