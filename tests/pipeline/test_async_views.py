"""Coroutine views and hooks, called from synchronous code."""

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from dewar import Dewar, Local, current_app, g, request
from dewar.loop.from_thread import to_sync

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
