"""``pre_request`` and ``post_request`` are called around each request."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from gunicorn.util import split_request_uri

from dewar import Dewar
from dewar.server.gunicorn.config_file import GunicornFile
from dewar.server.gunicorn.request_hooks import RequestHooks
from dewar.server.gunicorn.views import RequestView, WorkerView, settings_view
from dewar.server.settings.settings import Settings
from polling import eventually
from servertools import Serve

WORKER = WorkerView(1, settings_view({}))


def make(app: Any, before: Any = None, after: Any = None) -> Any:
    return RequestHooks(app, before, after, lambda: WORKER)


def plain(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("201 Created", [("X-Colour", "blue")])
    yield b"ab"
    yield b"c"


def test_both_see_the_request_and_the_latter_the_response(serve: Serve) -> None:
    """After the whole response, with its status, its fields and its size."""
    told: list[object] = []

    def before(worker: Any, request: Any) -> None:
        fields = dict(request.headers)
        told.append((worker, request.method, request.path, request.query, fields["X-MARK"]))

    def after(worker: Any, request: Any, environ: Any, response: Any) -> None:
        told.append((request.uri, environ["PATH_INFO"], response.status, response.status_code))
        told.append((response.headers, response.sent))

    served = serve(make(plain, before, after))
    client = served.client()
    assert client.get("/cart?x=1", X_Mark="m")[2] == b"abc"
    eventually(lambda: len(told) == 3)
    assert told == [
        (WORKER, "GET", "/cart", "x=1", "m"),
        ("/cart?x=1", "/cart", "201 Created", 201),
        ([("X-Colour", "blue")], 3),
    ]
    client.close()


@pytest.mark.parametrize(
    "target",
    ["/", "/a%0Ab%2Fc?x=%20&y", "/a?", "//a/b", "/a://b/c?d", "*", "http://h/b?c", "http://h"],
)
def test_the_target_is_as_it_was_sent(target: str) -> None:
    """In the parts that gunicorn has: a decoded path could forge lines of a log."""
    view = RequestView({"REQUEST_METHOD": "GET", "RAW_URI": target, "PATH_INFO": "/a\nb/c"})
    parts = split_request_uri(target)
    assert (view.uri, view.path, view.query) == (target, parts.path, parts.query)


def test_a_view_of_any_kind_is_observed(serve: Serve) -> None:
    """A coroutine too, whose response would not come through a middleware otherwise."""
    app = Dewar("shop")
    told: list[object] = []

    @app.get("/async")
    async def view() -> str:
        await asyncio.sleep(0)
        return "from a coroutine"

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError

    @app.get("/stream")
    def stream() -> Iterator[str]:
        return iter(["a", "b"])

    def after(worker: Any, request: Any, environ: Any, response: Any) -> None:
        told.append((request.path, response.status_code))

    served = serve(make(app, None, after))
    client = served.client()
    logging.getLogger("shop").setLevel(logging.CRITICAL + 1)
    for target, body in [("/async", b"from a coroutine"), ("/stream", b"ab")]:
        assert client.get(target)[2] == body
    assert client.get("/broken")[0].startswith(b"HTTP/1.1 500")
    eventually(lambda: len(told) == 3)
    assert sorted(map(str, told)) == ["('/async', 200)", "('/broken', 500)", "('/stream', 200)"]
    client.close()


def test_an_app_that_raises_is_observed() -> None:
    """Its error goes on."""
    told: list[object] = []

    def raises(environ: Any, start_response: Any) -> Any:
        raise ZeroDivisionError

    app = make(
        raises, None, lambda worker, request, environ, response: told.append(response.status)
    )
    environ = {"REQUEST_METHOD": "GET", "RAW_URI": "/"}
    with pytest.raises(ZeroDivisionError):
        app(environ, None)
    assert told == [""]


def test_an_error_of_the_first_goes_on_and_of_the_second_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response of the second has been sent, so it stands."""

    def hostile(*_: object) -> None:
        raise ZeroDivisionError

    environ = {"REQUEST_METHOD": "GET", "RAW_URI": "/"}
    with pytest.raises(ZeroDivisionError):
        make(plain, hostile)(environ, None)
    monkeypatch.setattr(logging.getLogger("gunicorn.error"), "propagate", True)
    body = make(plain, None, hostile)(environ, lambda *_: None)
    assert list(body) == [b"ab", b"c"]
    body.close()
    assert "post_request" in caplog.text


def test_without_these_hooks_nothing_is_added() -> None:
    """What the server gets of an app that has its own trusted hosts is the app itself."""
    file = GunicornFile("gunicorn.conf.py", {"post_fork": lambda server, worker: None})
    settings = Settings(trusted_hosts="127.0.0.1")
    load = file.wrapped(lambda: plain, file.hooks(settings, "shop"), settings)
    assert load() is plain
