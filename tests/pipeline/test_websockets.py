"""A WebSocket in the life of a request: before it is accepted, open, and at its end."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from werkzeug.datastructures import ImmutableMultiDict

import dewar
from dewar import abort, after_this_request, current_app, g, request, session, url_for
from dewar.environ_keys import UPGRADE
from dewar.loop.process_loop import process_loop
from dewar.signals import got_request_exception, request_finished, request_tearing_down
from dewar.testing.errors import WebSocketRefusedError
from dewar.websocket.errors import WebSocketClosedError


@pytest.fixture
def app() -> dewar.Dewar:
    """An app that answers errors, as in production."""
    app = dewar.Dewar("chat", static_folder=None)
    app.secret_key = "a key for tests"
    return app


@contextmanager
def noted(signal: Any, name: str) -> Iterator[list[Any]]:
    """Note what a signal is sent with."""
    notes: list[Any] = []

    def note(_: object, **values: Any) -> None:
        notes.append(values[name])

    with signal.connected_to(note):
        yield notes


def refusal(app: Any, path: str, **options: Any) -> Any:
    """Return the response of an app that does not accept."""
    with (
        pytest.raises(WebSocketRefusedError) as refused,
        app.test_client().websocket(path, **options),
    ):
        pass
    return refused.value.response


# While it is open.


def test_the_view_has_all_that_a_view_has(app: dewar.Dewar) -> None:
    """`request`, `session`, `g`, `current_app` and `url_for`, for each message."""

    @app.websocket("/chat/<int:room>")
    async def chat(ws: Any, room: int) -> None:
        g.count = 0
        session["room"] = room
        async for message in ws:
            g.count += 1
            assert current_app == app
            seen = [message, room, request.path, request.view_args, session["room"], g.count]
            await ws.send_json([*seen, url_for("chat", room=2), url_for("index")])

    app.add_url_rule("/", "index", lambda: "")
    with app.test_client().websocket("/chat/7") as ws:
        for count in (1, 2):
            ws.send("hello")
            assert ws.receive_json() == [
                "hello", 7, "/chat/7", {"room": 7}, 7, count, "ws://localhost/chat/2", "/",
            ]  # fmt: skip


def test_sockets_are_kept_apart(app: dewar.Dewar) -> None:
    """Each has its own request, session and `g`, however their messages alternate."""

    @app.websocket("/chat/<name>")
    async def chat(ws: Any, name: str) -> None:
        session["name"] = g.name = name
        async for _ in ws:
            await ws.send_json([request.path, session["name"], g.name])

    clients = [app.test_client() for _ in range(3)]
    with (
        clients[0].websocket("/chat/a") as a,
        clients[1].websocket("/chat/b") as b,
        clients[2].websocket("/chat/c") as c,
    ):
        for ws, name in [(a, "a"), (b, "b"), (c, "c"), (b, "b"), (a, "a")]:
            ws.send("who?")
            assert ws.receive_json() == [f"/chat/{name}", name, name]


def test_tasks_of_the_view_see_the_request_and_end_with_it(app: dewar.Dewar) -> None:
    """A task that the view leaves behind is cancelled without a warning."""
    ends: list[str] = []

    @app.websocket("/clock")
    async def clock(ws: Any) -> None:
        async def tick() -> None:
            try:
                await ws.send(request.path)
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ends.append(request.path)
                raise

        task = asyncio.create_task(tick())
        async for _ in ws:
            pass
        assert not task.done()

    with app.test_client().websocket("/clock") as ws:
        assert ws.receive() == "/clock"
    assert ends == ["/clock"]


def test_the_view_runs_on_the_loop_and_plain_functions_do_not(app: dewar.Dewar) -> None:
    """A hook may block; the view holds no thread."""
    places: dict[str, bool] = {}

    def note(name: str) -> None:
        places[name] = process_loop.is_here()

    app.before_request(lambda: note("before"))
    app.after_request(lambda response: note("after") or response)
    app.teardown_request(lambda _: note("teardown"))

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        note("view")
        await ws.accept()
        note("open")

    with app.test_client().websocket("/echo"):
        pass
    assert places == {
        "before": False, "view": True, "after": False, "open": True, "teardown": False,
    }  # fmt: skip


def test_all_hooks_may_be_coroutine_functions(app: dewar.Dewar) -> None:
    """They see the request too."""
    calls: list[str] = []

    @app.before_request
    async def before() -> None:
        calls.append(f"before {request.path}")

    @app.after_request
    async def after(response: Any) -> Any:
        calls.append(f"after {response.status_code}")
        return response

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        calls.append(f"teardown {error}")

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        await ws.send("open")

    with app.test_client().websocket("/echo") as ws:
        assert ws.receive() == "open"
    assert calls == ["before /echo", "after 101", "teardown None"]


# The acceptance.


def test_the_101_goes_through_the_functions_after_the_view(app: dewar.Dewar) -> None:
    """Their header fields are sent with the handshake, and the signal has the 101."""

    @app.after_request
    def stamp(response: Any) -> Any:
        response.headers["X-Stamp"] = str(response.status_code)
        response.headers["Connection"] = "close"
        return response

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        after_this_request(lambda response: response.set_cookie("seen", "yes") or response)
        await ws.accept(subprotocol="v2", headers=[("X-Own", "1")])

    with (
        noted(request_finished, "response") as responses,
        app.test_client().websocket("/echo", subprotocols=["v1", "v2"]) as ws,
    ):
        assert ws.subprotocol == "v2"
        assert ws.headers["X-Stamp"] == "101"
        assert ws.headers["X-Own"] == "1"
        assert ws.headers.getlist("Connection") == ["Upgrade"]
        assert ws.headers["Set-Cookie"].startswith("seen=yes")
        assert "Content-Type" not in ws.headers
    assert [response.status_code for response in responses] == [101]


def test_the_session_is_saved_with_the_101(app: dewar.Dewar) -> None:
    """As it is then: a later change cannot reach the client."""

    @app.websocket("/login")
    async def login(ws: Any) -> None:
        session["user"] = request.args["name"]
        await ws.accept()
        session["user"] = "nobody"

    app.add_url_rule("/", "index", lambda: session.get("user", "?"))
    client = app.test_client()
    with client.websocket("/login?name=ann"):
        pass
    assert client.get("/").text == "ann"


def test_an_error_of_a_function_after_the_view_refuses(app: dewar.Dewar) -> None:
    """The view sees it where it accepts, and the client gets a 500."""
    seen: list[str] = []

    @app.after_request
    def fail(response: Any) -> Any:
        if response.status_code == 101:
            raise LookupError("as asked")
        return response

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        try:
            await ws.accept()
        except LookupError as error:
            seen.append(str(error))
            raise

    assert refusal(app, "/echo").status_code == 500
    assert seen == ["as asked"]


# Without acceptance.


def test_a_view_may_answer_with_http(app: dewar.Dewar) -> None:
    """What it returns or aborts with is the response, after the usual functions."""
    app.after_request(lambda response: response.headers.add("X-After", "1") or response)
    app.register_error_handler(403, lambda _: ("Go away", 403))

    @app.websocket("/<how>")
    async def view(ws: Any, how: str) -> Any:
        if how == "abort":
            abort(403)
        return "The room is full", 503

    for path, text, status in [("/abort", "Go away", 403), ("/full", "The room is full", 503)]:
        response = refusal(app, path)
        assert (response.text, response.status_code) == (text, status)
        assert response.headers["X-After"] == "1"


def test_a_hook_may_answer_with_http(app: dewar.Dewar) -> None:
    """Then the view is not called."""
    app.before_request(lambda: ("Who are you?", 401))

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        raise AssertionError

    assert refusal(app, "/echo").status_code == 401


def test_an_error_before_the_acceptance_is_a_500(app: dewar.Dewar) -> None:
    """It is reported and answered as in any view."""

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        raise LookupError

    with noted(got_request_exception, "exception") as errors:
        assert refusal(app, "/echo").status_code == 500
    assert [type(error) for error in errors] == [LookupError]


def test_a_view_that_returns_nothing_and_does_not_accept_is_an_error(app: dewar.Dewar) -> None:
    """The error says how to accept and how to refuse."""
    app.testing = True

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        pass

    with pytest.raises(TypeError, match=r"'echo' did not return .* await ws\.accept\(\)"):
        refusal(app, "/echo")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Upgrade": "nothing"}, 400),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Sec-WebSocket-Version": "8"}, 426),
    ],
)
def test_a_malformed_handshake_is_refused(
    app: dewar.Dewar, fields: dict[str, str], status: int
) -> None:
    """With the status for it, and for another version with the one that is spoken."""

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        raise AssertionError

    response = refusal(app, "/echo", headers=fields)
    assert response.status_code == status
    assert response.headers.get("Sec-WebSocket-Version") == ("13" if status == 426 else None)


def test_other_requests_do_not_come_to_the_view(app: dewar.Dewar) -> None:
    """As Werkzeug's map says: a plain GET is a 400, another method a 405."""

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        raise AssertionError

    assert app.test_client().get("/echo").status_code == 400
    assert refusal(app, "/echo", method="POST").status_code == 405
    assert refusal(app, "/nowhere").status_code == 404


