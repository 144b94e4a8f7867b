"""Flask-SocketIO over real sockets, in threading mode, with each transport."""

# ruff: noqa: S101 - these are the assertions of tests

import socket
import threading
from typing import Any

import flask
import pytest
import socketio
from flask_socketio import SocketIO, emit


@pytest.fixture(scope="module")
def url() -> str:
    """Serve an app with ``socketio.run``, and return its address."""
    app = flask.Flask(__name__)
    served = SocketIO(app, async_mode="threading")

    def shout(text: str) -> str:
        emit("heard", text, broadcast=True)
        return text.upper()

    served.on("shout")(shout)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {"port": port, "allow_unsafe_werkzeug": True}
    threading.Thread(target=served.run, args=(app,), kwargs=options, daemon=True).start()
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", port), 10).close()
            break
        except ConnectionRefusedError:
            threading.Event().wait(0.01)
    return f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
def test_events_go_both_ways(url: str, transports: list[str]) -> None:
    """With an acknowledgement, and to every client."""
    clients = [socketio.Client() for _ in range(2)]
    heard = [threading.Event() for _ in clients]
    words: list[Any] = []
    for client, event in zip(clients, heard, strict=True):

        def note(text: str, event: threading.Event = event) -> None:
            words.append(text)
            event.set()

        client.on("heard", note)
        client.connect(url, transports=transports, wait_timeout=10)
    assert clients[0].call("shout", "hello", timeout=10) == "HELLO"
    assert all(event.wait(10) for event in heard)
    assert words == ["hello", "hello"]
    assert clients[0].transport() == transports[-1]
    for client in clients:
        client.disconnect()
