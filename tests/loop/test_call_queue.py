"""Threads that call functions in order."""

import logging
import subprocess
import sys
import threading
from contextvars import ContextVar
from queue import SimpleQueue

import pytest

from dewar.loop.call_queue import CallQueue
from dewar.support.background_thread import BackgroundThread

_seen: ContextVar[str] = ContextVar("seen", default="nothing")


def test_no_more_threads_are_started_than_are_needed() -> None:
    """An idle thread takes the next call. Otherwise another is started, up to the limit."""
    calls = CallQueue("few", 2)
    gate = threading.Barrier(3, timeout=30)
    names: SimpleQueue[str] = SimpleQueue()

    def work() -> None:
        gate.wait()
        names.put(threading.current_thread().name)

    for _ in range(4):
        calls.call_soon(work)
    gate.wait()
    gate.wait()
    assert {names.get(timeout=30) for _ in range(4)} == {"few-1", "few-2"}
    assert "2 of 2 threads" in repr(calls)


def test_they_begin_in_an_empty_context() -> None:
    """They see no context variables of the caller."""
    _seen.set("mine")
    answers: SimpleQueue[str] = SimpleQueue()
    CallQueue("empty").call_soon(lambda: answers.put(_seen.get()))
    assert answers.get(timeout=30) == "nothing"


@pytest.mark.parametrize("most", [1, 3])
def test_all_that_is_given_at_once_is_done(most: int) -> None:
    """Also from several threads. No exit waits for the queue's threads."""
    calls = CallQueue("all", most)
    done: SimpleQueue[tuple[int, bool]] = SimpleQueue()

    def is_background() -> bool:
        return isinstance(threading.current_thread(), BackgroundThread)

    def give(number: int) -> None:
        for count in range(50):
            calls.call_soon(lambda: done.put((number * 50 + count, is_background())))  # noqa: B023

    givers = [threading.Thread(target=give, args=(number,)) for number in range(4)]
    for giver in givers:
        giver.start()
    for giver in givers:
        giver.join()
    assert all(done.get(timeout=30)[1] for _ in range(200))


def test_if_no_thread_can_be_started_the_caller_makes_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As at the interpreter's exit. If there is a thread already, that makes the call."""
    calls = CallQueue("last", 2)
    done: SimpleQueue[str] = SimpleQueue()
    gate = threading.Event()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("cannot create new thread at interpreter shutdown")

    def work() -> None:
        done.put(threading.current_thread().name)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        calls.call_soon(work)
        assert done.get(timeout=30) == threading.current_thread().name
    calls.call_soon(gate.wait)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        calls.call_soon(work)
        gate.set()
        assert done.get(timeout=30) == "last-1"


def test_functions_are_called_in_order_on_one_thread() -> None:
    """Not on the caller's thread. Closing waits for the calls that are left."""
    queue = CallQueue("one")
    calls: list[tuple[int, str]] = []
    for number in range(20):
        queue.call_soon(lambda n: calls.append((n, threading.current_thread().name)), number)
    queue.close(10.0)
    assert [number for number, _ in calls] == list(range(20))
    assert {name for _, name in calls} == {"one"}


def test_one_that_fails_is_logged_and_the_next_is_called(caplog: pytest.LogCaptureFixture) -> None:
    """Also after an exception that would end the thread."""
    queue = CallQueue("fails")
    called = threading.Event()

    def leave(code: int) -> None:
        raise SystemExit(code)

    with caplog.at_level(logging.ERROR, logger="dewar.loop"):
        queue.call_soon(lambda number: 1 / number, 0)
        queue.call_soon(leave, 7)
        queue.call_soon(called.set)
        assert called.wait(10)
        queue.close(10.0)
    assert "ZeroDivisionError" in caplog.text
    assert "leave" in caplog.text
    assert "(7,)" in caplog.text


def test_it_begins_again_after_it_was_closed() -> None:
    """A later call starts a new thread. Closing twice does no harm."""
    queue = CallQueue("again")
    queue.close(1.0)
    called = threading.Event()
    queue.call_soon(called.set)
    assert called.wait(10)
    queue.close()
    queue.close()
    assert "again" in repr(queue)


def test_a_thread_of_the_queue_may_close_it() -> None:
    """It does not wait for itself, and the calls that are left are made."""
    queue = CallQueue("self")
    done: SimpleQueue[str] = SimpleQueue()
    gate = threading.Event()

    def end() -> None:
        gate.wait(10)
        queue.close()
        done.put("closed")

    queue.call_soon(end)
    queue.call_soon(done.put, "left")
    gate.set()
    assert [done.get(timeout=10), done.get(timeout=10)] == ["closed", "left"]


def test_closing_waits_no_longer_than_it_may() -> None:
    """A function that hangs does not keep the process from ending."""
    queue = CallQueue("hangs", 2)
    gate, begun = threading.Event(), threading.Event()
    queue.call_soon(lambda: (begun.set(), gate.wait(30)))
    assert begun.wait(10)
    queue.close(0.0)
    gate.set()


@pytest.mark.parametrize("max_threads", [1, 3])
def test_closing_while_others_give_loses_no_call(max_threads: int) -> None:
    """Each call is made once, by a thread from before or after."""
    queue = CallQueue("race", max_threads)
    done: SimpleQueue[int] = SimpleQueue()
    gate = threading.Barrier(4)

    def give(first: int) -> None:
        gate.wait(10)
        for number in range(first, first + 50):
            queue.call_soon(done.put, number)

    def close() -> None:
        gate.wait(10)
        for _ in range(20):
            queue.close()

    threads = [threading.Thread(target=give, args=(first,)) for first in (0, 50, 100)]
    threads.append(threading.Thread(target=close))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.close()
    assert sorted(done.get(timeout=10) for _ in range(150)) == list(range(150))
    assert done.empty()


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
    """On any server, without any warning."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert sorted(done.stdout.split()) == ["later", "sync"]
    assert done.stderr == ""
