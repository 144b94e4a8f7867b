"""What a WSGI app is middleware for."""

from types import SimpleNamespace
from typing import Any

from dewar import Dewar
from dewar.layers import layers, maybe_layer_with


class Middleware:
    """Keeps what it wraps as ``app``, and has a field that is none."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.wsgi_app = "not this"

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


def plain(environ: Any, start_response: Any) -> list[bytes]:
    return []


def test_layers_come_from_the_outside_in() -> None:
    """By ``app``, by ``wsgi_app`` where that can be called, and from a method to its object."""
    app = Dewar(__name__)
    inner = Middleware(plain)
    assert list(layers(Middleware(inner)))[1:] == [inner, plain]
    assert list(layers(plain)) == [plain]
    assert list(layers(None)) == []
    outer = SimpleNamespace(app="a text", wsgi_app=Middleware(app.wsgi_app))
    found = list(layers(outer))
    assert found[0] is outer
    assert found[3] is app


def test_a_circle_ends() -> None:
    """However it came to be."""
    circle = Middleware(plain)
    circle.app = circle
    assert set(layers(circle)) == {circle}
    assert maybe_layer_with(circle, "begin_serving") is None


def test_the_outermost_layer_with_a_method_is_found() -> None:
    """What bears the name and cannot be called is passed by."""
    app = Dewar(__name__)
    middleware = Middleware(Middleware(app))
    middleware.begin_serving = "no method"  # type: ignore[attr-defined]
    assert maybe_layer_with(middleware, "begin_serving") is app
