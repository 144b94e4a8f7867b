"""Coroutine views behind middleware, which has never heard of answers that wait."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.proxy_fix import ProxyFix

from dewar import Dewar, g, request, stream_with_context
from polling import eventually
from servertools import Serve

pytestmark = pytest.mark.usefixtures("calm_loop")

Wsgi = Callable[[dict[str, Any], Any], Any]


class Calls:
    """What an app has done, in order."""

    def __init__(self) -> None:
        self.made: list[str] = []


def make_app(calls: Calls) -> Dewar:
    app = Dewar("behind", static_folder=None)
    app.logger.disabled = True

    @app.before_request
    async def begin() -> None:
        await asyncio.sleep(0)
        g.name = request.args.get("name", "nobody")

    @app.get("/view")
    async def view() -> dict[str, Any]:
        await asyncio.sleep(0)
        calls.made.append("view")
        return {"name": g.name, "client": request.remote_addr}

    @app.get("/broken")
    async def broken() -> Any:
        await asyncio.sleep(0)
        raise LookupError("on purpose")

    @app.get("/stream")
    async def stream() -> Any:
        @stream_with_context
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                await asyncio.sleep(0)
                yield f"{number} {g.name} "

        return pieces()

    @app.teardown_request
    async def end(error: BaseException | None) -> None:
        await asyncio.sleep(0)
        calls.made.append(f"ended {request.path}")

    @app.teardown_appcontext
    def end_all(error: BaseException | None) -> None:
        calls.made.append("ended all")

    return app


def buffering(app: Wsgi) -> Wsgi:
    """Return middleware that has the whole body before it goes on."""

    def call(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        began: list[Any] = []
        result = app(environ, lambda *head: began.append(head))
        try:
            body = b"".join(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        status, headers = began[0][:2]
        start_response(status, [*headers, ("X-Size", str(len(body)))])
        return [body]

    return call


def transparent(app: Wsgi) -> Wsgi:
    """Return middleware that gives on what it gets, piece by piece."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        result = app(environ, start_response)
        try:
            yield from result
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    return call


def closing(app: Wsgi) -> Wsgi:
    """Return middleware with an answer of its own, which closes the one it got."""

    def call(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        close = getattr(app(environ, lambda *head: None), "close", None)
        if close is not None:
            close()
        start_response("200 OK", [("Content-Length", "3")])
        return [b"own"]

    return call


def careless(app: Wsgi) -> Wsgi:
    """Return the same without the close, which breaks PEP 3333."""

    def call(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        app(environ, lambda *head: None)
        start_response("200 OK", [("Content-Length", "3")])
        return [b"own"]

    return call


GIVE_ON: dict[str, Callable[[Any], Wsgi]] = {
    "none": lambda app: app,
    "ProxyFix": lambda app: ProxyFix(app, x_for=1),
    "DebuggedApplication": lambda app: DebuggedApplication(app, evalex=True),
    "buffering": buffering,
    "transparent": transparent,
    "several": lambda app: ProxyFix(transparent(buffering(app))),
}


@pytest.mark.parametrize("is_inside", [False, True])
@pytest.mark.parametrize("name", GIVE_ON)
def test_middleware_gives_on_what_coroutines_answer(
    serve: Serve, name: str, is_inside: bool
) -> None:
    """Whether it is put around the app or around its `wsgi_app`; each request ends once."""
    calls = Calls()
    app: Any = make_app(calls)
    if is_inside:
        app.wsgi_app = GIVE_ON[name](app.wsgi_app)
    else:
        app = GIVE_ON[name](app)
    client = serve(app, threads=2).client()
    forwarded = "9.9.9.9" if name in ("ProxyFix", "several") else "127.0.0.1"
    for _ in range(3):
        status, _, body = client.get("/view?name=Ada", X_Forwarded_For="9.9.9.9")
        assert status == b"HTTP/1.1 200 OK"
        assert body == b'{"client":"%s","name":"Ada"}\n' % forwarded.encode()
        assert calls.made == ["view", "ended /view", "ended all"]
        calls.made.clear()
        assert client.get("/stream?name=Bob")[2] == b"0 Bob 1 Bob 2 Bob "
        # Once with the view, and once more for what the stream may have opened.
        assert calls.made == ["ended /stream", "ended all"] * 2
        calls.made.clear()


@pytest.mark.parametrize("middleware", [closing, careless])
@pytest.mark.parametrize("path", ["/view", "/broken", "/missing"])
def test_middleware_with_an_answer_of_its_own_has_the_view_run(
    serve: Serve, middleware: Callable[[Any], Wsgi], path: str
) -> None:
    """As every synchronous view has by then; the request ends once, and the client gets its own."""
    calls = Calls()
    client = serve(middleware(make_app(calls)), threads=2).client()
    for _ in range(3):
        assert client.get(path)[2] == b"own"
        eventually(lambda: "ended all" in calls.made)
        assert calls.made == [*(["view"] if path == "/view" else []), f"ended {path}", "ended all"]
        calls.made.clear()


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("name", GIVE_ON)
def test_middleware_sees_an_error_as_ever(serve: Serve, name: str) -> None:
    """A 500 by the app, or the error itself where it propagates, which a debugger shows."""
    calls = Calls()
    app = make_app(calls)
    app.config["PROPAGATE_EXCEPTIONS"] = name == "DebuggedApplication"
    client = serve(GIVE_ON[name](app), threads=2).client()
    status, _, body = client.get("/broken")
    assert status.upper() == b"HTTP/1.1 500 INTERNAL SERVER ERROR"
    assert (b"LookupError" in body) is (name == "DebuggedApplication")
    eventually(lambda: "ended all" in calls.made)
    assert calls.made == ["ended /broken", "ended all"]
