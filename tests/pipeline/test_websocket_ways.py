"""A WebSocket is the same in every kind of app, and however the app is called."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

import dewar
from dewar import current_app, g, request, session
from dewar.testing.client import DewarClient
from dewar.websocket.errors import WebSocketClosedError


class Overridden(dewar.Dewar):
    """Its requests take the full lane."""

    def dispatch_request(self) -> Any:
        """Do as the parent does."""
        return super().dispatch_request()


class Divided(dewar.Dewar):
    """Its requests have two contexts."""

    def app_context(self) -> Any:
        """Do as the parent does."""
        return super().app_context()


def wrapped(app: dewar.Dewar) -> None:
    """Wrap all views in plain functions, as an extension does for its checks."""
    for endpoint, view in list(app.view_functions.items()):

        @wraps(view)
        def checked(*args: Any, view: Any = view, **values: Any) -> Any:
            return current_app.ensure_sync(view)(*args, **values)

        app.view_functions[endpoint] = checked


def in_middleware(app: dewar.Dewar) -> None:
    """Put middleware around the app that knows nothing of what waits."""
    inner = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Any:
        answer = inner(environ, lambda *args: start_response(*args))
        try:
            yield from answer
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()

    app.wsgi_app = middleware  # type: ignore[method-assign]  # as programs do


def with_coroutine_hooks(app: dewar.Dewar) -> None:
    """Add hooks that are coroutine functions."""

    @app.before_request
    async def before() -> None:
        g.before = True

    @app.after_request
    async def after(response: Any) -> Any:
        response.headers["X-After"] = "async"
        return response


def with_hooks(app: dewar.Dewar) -> None:
    """Add hooks that are plain functions."""
    app.before_request(lambda: setattr(g, "before", True))
    app.after_request(lambda response: response.headers.add("X-After", "1") or response)


def add_views(owner: Any) -> None:
    """Add the WebSockets of these tests to an app or a blueprint."""

    @owner.websocket("/echo/<name>")
    async def echo(ws: Any, name: str) -> None:
        session["name"] = name
        async for message in ws:
            g.count = g.get("count", 0) + 1
            await ws.send_json([message, name, request.path, request.root_path, g.count])

    @owner.websocket("/fail")
    async def fail(ws: Any) -> None:
        await ws.accept()
        raise LookupError("as asked")

    @owner.websocket("/refuse")
    async def refuse(ws: Any) -> Any:
        return "no", 403


def plain_app(cls: type[dewar.Dewar], *changes: Callable[[dewar.Dewar], None]) -> dewar.Dewar:
    app = cls("ways", static_folder=None)
    app.secret_key = "a key for tests"
    app.teardown_request(app.extensions.setdefault("errors", []).append)
    add_views(app)
    for change in changes:
        change(app)
    return app


def on_blueprints() -> dewar.Dewar:
    inner = dewar.Blueprint("inner", __name__)
    add_views(inner)
    outer = dewar.Blueprint("outer", __name__)
    outer.register_blueprint(inner)
    app = dewar.Dewar("ways", static_folder=None)
    app.secret_key = "a key for tests"
    app.teardown_request(app.extensions.setdefault("errors", []).append)
    app.register_blueprint(outer)
    return app


WAYS: dict[str, Callable[[], dewar.Dewar]] = {
    "plain": lambda: plain_app(dewar.Dewar),
    "overridden": lambda: plain_app(Overridden),
    "overridden with hooks": lambda: plain_app(Overridden, with_hooks),
    "divided": lambda: plain_app(Divided),
    "wrapped": lambda: plain_app(dewar.Dewar, wrapped),
    "wrapped and overridden": lambda: plain_app(Overridden, wrapped),
    "hooks": lambda: plain_app(dewar.Dewar, with_hooks),
    "coroutine hooks": lambda: plain_app(dewar.Dewar, with_coroutine_hooks),
    "middleware": lambda: plain_app(dewar.Dewar, in_middleware),
    "blueprints": on_blueprints,
}


@pytest.fixture(params=WAYS)
def app(request: pytest.FixtureRequest) -> dewar.Dewar:
    """An app of each kind."""
    return WAYS[request.param]()


@pytest.fixture(params=["", "/mounted"], ids=["alone", "mounted"])
def mount(request: pytest.FixtureRequest) -> str:
    """The path where it is mounted."""
    return request.param


@pytest.fixture
def client(app: dewar.Dewar, mount: str) -> DewarClient:
    """A client for the app, or for the app that it is mounted on."""
    if not mount:
        return app.test_client()
    root = dewar.Dewar("root", static_folder=None)
    root.secret_key = "another key"
    root.mount(mount, app)
    return root.test_client()


def test_messages_come_back(client: DewarClient, mount: str) -> None:
    """With the request, and a `g` that lasts as long as the WebSocket."""
    with client.websocket(f"{mount}/echo/ann") as ws:
        assert "Set-Cookie" in ws.headers
        for count in (1, 2, 3):
            ws.send("hello")
            assert ws.receive_json() == ["hello", "ann", "/echo/ann", mount, count]


def test_it_ends_with_the_block(client: DewarClient, app: dewar.Dewar, mount: str) -> None:
    """The teardown functions have run then."""
    with client.websocket(f"{mount}/echo/ann") as ws:
        ws.send("hello")
        ws.receive()
        assert app.extensions["errors"] == []
    assert app.extensions["errors"] == [None]


def test_an_error_closes_it(client: DewarClient, app: dewar.Dewar, mount: str) -> None:
    """The teardown functions have the error."""
    with client.websocket(f"{mount}/fail") as ws:
        with pytest.raises(WebSocketClosedError):
            ws.receive()
        assert ws.close_code == 1011
    assert [str(error) for error in app.extensions["errors"]] == ["as asked"]


def test_a_refusal_is_an_answer(client: DewarClient, app: dewar.Dewar, mount: str) -> None:
    """And no error."""
    opening = client.websocket(f"{mount}/refuse")
    with pytest.raises(ConnectionError, match="answered 403 FORBIDDEN: 'no'"):
        opening.__enter__()
    assert app.extensions["errors"] == [None]
