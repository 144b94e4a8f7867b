"""Every mounted app is told when serving begins and ends."""

import logging
from typing import Any

import pytest
from werkzeug.test import Client

from dewar import Dewar, current_app, url_for
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.server.lifespan import begin_serving, end_serving


class Middleware:
    """Keeps what it wraps under a name of choice."""

    def __init__(self, app: Any, name: str = "app") -> None:
        setattr(self, name, app)

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


def make_app(name: str, calls: list[str]) -> Dewar:
    """Return an app that notes what it is told."""
    app = Dewar(name, static_folder=None)
    app.on_start(lambda: calls.append(f"+{name}"))
    app.on_stop(lambda left: calls.append(f"-{name}"))
    return app


def test_an_app_that_is_mounted_twice_begins_once() -> None:
    """And ends once; so does one that is reached in two ways."""
    calls: list[str] = []
    a, b, c = (make_app(name, calls) for name in "abc")
    a.mount("/b", b)
    a.mount("/again", b)
    b.mount("/c", c)
    a.mount("/c", c)
    begin_serving(a)
    end_serving(a, 1.0)
    assert calls == ["+a", "+b", "+c", "-c", "-b", "-a"]


def test_apps_are_found_in_other_middleware() -> None:
    """Which keeps them as ``app`` or ``wsgi_app``, or has wrapped a method of theirs."""
    calls: list[str] = []
    a, b, c = (make_app(name, calls) for name in "abc")
    b.wsgi_app = Middleware(b.wsgi_app)  # type: ignore
    b.mount("/c", Middleware(c.wsgi_app))  # type: ignore[arg-type]
    a.wsgi_app = Middleware(  # type: ignore
        DispatcherMiddleware(a.wsgi_app, {"/b": Middleware(b, "wsgi_app")})  # type: ignore[dict-item]
    )
    begin_serving(Middleware(Middleware(a, "wsgi_app")))
    end_serving(a, 1.0)
    assert calls == ["+a", "+b", "+c", "-c", "-b", "-a"]


def test_an_app_below_itself_begins_once() -> None:
    """The plain middleware lets one mount it there, and a circle of two."""
    calls: list[str] = []
    a, b = (make_app(name, calls) for name in "ab")
    a.wsgi_app = DispatcherMiddleware(a.wsgi_app, {"/a": a, "/b": b})  # type: ignore[method-assign]
    b.wsgi_app = DispatcherMiddleware(b.wsgi_app, {"/a": a})  # type: ignore[method-assign]
    a.add_url_rule("/", "index", lambda: "a")
    assert a.test_client().get("/a/b/a/a/").text == "a"
    begin_serving(a)
    end_serving(a, 1.0)
    assert calls == ["+a", "+b", "-b", "-a"]


def test_an_error_at_the_begin_names_the_app() -> None:
    """It keeps the process from serving; the next try begins from the start."""
    calls: list[str] = []
    a, b = (make_app(name, calls) for name in "ab")
    a.mount("/b", b)
    wrong = [1]
    b.on_start(lambda: 1 / wrong.pop() if not wrong else 1 // 0 if wrong.pop() else None)
    with pytest.raises(ZeroDivisionError) as caught:
        a.begin_serving()
    assert caught.value.__notes__ == ["<Dewar 'b'>, mounted at /b, did not begin to serve."]
    wrong.append(0)
    a.begin_serving()
    assert calls == ["+a", "+b", "+a", "+b"]


def test_an_error_at_the_end_names_the_app_and_keeps_none_from_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged once all have ended."""
    calls: list[str] = []
    a, b, c = (make_app(name, calls) for name in "abc")
    dispatcher = DispatcherMiddleware(a, {"/b": b, "/c": c})
    c.on_stop(lambda left: 1 / 0)
    dispatcher.begin_serving()
    with caplog.at_level(logging.ERROR, "dewar.server"):
        end_serving(dispatcher, 1.0)
    assert calls == ["+a", "+b", "+c", "-c", "-b", "-a"]
    assert "<Dewar 'c'>, mounted at /c, failed to end its work." in caplog.text


def test_the_seconds_are_shared() -> None:
    """What one has used the next does not get; a time that is over is none."""
    left: list[float] = []
    a, b = (Dewar(name, static_folder=None) for name in "ab")
    for app in (a, b):
        app.on_stop(left.append)
    a.mount("/b", b)
    a.begin_serving()
    a.end_serving(0.0)
    assert left == [0.0, 0.0]
    a.begin_serving()
    a.end_serving(60.0)
    assert 0 < left[3] <= left[2] <= 60.0


def test_what_is_told_nothing_is_no_trouble() -> None:
    """A plain callable may be mounted."""
    calls: list[str] = []
    app = make_app("a", calls)
    dispatcher = DispatcherMiddleware(lambda environ, start_response: [], {"/a": app})
    begin_serving(dispatcher)
    end_serving(dispatcher, 1.0)
    assert calls == ["+a", "-a"]


def test_what_comes_after_a_response_of_a_mounted_app_is_waited_for() -> None:
    """It sees its own app, and is done before the app ends to serve."""
    calls: list[str] = []
    a, b = (make_app(name, calls) for name in "ab")

    def view() -> str:
        b.after_response(lambda: calls.append(f"after in {current_app.name} {url_for('a:view')}"))
        return "done"

    for app in (a, b):
        app.add_url_rule("/view", "view", view)
    a.mount("/b", b)
    a.begin_serving()
    Client(a).get("/b/view", buffered=True).close()
    a.end_serving(20.0)
    assert calls == ["+a", "+b", "after in b /view", "-b", "-a"]
