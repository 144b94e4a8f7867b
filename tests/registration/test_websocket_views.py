"""Registering the view of a WebSocket."""

from functools import partial
from typing import Any

import pytest

import dewar
from dewar.registration.websocket_views import WebSocketViewError


async def chat(ws: Any, room: int = 0) -> None:
    """Do nothing; these tests do not call it."""


def plain(ws: Any) -> None:
    """Return None, as no WebSocket's view does."""


async def generator(ws: Any) -> Any:
    """Yield, as no WebSocket's view does."""
    yield


def test_the_rule_is_one_of_a_websocket() -> None:
    """With the endpoint of the view, and the decorator gives the view back."""
    app = dewar.Dewar("chat", static_folder=None)
    assert app.websocket("/chat/<int:room>")(chat) is chat
    app.websocket("/other", endpoint="other", defaults={"room": 1})(chat)
    rules = list(app.url_map.iter_rules())
    assert [(rule.endpoint, rule.websocket, rule.methods) for rule in rules] == [
        ("chat", True, {"GET", "HEAD"}),
        ("other", True, {"GET", "HEAD"}),
    ]


def test_urls_have_the_scheme_of_websockets() -> None:
    """Browsers need the whole URL."""
    app = dewar.Dewar("chat")
    app.websocket("/chat/<int:room>")(chat)
    with app.test_request_context(base_url="http://example.com"):
        assert dewar.url_for("chat", room=1) == "ws://example.com/chat/1"
    with app.test_request_context(base_url="https://example.com/app"):
        assert dewar.url_for("chat", room=1) == "wss://example.com/app/chat/1"


def test_blueprints_have_websockets_too() -> None:
    """Under their prefix and name, also where they are nested."""
    inner = dewar.Blueprint("inner", __name__, url_prefix="/inner")
    inner.websocket("/chat/<int:room>")(chat)
    outer = dewar.Blueprint("outer", __name__, url_prefix="/outer")
    outer.register_blueprint(inner)
    app = dewar.Dewar("chat")
    app.register_blueprint(outer)
    app.register_blueprint(inner, subdomain="live")
    with app.test_request_context():
        assert dewar.url_for("outer.inner.chat", room=1) == "ws://localhost/outer/inner/chat/1"
    assert [rule.subdomain for rule in app.url_map.iter_rules("inner.chat")] == ["live"]


@pytest.mark.parametrize("view", [plain, generator, partial(plain)])
def test_the_view_has_to_be_a_coroutine_function(view: Any) -> None:
    """The error shows the first line of one."""
    app = dewar.Dewar("chat")
    with pytest.raises(WebSocketViewError, match=r"of the WebSocket '/chat' .* Write: async def"):
        app.websocket("/chat")(view)
    with pytest.raises(TypeError):
        dewar.Blueprint("chat", __name__).websocket("/chat")(view)


def test_there_are_no_methods() -> None:
    """A handshake is a GET."""
    app = dewar.Dewar("chat")
    with pytest.raises(WebSocketViewError, match=r"Write: @app\.websocket\('/chat'\)"):
        app.websocket("/chat", methods=["POST"])(chat)


def test_the_decorator_needs_a_rule() -> None:
    """Without its parentheses it would register nothing."""
    decorate: Any = dewar.Dewar("chat").websocket
    with pytest.raises(WebSocketViewError, match=r"Write: @app\.websocket\('/chat'\)"):
        decorate(chat)


def test_a_route_may_have_origins_of_its_own() -> None:
    """They are checked when it is registered."""
    app = dewar.Dewar("chat")
    with pytest.raises(ValueError, match=r"Write: origins = \['https://example\.com'\]"):
        app.websocket("/chat", origins=["example.com"])(chat)


def test_a_program_may_call_something_else_websocket() -> None:
    """Nothing of Dewar calls the method by its name."""
    app = dewar.Dewar("chat")
    blueprint = dewar.Blueprint("chat", __name__)
    blueprint.websocket("/chat")(chat)
    app.websocket = blueprint.websocket = None  # type: ignore[assignment,method-assign]  # its own
    app.register_blueprint(blueprint)
    app.testing = True
    opening = app.test_client().websocket("/chat")
    with pytest.raises(TypeError, match="returned None"):
        opening.__enter__()
