"""What the event loop begins with over a real server is answered as a thread would answer it."""

import asyncio
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter

import dewar
from asynctools import lead_on_loop
from dewar import Dewar
from routedapps import Asked, FullLane, Routed, build, requests, routed_apps
from servertools import Serve, Served


class Switch:
    """The app of the server: whichever a test asks, and a quick one that keeps the loop leading.

    Attributes:
        app: The app that is asked.
        begun: How many requests the server has begun for the loop.
    """

    def __init__(self) -> None:
        self.app: Any = None
        self.begun = 0
        self._quick = Dewar("quick", static_folder=None)

        @self._quick.get("/quick/<text>")
        async def quick(text: str) -> str:
            return text

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer on a thread."""
        return self._app_for(environ)(environ, start_response)

    def begin_on_loop(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer on the loop."""
        begun = self._app_for(environ).begin_on_loop(environ, start_response)
        self.begun += begun is not None
        return begun

    def _app_for(self, environ: dict[str, Any]) -> Any:
        return self._quick if environ["PATH_INFO"].startswith("/quick/") else self.app


@pytest.fixture(scope="module")
def switch() -> Switch:
    return Switch()


@pytest.fixture(scope="module")
def served(switch: Switch) -> Iterator[Served]:
    """Return the one server for all examples."""
    logging.getLogger("dewar.server").disabled = True
    served = Served(switch, None, {"threads": 2})
    yield served
    served.stop()
    logging.getLogger("dewar.server").disabled = False


def ask(served: Served, asked: Asked) -> bytes:
    """Return the whole answer but for its date and the order of methods."""
    client = served.client()
    client.send(asked.message())
    answer = re.sub(rb"Date: [^\r]*", b"", client.rest())
    client.close()
    return re.sub(rb"(?<=Allow: )[^\r]*", lambda m: b",".join(sorted(m[0].split(b", "))), answer)


@pytest.mark.filterwarnings("ignore:Current server name")
@settings(max_examples=60)
@given(routed_apps, st.lists(requests.filter(lambda each: each.path[:1] == "/"), max_size=6))
def test_the_servers_loop_answers_as_a_thread_does(
    switch: Switch, served: Served, routed: Routed, asked: list[Asked]
) -> None:
    """Whatever the path, the host and the app's own classes; every request has an answer."""
    logging.getLogger("lanes").disabled = True
    switch.app = build(dewar, FullLane, replace(routed, is_async=False))
    expected = [ask(served, each) for each in asked]
    switch.app = build(dewar, Dewar, replace(routed, is_async=True))
    lead_on_loop(served).close()
    assert [ask(served, each) for each in asked] == expected
    assert all(expected)


def test_the_servers_loop_is_asked(switch: Switch, served: Served) -> None:
    """The comparison is of two lanes: a plain request is begun for the loop."""
    switch.app = build(dewar, Dewar, Routed(is_async=True))
    lead_on_loop(served).close()
    before = switch.begun
    assert ask(served, Asked()).startswith(b"HTTP/1.1 200 OK")
    assert switch.begun == before + 1


@pytest.mark.parametrize("routed", [Routed(trusted="config"), Routed(request_class="trusted")])
def test_a_host_that_is_not_trusted_is_refused(
    switch: Switch, served: Served, routed: Routed
) -> None:
    """Also where the loop's thread leads and every function is a coroutine function."""
    switch.app = build(dewar, Dewar, replace(routed, is_async=True))
    lead_on_loop(served).close()
    assert ask(served, Asked()).startswith(b"HTTP/1.1 200")
    assert ask(served, Asked(host="evil.example")).startswith(b"HTTP/1.1 400")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """The server's log, which the one server for all examples has switched off."""
    monkeypatch.setattr(logging.getLogger("dewar.server"), "disabled", False)
    return caplog


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, asyncio.CancelledError])
def test_an_error_of_the_app_that_is_asked_for_the_loop_is_answered(
    serve: Serve, log: Any, error: type[BaseException]
) -> None:
    """The app is called, and the log tells of it once: each request may cause it."""

    class Broken(Dewar):
        def begin_on_loop(self, *args: Any, **more: Any) -> Any:
            raise error

    own = Switch()
    own.app = build(dewar, Broken, Routed(is_async=True))
    served = serve(own, threads=2)
    lead_on_loop(served).close()
    for _ in range(5):
        assert ask(served, Asked()).startswith(b"HTTP/1.1 200 OK")
    (line,) = log.messages
    assert f"begin_on_loop() failed, and the application is called without it: {error()!r}" in line
    assert __file__ in line


def test_what_a_client_may_ask_is_no_error(serve: Serve, log: Any) -> None:
    """A converter of the program is called where its error is an answer."""

    class Code(BaseConverter):
        def to_python(self, value: str) -> str:
            raise ZeroDivisionError if value == "zero" else NotFound

    app = Dewar("codes", static_folder=None)
    app.url_map.converters["code"] = Code

    @app.get("/<code:code>")
    async def view(code: str) -> str:
        raise AssertionError

    own = Switch()
    own.app = app
    served = serve(own, threads=2)
    lead_on_loop(served).close()
    client = served.client()
    assert client.get("/zero")[0].startswith(b"HTTP/1.1 500 ")
    assert client.get("/other")[0].startswith(b"HTTP/1.1 404 ")
    assert client.get("/\xff/%ff//..")[0].startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
    assert "is called without it" not in log.text
