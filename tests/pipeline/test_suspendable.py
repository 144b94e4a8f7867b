"""Requests with coroutine functions, however the server asks for their answers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from dewar import (
    Dewar,
    after_this_request,
    copy_current_request_context,
    current_app,
    g,
    request,
    session,
    stream_with_context,
)
from dewar.contexts.current import contexts, current_request
from dewar.loop.process_loop import process_loop
from dewar.loop.task_scope import current_scope
from suspendedtools import Asker, Outcome, make_environ

Ask = Callable[..., Outcome]

_seen: ContextVar[str] = ContextVar("seen", default="nothing")


class FullLane(Dewar):
    """Overriding any stage sends every request through the full lane."""

    def make_response(self, rv: Any) -> Any:
        """Do as the parent does."""
        return super().make_response(rv)


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    """Return the one thread off the loop."""
    with ThreadPoolExecutor(1, "off-the-loop") as executor:
        yield executor


@pytest.fixture(params=["by_suspending", "on_loop", "by_iterating", "by_calling", "full lane"])
def way(request: pytest.FixtureRequest) -> str:
    """Return a way in which a server asks."""
    return str(request.param)


@pytest.fixture
def app(way: str) -> Dewar:
    """Return an app that is asked in that way."""
    app = (FullLane if way == "full lane" else Dewar)("waiting", static_folder=None)
    app.secret_key = "key"
    app.logger.disabled = True
    return app


@pytest.fixture
def ask(app: Dewar, way: str, threads: ThreadPoolExecutor) -> Ask:
    """Ask for a path; nothing of the request stays behind in the variables it had."""

    def ask_for(path: str, **more: Any) -> Outcome:
        asker = Asker(app, make_environ("GET", path, **more), threads)
        outcome: Outcome | None
        if way == "full lane":
            outcome = asker.by_calling()
        else:
            outcome = getattr(asker, way)() or asker.by_suspending()
        assert asker.context.run(lambda: contexts.state) is None
        if way in ("by_calling", "full lane"):
            assert asker.context.run(current_scope.get) is None
        return outcome

    return ask_for


def test_every_function_is_where_it_belongs_and_sees_what_the_others_kept(
    app: Dewar, ask: Ask
) -> None:
    """Coroutine functions on the loop, others off it; one request, session, g and variables."""
    places: list[tuple[str, bool]] = []

    def note(name: str) -> None:
        g.setdefault("names", []).append(name)
        session["names"] = [*session.get("names", ()), name]
        _seen.set(f"{_seen.get()} {name}")
        assert g.names == session["names"] == _seen.get().split()[1:], name
        places.append((name, process_loop.is_here()))

    @app.before_request
    def first() -> None:
        note("first")

    @app.before_request
    async def second() -> None:
        await asyncio.sleep(0)
        note("second")

    @app.get("/")
    async def view() -> str:
        note("view")
        return request.path

    @app.after_request
    def after(response: Any) -> Any:
        note("after")
        return response

    @app.teardown_request
    async def end(error: BaseException | None) -> None:
        note("end")

    @app.teardown_appcontext
    def end_all(error: BaseException | None) -> None:
        note("end_all")

    expected = [
        ("first", False), ("second", True), ("view", True), ("after", False), ("end", True),
        ("end_all", False),
    ]  # fmt: skip
    for _ in range(2):
        assert ask("/").body == b"/"
        assert places == expected
        places.clear()


def test_other_contexts_come_and_go_in_a_coroutine(app: Dewar, ask: Ask) -> None:
    """An app context of another app, and a request of one's own with the test client."""
    other = Dewar("other", static_folder=None)

    @app.get("/nested")
    async def nested() -> list[str]:
        with other.app_context():
            await asyncio.sleep(0)
            name = current_app.name
        return [name, current_app.name, request.path]

    @app.get("/client")
    async def client() -> list[str]:
        return [*(app.test_client().get("/nested").json or ()), request.path]

    @app.get("/stream")
    async def stream() -> Any:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                await asyncio.sleep(0)
                yield f"{number} {request.path};"

        return stream_with_context(pieces())

    @app.get("/streams")
    async def streams() -> str:
        return f"{app.test_client().get('/stream').text} {request.path}"

    assert ask("/streams").body == b"0 /stream;1 /stream;2 /stream; /streams"
    assert ask("/nested").body == b'["other","waiting","/nested"]\n'
    assert ask("/client").body == b'["other","waiting","/nested","/client"]\n'


@pytest.mark.parametrize("has_async_teardown", [False, True])
@pytest.mark.parametrize("is_its_own", [False, True])
def test_a_context_that_is_left_is_taken_off_and_told_of(
    app: Dewar, ask: Ask, has_async_teardown: bool, is_its_own: bool
) -> None:
    """Also where it is the request's own; the teardown functions run once, and before."""
    ended: list[str] = []
    other = Dewar("other", static_folder=None)

    async def end_async(error: BaseException | None) -> None:
        ended.append(current_app.name)

    def end(error: BaseException | None) -> None:
        ended.append(current_app.name)

    app.teardown_request(end_async if has_async_teardown else end)

    @app.get("/")
    async def view() -> str:
        pushed: Any = current_request() if is_its_own else other.app_context()
        pushed.push()
        return "left"

    error = ask("/").error
    assert error is not None
    assert error.startswith("ContextOrderError: The view of <Context GET '/' of waiting> pushed")
    assert ended == ["waiting"]


