"""Tasks that a coroutine view begins, and what may not end the loop that they run on."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator

import pytest

import dewar.loop.task_scope
from asynctools import Gates, begin, gated_app, lead_on_loop, tasks_left
from dewar import request
from dewar.contexts.context import Context
from dewar.loop.suspended import Suspended
from dewar.server.connection.async_exchange import AsyncExchange
from polling import eventually
from servertools import Serve

pytestmark = pytest.mark.usefixtures("calm_loop")


def warnings_of(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    """Return what the server has logged."""
    return [
        r.getMessage() for r in caplog.records if r.name == "dewar.server" and r.levelno >= level
    ]


def test_a_task_that_still_runs_is_cancelled_at_the_requests_end(
    serve: Serve, gates: Gates, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the answer is whole, and with a warning that tells how to let it live."""
    app = gated_app(gates)

    @app.get("/forgets")
    async def forgets() -> str:
        async def child() -> None:
            try:
                await gates.wait("child")
            finally:
                gates.note("child over")

        app.config["TASK"] = asyncio.create_task(child(), name="a child")
        await asyncio.sleep(0)
        return "answered"

    client = serve(app, threads=2).client()
    assert client.get("/forgets")[2] == b"answered"
    assert "child over" in gates.seen()
    assert app.config["TASK"].cancelled()
    [warning] = warnings_of(caplog)
    assert "a child" in warning
    assert "Await it in the view" in warning
    assert client.get("/quick/x")[2] == b"x"


def test_tasks_that_have_ended_are_no_ones_business(
    serve: Serve, gates: Gates, caplog: pytest.LogCaptureFixture
) -> None:
    """What is awaited, gathered or in a group goes on as in any program."""
    app = gated_app(gates)

    @app.get("/gathers")
    async def gathers() -> list[str]:
        async def child(number: int) -> str:
            await asyncio.sleep(0)
            return f"{request.path}{number}"

        async with asyncio.TaskGroup() as group:
            task = group.create_task(child(3))
        return [*await asyncio.gather(child(1), child(2)), task.result()]

    body = serve(app, threads=2).client().get("/gathers")[2]
    assert b"".join(body.split()) == b'["/gathers1","/gathers2","/gathers3"]'
    assert warnings_of(caplog) == []


def test_the_error_of_a_child_is_its_awaiters(
    serve: Serve, gates: Gates, caplog: pytest.LogCaptureFixture
) -> None:
    """It is handled as if the view had raised it."""
    app = gated_app(gates, PROPAGATE_EXCEPTIONS=False)
    app.logger.disabled = True

    async def child() -> None:
        raise LookupError("the child's")

    @app.get("/awaits")
    async def awaits() -> str:
        await asyncio.create_task(child())
        return ""

    @app.errorhandler(LookupError)
    async def handle(error: LookupError) -> str:
        return f"handled {error}"

    client = serve(app, threads=2).client()
    assert b"the child's" in client.get("/awaits")[2]
    assert warnings_of(caplog) == []


@pytest.mark.parametrize("leads", [False, True])
@pytest.mark.parametrize("exit_", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["first", "later", "child"])
@pytest.mark.usefixtures("quiet")
def test_an_exit_ends_neither_the_loop_nor_a_thread(
    serve: Serve, gates: Gates, leads: bool, exit_: type[BaseException], place: str
) -> None:
    """In a view's first step, in a later one, or in a task: it costs its own request."""
    app = gated_app(gates)

    @app.get("/exits")
    async def exits() -> str:
        if place == "first":
            raise exit_
        await asyncio.sleep(0)
        if place == "child":
            await asyncio.create_task(leave())
        raise exit_

    async def leave() -> None:
        raise exit_

    served = serve(app, threads=2)
    waiting = begin(served, gates, "wait", "w")
    client = lead_on_loop(served) if leads else served.client()
    for _ in range(3):
        assert client.get("/exits")[0].startswith(b"HTTP/1.1 500 ")
        assert client.get("/quick/x")[2] == b"x"
        assert client.get("/sync/y")[2] == b"y"
    gates.open("w")
    assert waiting.answer()[2] == b"w"


def test_a_child_that_will_not_end_is_left_behind(
    serve: Serve, gates: Gates, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an error in the log; the request gets its answer."""
    monkeypatch.setattr(dewar.loop.task_scope, "_LEAVE", 0.01)
    app = gated_app(gates)

    @app.get("/stubborn")
    async def view() -> str:
        async def child() -> None:
            while True:
                try:
                    await gates.wait("never mind")
                except asyncio.CancelledError:
                    continue
                else:
                    return

        app.config["TASK"] = asyncio.create_task(child(), name="the stubborn one")
        await asyncio.sleep(0)
        return "answered"

    client = serve(app, threads=2).client()
    assert client.get("/stubborn")[2] == b"answered"
    [error] = warnings_of(caplog, logging.ERROR)
    assert "the stubborn one" in error
    assert "does not end" in error
    gates.open("never mind")


def test_tasks_of_a_stream_end_with_it(serve: Serve, gates: Gates) -> None:
    """What a generator has begun does not outlive it; its view's have ended before."""
    app = gated_app(gates)

    @app.get("/begins")
    async def begins() -> AsyncIterator[str]:
        async def pieces() -> AsyncIterator[str]:
            app.config["TASK"] = asyncio.create_task(gates.wait("child"))
            await asyncio.sleep(0)
            yield "piece"

        return pieces()

    logging.getLogger("dewar.server").disabled = True
    try:
        assert serve(app, threads=2).client().get("/begins")[2] == b"piece"
    finally:
        logging.getLogger("dewar.server").disabled = False
    assert app.config["TASK"].cancelled()


def test_a_request_leaves_no_garbage(serve: Serve, gates: Gates) -> None:
    """What it was made of goes at once, and does not wait for the collector."""

    def alive() -> int:
        kinds = (Context, AsyncExchange, Suspended, asyncio.Task)
        return sum(isinstance(thing, kinds) for thing in gc.get_objects())

    app = gated_app(gates)

    @app.get("/awaits")
    async def awaits() -> str:
        await asyncio.sleep(0)
        return "x"

    served = serve(app, threads=2)
    client = served.client()
    client.get("/awaits")
    eventually(lambda: not tasks_left())
    gc.collect()
    gc.disable()
    try:
        before = alive()
        for _ in range(20):
            assert client.get("/awaits")[2] == b"x"
        eventually(lambda: alive() <= before, "as little as before")
    finally:
        gc.enable()
