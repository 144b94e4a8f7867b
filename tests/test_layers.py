"""What a WSGI app is middleware for."""

from types import SimpleNamespace
from typing import Any

from dewar import Dewar
from dewar.layers import layers, maybe_layer_with, maybe_own_method


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


class Whole:
    """An app that can be asked for the loop."""

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        """Answer."""
        return []

    def begin_on_loop(self, environ: Any, start_response: Any) -> None:
        """Leave it to a thread."""


def test_the_entry_of_the_loop_is_the_apps_method() -> None:
    """Also where a subclass has it, with a call of its own or without."""

    class Subclass(Whole):
        pass

    class Both(Whole):
        __call__ = Whole.__call__
        begin_on_loop = Whole.begin_on_loop

    for app in (Whole(), Subclass(), Both()):
        assert maybe_own_method(app, "begin_on_loop") == app.begin_on_loop


def test_what_does_more_than_the_method_when_it_is_called_has_no_entry() -> None:
    """A subclass that is called otherwise, middleware with its app's attributes, and functions."""

    class Called(Whole):
        def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
            return [b"more"]

    class Middleware:
        def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
            return [b"more"]

        def __getattr__(self, name: str) -> Any:
            return getattr(Whole(), name)

    for app in (Called(), Middleware(), Whole().__call__, lambda environ, start_response: []):
        assert maybe_own_method(app, "begin_on_loop") is None
