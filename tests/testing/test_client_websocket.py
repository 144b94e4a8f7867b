"""The test client's WebSockets."""

import asyncio
from typing import Any

import pytest

import dewar
from dewar import g, request, session
from dewar.testing.errors import NoMessageError, WebSocketRefusedError
from dewar.websocket.errors import (
    WebSocketClosedError,
    WebSocketTypeError,
    WebSocketValueError,
)  # fmt: skip


@pytest.fixture
def app() -> dewar.Dewar:
    """An app that raises its errors in the test."""
    app = dewar.Dewar("client-websocket", static_folder=None)
    app.secret_key = "a key for tests"
    app.testing = True

    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        g.seen = request.path
        async for message in ws:
            await ws.send(message)

    @app.websocket("/count")
    async def count(ws: Any) -> None:
        session["count"] = session.get("count", 0) + 1
        await ws.send_json({"count": session["count"]})

    @app.websocket("/fail")
    async def fail(ws: Any) -> None:
        await ws.receive()
        raise LookupError("as asked")

    @app.websocket("/forget")
    async def forget(ws: Any) -> None:
        await ws.accept()
        await asyncio.Event().wait()

    return app


def test_messages_go_to_and_fro(app: dewar.Dewar) -> None:
    """Texts, bytes, JSON and long messages."""
    with app.test_client().websocket("/echo") as ws:
        for message in ("hello", b"\x00\xff", "", "ü" * 300_000):
            ws.send(message)
            assert ws.receive() == message
        ws.send_json({"a": [1, None]})
        assert ws.receive_json() == {"a": [1, None]}
        assert ws.close_code is None
    assert ws.close_code == 1000


def test_the_client_keeps_its_cookies(app: dewar.Dewar) -> None:
    """A handshake sends and stores them as any other request."""
    client = app.test_client()
    for expected in (1, 2, 3):
        with client.websocket("/count") as ws:
            assert ws.receive_json() == {"count": expected}
    with client.session_transaction() as stored:
        assert stored["count"] == 3


def test_the_view_closes(app: dewar.Dewar) -> None:
    """Then receiving and sending raise the code."""
    with app.test_client().websocket("/count") as ws:
        ws.receive()
        for call in (ws.receive, lambda: ws.send("late")):
            with pytest.raises(WebSocketClosedError) as closed:
                call()
            assert closed.value.code == 1000
        assert ws.close_code == 1000


def test_a_refusal_holds_the_response(app: dewar.Dewar) -> None:
    """With its cookies stored, and a text that shows what the app answered."""

    @app.websocket("/refuse")
    async def refuse(ws: Any) -> Any:
        session["refused"] = True
        return {"error": "full"}, 503

    client = app.test_client()
    with (
        pytest.raises(WebSocketRefusedError, match=r"'/refuse', but answered 503") as refused,
        client.websocket("/refuse"),
    ):
        pass
    assert refused.value.response.get_json() == {"error": "full"}
    with client.session_transaction() as stored:
        assert stored["refused"]


def test_the_views_error_is_raised_at_the_end_of_the_block(app: dewar.Dewar) -> None:
    """Where errors propagate, as from every call of the client."""
    opening = app.test_client().websocket("/fail")
    ws = opening.__enter__()
    ws.send("now")
    with pytest.raises(WebSocketClosedError):
        ws.receive()
    assert ws.close_code == 1011
    with pytest.raises(LookupError, match="as asked"):
        opening.__exit__(None, None, None)


def test_the_error_of_the_test_is_kept(app: dewar.Dewar) -> None:
    """And the WebSocket is closed behind it."""
    with (
        pytest.raises(AssertionError, match="as expected"),
        app.test_client().websocket("/echo") as ws,
    ):
        raise AssertionError("as expected")
    assert ws.close_code == 1000


def test_what_cannot_be_sent_is_an_error(app: dewar.Dewar) -> None:
    """The errors are those of the app's side, and the WebSocket stays open."""
    with app.test_client().websocket("/echo") as ws:
        for message in (1, None, {"a": 1}, ["a"]):
            with pytest.raises(WebSocketTypeError, match="send_json"):
                ws.send(message)  # type: ignore[arg-type]
        for code, reason in ((1006, ""), (1000, "a" * 124), (99, "")):
            with pytest.raises(WebSocketValueError, match="close"):
                ws.close(code, reason)
        ws.send(memoryview(b"hello"))
        assert ws.receive() == b"hello"


def test_a_test_does_not_wait_for_ever(app: dewar.Dewar) -> None:
    """Neither for a message nor for a view that does not notice that the client has gone."""
    client = app.test_client()
    with client.websocket("/echo") as ws, pytest.raises(NoMessageError, match="sent no message"):
        ws.receive(timeout=0.01)
    with (
        pytest.raises(TimeoutError, match="did not return from its view"),
        client.websocket("/forget", timeout=0.2),
    ):
        pass


def test_the_context_is_preserved_in_a_with_block(app: dewar.Dewar) -> None:
    """As after every other call: until the next one."""
    with app.test_client() as client:
        with client.websocket("/echo"):
            pass
        assert request.path == g.seen == "/echo"
        with client.websocket("/count") as ws:
            ws.receive()
        assert request.path == "/count"
        assert session["count"] == 1


def test_urls_of_websockets_are_addresses(app: dewar.Dewar) -> None:
    """What `url_for` returns can be opened."""
    with app.test_request_context(base_url="https://shop.example"):
        url = dewar.url_for("echo")
    assert url == "wss://shop.example/echo"
    with app.test_client().websocket(url, headers={"Origin": "https://shop.example"}) as ws:
        ws.send("hello")
        assert ws.receive() == "hello"


def test_a_test_may_be_a_coroutine(app: dewar.Dewar) -> None:
    """The app runs on another loop than the test."""

    async def test() -> str | bytes:
        with app.test_client().websocket("/echo") as ws:
            ws.send("hello")
            return ws.receive()

    assert asyncio.run(test()) == "hello"


def test_an_app_context_around_it_is_shared(app: dewar.Dewar) -> None:
    """The view sees the `g` of the test, as the view of any other call does."""
    with app.app_context():
        g.word = "shared"
        app.websocket("/word")(_say_word)
        with app.test_client().websocket("/word") as ws:
            assert ws.receive() == "shared"


async def _say_word(ws: Any) -> None:
    await ws.send(g.word)