def test_a_server_without_a_socket_is_told(
    app: dewar.Dewar, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets a 501, and the log names servers that have one."""

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        raise AssertionError

    handshake = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "ZGV3YXIgdGVzdCBjbGllbg==",
    }  # fmt: skip
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            response = app.test_client().get("/echo", headers=handshake)
            assert response.status_code == 501
    (record,) = caplog.records
    assert "Serve the app with: dewar run" in record.getMessage()


# The end.


def test_an_error_of_an_open_websocket_is_reported_and_closes_it(
    app: dewar.Dewar, caplog: pytest.LogCaptureFixture
) -> None:
    """With 1011. No handler can answer it, but the teardown functions see it."""
    teardown: list[Any] = []
    app.teardown_request(teardown.append)
    app.register_error_handler(Exception, lambda _: pytest.fail("cannot answer"))

    @app.websocket("/fail")
    async def fail(ws: Any) -> None:
        await ws.accept()
        raise LookupError("as asked")

    with (
        noted(got_request_exception, "exception") as errors,
        caplog.at_level(logging.ERROR),
        app.test_client().websocket("/fail") as ws,
    ):
        with pytest.raises(WebSocketClosedError):
            ws.receive()
        assert ws.close_code == 1011
    assert [str(error) for error in errors] == ["as asked"]
    assert teardown == errors
    assert "Exception on /fail [GET]" in caplog.text


def test_an_http_error_of_an_open_websocket_is_an_error(
    app: dewar.Dewar, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no answer any more that it could become."""

    @app.websocket("/fail")
    async def fail(ws: Any) -> None:
        await ws.accept()
        abort(404)

    with caplog.at_level(logging.ERROR), app.test_client().websocket("/fail") as ws:
        with pytest.raises(WebSocketClosedError):
            ws.receive()
        assert ws.close_code == 1011
    assert "404 Not Found" in caplog.text


@pytest.mark.parametrize("is_grouped", [False, True])
@pytest.mark.parametrize("code", [1000, 1001, 4000])
def test_the_clients_close_is_no_error(
    app: dewar.Dewar, caplog: pytest.LogCaptureFixture, code: int, is_grouped: bool
) -> None:
    """Nothing is logged or signalled; teardown functions are told unless it is a normal end."""
    teardown: list[Any] = []
    app.teardown_request(teardown.append)

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        async def receive() -> None:
            while True:
                await ws.receive()

        if not is_grouped:
            await receive()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(receive())

    with (
        noted(got_request_exception, "exception") as errors,
        caplog.at_level(logging.WARNING),
        app.test_client().websocket("/echo") as ws,
    ):
        ws.send("hello")
        ws.close(code)
    assert not errors
    assert not caplog.text
    assert len(teardown) == 1
    if code < 4000:
        assert teardown == [None]
    else:
        assert isinstance(teardown[0], ExceptionGroup if is_grouped else WebSocketClosedError)


def test_a_group_with_another_error_is_an_error(
    app: dewar.Dewar, caplog: pytest.LogCaptureFixture
) -> None:
    """Even if the client has closed the WebSocket too."""

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        try:
            await ws.receive()
        except WebSocketClosedError as closed:
            raise ExceptionGroup("both", [closed, LookupError("as asked")]) from None

    with (
        noted(got_request_exception, "exception") as errors,
        caplog.at_level(logging.ERROR),
        app.test_client().websocket("/echo"),
    ):
        pass
    assert [type(error) for error in errors] == [ExceptionGroup]
    assert "as asked" in caplog.text


@pytest.mark.parametrize("code", [1000, 4000])
def test_a_view_that_does_not_look_learns_of_the_close(
    app: dewar.Dewar, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """It is cancelled; for the teardown functions it ends as one that was told."""
    app.config["WEBSOCKET_CLOSE_TIMEOUT"] = 0.01
    teardown: list[Any] = []
    cleaned_up: list[bool] = []
    app.teardown_request(teardown.append)

    @app.websocket("/idle")
    async def idle(ws: Any) -> None:
        await ws.accept()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up.append(True)

    with (
        noted(got_request_exception, "exception") as errors,
        caplog.at_level(logging.WARNING),
        app.test_client().websocket("/idle") as ws,
    ):
        ws.close(code)
    assert cleaned_up == [True]
    assert not errors
    assert not caplog.text
    if code == 1000:
        assert teardown == [None]
    else:
        assert [error.code for error in teardown] == [4000]


def test_teardown_follows_the_close(app: dewar.Dewar) -> None:
    """Not the acceptance: what they release is needed as long as the view runs."""
    events: list[str] = []
    app.teardown_appcontext(lambda _: events.append("teardown"))

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        await ws.send("open")
        async for _ in ws:
            pass
        events.append("closed")

    with noted(request_tearing_down, "exc") as ends, app.test_client().websocket("/echo") as ws:
        assert ws.receive() == "open"
        assert not ends
    assert events == ["closed", "teardown"]
    assert ends == [None]


def test_work_after_the_response_follows_the_close(app: dewar.Dewar) -> None:
    """The response to a handshake has been sent when the WebSocket has ended."""
    events: list[str] = []

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        current_app.after_response(events.append, "before the acceptance")
        await ws.accept()
        current_app.after_response(events.append, "after it")
        async for _ in ws:
            pass
        events.append("closed")

    with app.test_client().websocket("/echo"):
        pass
    assert events[0] == "closed"
    assert sorted(events[1:]) == ["after it", "before the acceptance"]


def test_no_thread_waits_for_a_websocket(app: dewar.Dewar) -> None:
    """Where no function of the app may block, not even for its handshake."""
    statuses: list[str] = []

    async def echo(ws: Any, name: str) -> None:
        raise AssertionError

    def begun(app: dewar.Dewar, **fields: str) -> Any:
        with app.test_request_context("/echo/x") as context:
            environ = {**(context._dewar_environ or {}), **fields}
        return app.begin_on_loop(environ, lambda status, _: statuses.append(status))

    app.websocket("/echo/<name>")(echo)
    handshake = {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade"}
    suspended = begun(app, **handshake)
    suspended.close()
    assert statuses == ["400 BAD REQUEST"]  # it has no key
    assert begun(app) is None
    blocking = dewar.Dewar("blocking")
    blocking.before_request(lambda: None)
    blocking.websocket("/echo/<name>")(echo)
    assert begun(blocking, **handshake) is None


def test_work_after_the_response_has_no_connection(app: dewar.Dewar) -> None:
    """Its copy of the environ has no way to take one over, and keeps none."""
    seen: list[set[str]] = []

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        seen.append(set(request.environ))
        current_app.after_response(lambda: seen.append(set(request.environ)))
        await ws.accept()

    with app.test_client().websocket("/echo"):
        pass
    in_the_view, afterwards = seen
    assert {UPGRADE, "werkzeug.socket"} <= in_the_view - afterwards


def test_what_was_parsed_for_the_session_is_the_same_after_the_handshake(app: dewar.Dewar) -> None:
    """It is let go of, unless the program has put something else in its place."""
    told: list[Any] = []

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        session.get("name")
        before = (dict(request.cookies), request.headers["X-A"])
        await ws.accept()
        told.append(("cookies" in vars(request._get_current_object()), before))  # type: ignore[attr-defined]
        told.append((False, (dict(request.cookies), request.headers["X-A"])))

    @app.websocket("/own")
    async def own(ws: Any) -> None:
        request.cookies = ImmutableMultiDict({"own": "1"})
        await ws.accept()
        told.append(dict(request.cookies))

    client = app.test_client()
    client.set_cookie("a", "b")
    for path in ("/echo", "/own"):
        with client.websocket(path, headers={"X-A": "1"}) as ws:
            with pytest.raises(ConnectionError):
                ws.receive()
    assert told == [*[(False, ({"a": "b"}, "1"))] * 2, {"own": "1"}]
