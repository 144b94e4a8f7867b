"""The chat of the tour."""

from typing import Any

import pytest

from dewar.testing.errors import WebSocketRefusedError


def said(ws: Any) -> tuple[str, str]:
    """Return who said what in the next message."""
    message = ws.receive_json()
    return message["by"], message["text"]


def test_everyone_gets_every_message(app: Any) -> None:
    """Also the one who sent it, with a name that tells them apart."""
    with app.test_client().websocket("/api/chat") as ann:
        assert said(ann) == ("the server", "Browsers here: 1.")
        with app.test_client().websocket("/api/chat") as bob:
            assert said(ann) == said(bob) == ("the server", "Browsers here: 2.")
            ann.send("hello")
            by_ann = said(bob)
            assert said(ann) == by_ann
            bob.send("hello too")
            by_bob = said(ann)
            assert said(bob) == by_bob
    assert (by_ann[1], by_bob[1]) == ("hello", "hello too")
    assert by_ann[0] != by_bob[0]


def test_who_leaves_is_forgotten(app: Any) -> None:
    """So that nothing is sent to a closed WebSocket."""
    with app.test_client().websocket("/api/chat") as ws:
        said(ws)
        assert len(app.extensions["chatting"]) == 1
    assert app.extensions["chatting"] == set()


def test_a_long_message_is_cut(app: Any) -> None:
    """At the length that the page says."""
    with app.test_client().websocket("/api/chat") as ws:
        said(ws)
        ws.send("x" * 500)
        assert said(ws)[1] == "x" * 280


def test_pages_of_other_origins_stay_out(app: Any) -> None:
    """A browser says where a page is from."""
    opening = app.test_client().websocket("/api/chat", headers={"Origin": "https://evil.example"})
    with pytest.raises(WebSocketRefusedError, match="403"):
        opening.__enter__()


def test_the_page_has_the_address_of_the_websocket(client: Any) -> None:
    """With the scheme of WebSockets."""
    assert 'data-url="ws://localhost/api/chat"' in client.get("/chat").text
