"""Coroutine views and hooks, called from synchronous code."""

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from dewar import Dewar, Local, current_app, g, request
from dewar.loop.from_thread import to_sync
from dewar.loop.process_loop import process_loop

_seen: ContextVar[str] = ContextVar("seen", default="nothing")


def test_what_a_coroutine_sets_stays_set() -> None:
    """Also where it fails, and where the caller is on an event loop of its own."""

    async def keep(value: str, fails: bool = False) -> str:
        _seen.set(value)
        await asyncio.sleep(0)
        if fails:
            raise LookupError
        return value.upper()

    call: Any = to_sync(keep)
    assert call("a") == "A"
    assert _seen.get() == "a"
    with pytest.raises(LookupError):
        call("b", fails=True)
    assert _seen.get() == "b"

    async def on_a_loop() -> str:
        assert call("c") == "C"
        return _seen.get()

    assert asyncio.run(on_a_loop()) == "c"
    assert _seen.get() == "b"


def test_an_async_hook_and_the_view_share_what_they_keep() -> None:
    """In `g`, in a `Local` and in context variables, and nothing is left for the next request."""
    app = Dewar("shared", static_folder=None)
    local = Local()

    @app.before_request
    async def keep() -> None:
        g.path = local.path = request.path
        _seen.set(request.path)

    @app.get("/<name>")
    async def view(name: str) -> list[str]:
        return [g.path, local.path, _seen.get(), current_app.name]

    @app.get("/sync/<name>")
    def sync(name: str) -> list[str]:
        return [g.path, local.path, _seen.get()]

    client = app.test_client()
    assert client.get("/a").json == ["/a", "/a", "/a", "shared"]
    assert client.get("/sync/b").json == ["/sync/b"] * 3
    assert not g


def test_what_is_around_a_view_runs_where_the_app_was_called() -> None:
    """Tools that trace a program wrap its views, and name the request of this thread after them."""
    seen: list[tuple[str, bool]] = []

    class Traced:
        """A wrapper as those of `wrapt`, which looks like the coroutine function in it."""

        def __init__(self, view: Any) -> None:
            self.__name__, self.__code__ = view.__name__, view.__code__
            self._view = view

        __class__ = type(lambda: None)  # type: ignore[assignment]

        def __call__(self, **values: Any) -> Any:
            seen.append((self.__name__, threading.current_thread() is caller))
            return self._view(**values)

    class App(Dewar):
        """As a tool that wraps its methods makes it."""

        def preprocess_request(self) -> Any:
            return super().preprocess_request()

    async def view() -> str:
        return str(process_loop.is_here())

    caller = threading.current_thread()
    app = App("traced", static_folder=None)
    app.add_url_rule("/", view_func=Traced(view))
    assert app.test_client().get("/").text == "True"
    assert seen == [("view", True)]
