"""Functions for the begin and the end of serving."""

import asyncio
import os
from unittest import mock

import pytest

from dewar import Dewar, has_request_context
from dewar.loop.process_loop import process_loop


def make_app(calls: list[object]) -> Dewar:
    app = Dewar(__name__)
    app.on_start(lambda: calls.append("a"))
    app.on_start(lambda: calls.append("b"))
    app.on_stop(lambda _left: calls.append("-a"))
    app.on_stop(lambda _left: calls.append("-b"))
    return app


def test_functions_run_once_in_order_and_back() -> None:
    """Start functions run in order, stop functions the other way round, each once."""
    calls: list[object] = []
    app = make_app(calls)
    app.begin_serving()
    app.begin_serving()
    app.end_serving(1.0)
    app.end_serving(1.0)
    assert calls == ["a", "b", "-b", "-a"]


def test_what_never_began_does_not_end() -> None:
    """Without a begin there is nothing to end."""
    calls: list[object] = []
    make_app(calls).end_serving(1.0)
    assert calls == []


def test_a_forked_process_begins_for_itself() -> None:
    """What the parent has begun is begun again in a child, and the child ends only its own."""
    calls: list[object] = []
    app = make_app(calls)
    app.begin_serving()
    with mock.patch("os.getpid", return_value=os.getpid() + 1):
        app.end_serving(1.0)
        assert calls == ["a", "b"]
        app.begin_serving()
    assert calls == ["a", "b", "a", "b"]


def test_all_stop_functions_run_even_if_one_fails() -> None:
    """The first error is raised, after the others have run; each gets what time is left."""
    calls: list[object] = []
    app = Dewar(__name__)
    app.on_stop(calls.append)

    @app.on_stop
    def fail(left: float) -> None:
        raise OSError("no")

    app.begin_serving()
    with pytest.raises(OSError, match="no"):
        app.end_serving(5.0)
    assert len(calls) == 1
    assert 4 < calls[0] <= 5  # type: ignore[operator]


def test_a_start_that_fails_is_raised_and_begins_again() -> None:
    """An error in a start function reaches the server, and the next begin tries again."""
    app = Dewar(__name__)
    tries = []

    @app.on_start
    def fail() -> None:
        tries.append(1)
        raise OSError("no database")

    for _ in range(2):
        with pytest.raises(OSError, match="no database"):
            app.begin_serving()
    assert len(tries) == 2


def test_coroutine_functions_share_the_loop_of_all_requests() -> None:
    """What they open there serves every request, and a task goes on until the end."""
    app = Dewar(__name__, static_folder=None)
    calls: list[object] = []
    queues: list[asyncio.Queue[tuple[str, asyncio.Future[str]]]] = []
    tasks: list[asyncio.Task[None]] = []

    async def answer_all(queue: asyncio.Queue[tuple[str, asyncio.Future[str]]]) -> None:
        while True:
            asked, future = await queue.get()
            future.set_result(f"{asked} of {len(calls)}")

    @app.on_start
    async def begin() -> None:
        queues.append(asyncio.Queue())
        tasks.append(asyncio.create_task(answer_all(queues[0])))
        await asyncio.sleep(0)

    @app.on_stop
    async def end(left: float) -> None:
        await asyncio.sleep(0)
        calls.append((left, tasks[0].done(), process_loop.is_here()))

    @app.get("/<asked>")
    async def view(asked: str) -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await queues[0].put((asked, future))
        return await future

    app.begin_serving()
    client = app.test_client()
    assert [client.get(f"/{n}").text for n in range(3)] == ["0 of 0", "1 of 0", "2 of 0"]
    app.end_serving(5.0)
    [(left, was_done, was_on_loop)] = calls  # type: ignore[misc]
    assert 4 < left <= 5
    assert not was_done
    assert was_on_loop
    assert tasks[0].cancelled()


def test_a_coroutine_begins_and_ends_outside_of_the_request() -> None:
    """Where a request is what makes the app begin, its tasks do not end with that."""
    app = Dewar(__name__, static_folder=None)
    tasks: list[asyncio.Task[bool]] = []
    seen: list[bool] = []

    @app.on_start
    async def begin() -> None:
        seen.append(has_request_context())
        tasks.append(asyncio.create_task(asyncio.Event().wait()))

    @app.get("/")
    async def view() -> str:
        await asyncio.to_thread(app.begin_serving)
        return "begun"

    assert app.test_client().get("/").text == "begun"
    assert seen == [False]
    assert not tasks[0].done()
    app.end_serving(1.0)
    assert tasks[0].cancelled()


def test_a_coroutine_that_fails_is_raised_and_leaves_no_task() -> None:
    """At the begin at once, with the tasks of the others ended; at the end after the others."""
    app = Dewar(__name__, static_folder=None)
    tasks: list[asyncio.Task[bool]] = []
    calls: list[str] = []

    @app.on_start
    async def begin() -> None:
        tasks.append(asyncio.create_task(asyncio.Event().wait()))

    @app.on_start
    async def fail() -> None:
        await asyncio.sleep(0)
        if len(tasks) == 1:
            raise OSError("no database")

    app.on_stop(lambda left: calls.append("ended"))

    @app.on_stop
    async def cancel(left: float) -> None:
        tasks[-1].cancel()
        await tasks[-1]

    with pytest.raises(OSError, match="no database"):
        app.begin_serving()
    assert tasks[0].cancelled()
    app.begin_serving()
    with pytest.raises(RuntimeError, match=r"cancel.* ended with asyncio.CancelledError"):
        app.end_serving(1.0)
    assert calls == ["ended"]