def test_a_coroutine_can_be_called_from_synchronous_code_on_the_loop(app: Dewar, ask: Ask) -> None:
    """`ensure_sync` and `async_to_sync` see the request, and what is set in them stays set."""

    async def inner(name: str) -> list[str]:
        await asyncio.sleep(0)
        _seen.set(name)
        return [request.path, name]

    @app.get("/")
    async def view() -> list[Any]:
        first = app.ensure_sync(inner)("a")
        second = app.async_to_sync(inner)("b")
        return [first, second, _seen.get()]

    assert ask("/").body == b'[["/","a"],["/","b"],"b"]\n'


def test_the_request_can_be_taken_along_from_a_coroutine(app: Dewar, ask: Ask) -> None:
    """`copy_current_request_context` works for both kinds of functions, here and in a thread."""

    @app.get("/")
    async def view() -> list[Any]:
        g.kept = "kept"

        @copy_current_request_context
        async def wait() -> str:
            await asyncio.sleep(0)
            return f"{request.path} {g.kept}"

        @copy_current_request_context
        def work() -> str:
            return f"{request.path} {g.kept}"

        there = [await asyncio.to_thread(work), await asyncio.to_thread(wait)]
        return [work(), wait(), *there]

    assert ask("/").body == b'["/ kept","/ kept","/ kept","/ kept"]\n'


def test_tasks_of_a_coroutine_share_its_request(app: Dewar, ask: Ask) -> None:
    """They see the request and its g."""

    @app.get("/")
    async def view() -> list[Any]:
        async def add(number: int) -> str:
            await asyncio.sleep(0)
            g.sum = g.get("sum", 0) + number
            return f"{request.path}{number}"

        return [*await asyncio.gather(*map(add, range(3))), g.sum]

    assert ask("/").body == b'["/0","/1","/2",3]\n'


def test_a_task_that_is_left_ends_before_the_teardown(
    app: Dewar, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    """It is cancelled, on every server, and its author is told."""
    order: list[str] = []
    running: list[asyncio.Task[None]] = []

    @app.before_request
    async def begin() -> None:
        async def wait_for_ever() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                order.append(f"task of {request.path}")

        running.append(asyncio.create_task(wait_for_ever()))

    @app.get("/")
    async def view() -> str:
        await asyncio.sleep(0)
        assert not running[-1].done()
        return "done"

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        order.append("teardown")

    with caplog.at_level(logging.WARNING, "dewar.server"):
        assert ask("/").body == b"done"
    assert order == ["task of /", "teardown"]
    assert running[0].cancelled()
    assert "still ran when <Context GET '/' of waiting> had its answer" in caplog.text


def test_an_asynchronous_stream_keeps_the_request(app: Dewar, ask: Ask) -> None:
    """With `stream_with_context`; without it there is none."""

    @app.get("/with")
    async def with_it() -> Any:
        g.kept = "kept"

        @stream_with_context
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                await asyncio.sleep(0)
                yield f"{number} {request.path} {g.kept};"

        return pieces()

    @app.get("/without")
    async def without() -> Any:
        async def pieces() -> AsyncIterator[str]:
            await asyncio.sleep(0)
            yield f"{bool(contexts.state)} "
            yield f"{process_loop.is_here()}"

        return pieces()

    assert ask("/with").body == b"0 /with kept;1 /with kept;2 /with kept;"
    assert ask("/without").body == b"False True"


def test_what_is_asked_for_late_is_called(app: Dewar, ask: Ask) -> None:
    """`after_this_request` in a function that it has called itself."""

    @app.get("/")
    async def view() -> str:
        @after_this_request
        async def first(response: Any) -> Any:
            @after_this_request
            def second(response: Any) -> Any:
                response.headers["X-Second"] = "yes"
                return response

            return response

        return "x"

    assert ("X-Second", "yes") in ask("/").fields


def test_a_hook_may_give_the_request_another_rule(app: Dewar, ask: Ask) -> None:
    """Its view runs where it belongs, whatever the first one was."""

    @app.before_request
    async def change() -> None:
        wanted = request.args.get("endpoint")
        if wanted:
            request.url_rule = next(app.url_map.iter_rules(wanted))

    @app.get("/waiting")
    async def waiting() -> str:
        return f"waiting on the loop: {process_loop.is_here()}"

    @app.get("/blocking")
    def blocking() -> str:
        return f"blocking on the loop: {process_loop.is_here()}"

    first = ask("/waiting", QUERY_STRING="endpoint=blocking").body
    second = ask("/blocking", QUERY_STRING="endpoint=waiting").body
    assert (first, second) == (b"blocking on the loop: False", b"waiting on the loop: True")


def test_a_coroutine_is_no_response(app: Dewar, ask: Ask) -> None:
    """A plain function that returns one, such as a careless decorator, is told so."""
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @app.before_request
    async def hook() -> None:
        await asyncio.sleep(0)

    async def waiting() -> str:
        return "never"

    told: list[BaseException | None] = []
    app.teardown_request(told.append)
    coroutine = waiting()
    app.add_url_rule("/", "careless", lambda: coroutine)
    assert ask("/").error == "TypeError"
    assert "without awaiting it" in str(told[0])
    coroutine.close()
