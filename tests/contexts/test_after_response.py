"""Work that is done when a response has been sent."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from dewar import Dewar, Response, current_app, g, request, session
from dewar.contexts.after_response import BACKGROUND_WORK
from dewar.errors import UnboundError

_seen: ContextVar[str] = ContextVar("seen", default="nothing")


@pytest.fixture
def app() -> Dewar:
    """An app whose session can be written."""
    app = Dewar("after", static_folder=None)
    app.secret_key = "key"
    return app


def facts() -> list[Any]:
    """What the running code finds of its request."""
    return [current_app.name, request.path, request.args["q"], g.user, session["n"], _seen.get()]


def note_in(app: Dewar) -> None:
    """Have what a view is about to leave noted in `g`, the session and a variable."""

    @app.before_request
    def note() -> None:
        g.user, session["n"] = request.args["q"] * 2, 7
        _seen.set(request.args["q"])


@pytest.mark.parametrize("view_is_async", [False, True])
def test_it_sees_the_request_and_comes_after_its_teardown(app: Dewar, view_is_async: bool) -> None:
    """A function on a thread, a coroutine function and a coroutine on the event loop."""
    note_in(app)
    found: list[Any] = []

    def on_thread(mark: str, *, more: int) -> None:
        found.append([mark, more, threading.current_thread().name.rstrip("0123456789"), *facts()])

    async def on_loop(mark: str) -> None:
        await asyncio.sleep(0)
        found.append([mark, 0, threading.current_thread().name, *facts()])

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        found.append("teardown")

    def ask() -> str:
        app.after_response(on_thread, "function", more=1)
        app.after_response(on_loop, "coroutine function")
        app.after_response(on_loop("coroutine"))
        return "answer"

    async def ask_too() -> str:
        return ask()

    app.add_url_rule("/x", view_func=ask_too if view_is_async else ask)
    response = app.test_client().get("/x?q=a")
    assert response.text == "answer"
    assert found[0] == "teardown"
    facts_of = ["after", "/x", "a", "aa", 7, "a"]
    assert sorted(found[1:]) == [
        ["coroutine", 0, "dewar-loop", *facts_of],
        ["coroutine function", 0, "dewar-loop", *facts_of],
        ["function", 1, "dewar-after-response-", *facts_of],
    ]


def test_each_request_has_its_own(app: Dewar) -> None:
    """Many requests at once; what one leaves behind is not another's."""
    note_in(app)
    found: list[tuple[str, list[Any]]] = []

    @app.get("/<name>")
    async def view(name: str) -> str:
        async def later() -> None:
            await asyncio.sleep(0)
            found.append((name, facts()))

        app.after_response(later)
        await asyncio.sleep(0)
        return name

    def ask(name: str) -> None:
        app.test_client().get(f"/{name}?q={name}")

    threads = [threading.Thread(target=ask, args=(f"n{number}",)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 30
    for name, seen in found:
        assert seen == ["after", f"/{name}", name, name * 2, 7, name]


def test_it_begins_when_the_server_closes_the_response(app: Dewar) -> None:
    """Not before: the client would wait for it."""
    begun = threading.Event()

    @app.get("/")
    def view() -> Response:
        app.after_response(begun.set)
        return Response(iter(["a", "b"]))

    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http"}
    environ.update(SERVER_NAME="x", SERVER_PORT="80")
    body: Any = app(environ, lambda *_: print)
    assert b"".join(body) == b"ab"
    assert not begun.is_set()
    body.close()
    assert begun.wait(30)


def test_it_may_change_nothing_of_the_answer(app: Dewar) -> None:
    """The cookie has been sent."""
    note_in(app)
    errors: list[str] = []

    @app.get("/")
    def view() -> str:
        def later() -> None:
            try:
                session["n"] = 8
            except RuntimeError as error:
                errors.append(str(error))

        app.after_response(later)
        return ""

    app.test_client().get("/?q=a")
    assert "can read the session but not change it" in errors[0]


def test_an_error_is_logged_and_costs_nobody_anything(
    app: Dewar, caplog: pytest.LogCaptureFixture
) -> None:
    """A SystemExit as well: it must end neither a thread nor the loop."""
    done: list[str] = []

    @app.get("/")
    def view() -> str:
        def fails() -> None:
            raise SystemExit("no")

        async def fails_there() -> None:
            await asyncio.sleep(0)
            raise LookupError("no either")

        app.after_response(fails)
        app.after_response(fails_there)
        app.after_response(done.append, "done")
        return "answer"

    assert app.test_client().get("/").text == "answer"
    assert done == ["done"]
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "fails at" in said
    assert "fails_there at" in said
    assert "GET '/'" in said


def test_it_decorates_and_returns_what_it_is_given(app: Dewar) -> None:
    """So that a function can be written in place."""
    done: list[str] = []

    @app.get("/")
    def view() -> str:
        @app.after_response
        def later() -> None:
            done.append("done")

        return later.__name__

    assert app.test_client().get("/").text == "later"
    assert done == ["done"]


def test_it_runs_after_an_error_s_answer_too(app: Dewar) -> None:
    """The client has an answer, whoever gave it."""
    done: list[str] = []

    @app.get("/")
    def view() -> str:
        app.after_response(done.append, "done")
        raise LookupError

    @app.errorhandler(LookupError)
    def handle(error: LookupError) -> tuple[str, int]:
        return "sorry", 500

    assert app.test_client().get("/").status_code == 500
    assert done == ["done"]


def test_where_there_is_no_answer_it_is_not_done(app: Dewar) -> None:
    """In debug mode an error goes on to the server; a coroutine is not left unawaited."""
    app.testing = True

    @app.get("/")
    def view() -> str:
        async def later() -> None:
            raise AssertionError

        app.after_response(later())
        raise LookupError("on")

    with pytest.raises(LookupError, match="on"):
        app.test_client().get("/")


def test_a_task_of_its_own_ends_with_it(app: Dewar) -> None:
    """It is cancelled, as a request's is."""
    ended = threading.Event()

    @app.get("/")
    async def view() -> str:
        async def forgotten() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async def later() -> None:
            asyncio.create_task(forgotten())  # noqa: RUF006
            await asyncio.sleep(0)

        app.after_response(later)
        return ""

    app.test_client().get("/")
    assert ended.is_set()


def test_the_end_of_serving_waits_for_it_and_cancels_what_is_late(
    app: Dewar, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the `on_stop` functions, which may close what it uses."""
    order: list[str] = []
    gate, began = threading.Event(), threading.Event()

    @app.on_stop
    def stop(timeout: float) -> None:
        order.append("on_stop")

    def slow() -> None:
        began.set()
        gate.wait(30)
        order.append("slow")

    @app.get("/<what>")
    def view(what: str) -> str:
        async def for_ever() -> None:
            await asyncio.Event().wait()

        app.after_response(slow if what == "slow" else for_ever)
        return ""

    def ask(path: str) -> None:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.url_scheme": "http"}
        body: Any = app({**environ, "SERVER_NAME": "x", "SERVER_PORT": "80"}, lambda *_: print)
        body.close()

    app.begin_serving()
    ask("/slow")
    assert began.wait(30)
    threading.Timer(0.05, gate.set).start()
    app.end_serving(30)
    assert order == ["slow", "on_stop"]
    background_work: list[Any] = []
    with app.test_request_context("/", environ_base={BACKGROUND_WORK: background_work}):
        app.after_response(asyncio.Event().wait)
    app._dewar_after_responses.begin(background_work)
    app._dewar_after_responses.drain(0.05)
    assert background_work[0].wait(30)
    assert "was cancelled" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (lambda: ("done",), "cannot be called"),
        (lambda: (closing(asyncio.sleep(0)), 1), "has its arguments already"),
    ],
)
def test_what_can_t_be_done_is_refused_at_once(app: Dewar, arguments: Any, said: str) -> None:
    """With the call that was meant."""
    with app.test_request_context("/"), pytest.raises(TypeError, match=said):
        app.after_response(*arguments())


def test_outside_of_a_request_there_is_nothing_to_come_after(app: Dewar) -> None:
    """The error names what was called."""
    with app.app_context(), pytest.raises(UnboundError, match="after_response"):
        app.after_response(print)


def closing(coroutine: Any) -> Any:
    """Return a coroutine that nobody is to await."""
    coroutine.close()
    return coroutine


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is said by asyncio of tasks that were lost."""
    yield
    assert not [r for r in caplog.records if r.name == "asyncio" and r.levelno >= logging.ERROR]
