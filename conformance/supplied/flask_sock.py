"""Flask-Sock over real sockets: what its release, which has no server in its tests, leaves out."""

# ruff: noqa: S101 - these are the assertions of tests

import socket
import threading
from typing import Any

import flask
import pytest
from flask_sock import Sock
from simple_websocket import Client, ConnectionClosed


def make_app() -> flask.Flask:
    """Return an app that echoes, ends by itself, fails, and answers in HTTP."""
    app = flask.Flask(__name__)
    sock = Sock(app)

    def echo(ws: Any) -> None:
        while True:
            ws.send(ws.receive())

    def once(ws: Any) -> None:
        ws.send(flask.request.args["word"] + ws.receive())

    sock.route("/echo")(echo)
    sock.route("/once", methods=["GET"])(once)

    @app.get("/")
    def index() -> str:
        return "plain"

    return app


@pytest.fixture(scope="module")
def url() -> str:
    """Serve the app with ``app.run``, and return its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {"port": port, "threaded": True}
    threading.Thread(target=make_app().run, kwargs=options, daemon=True).start()
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", port), 10).close()
            break
        except ConnectionRefusedError:
            threading.Event().wait(0.01)
    return f"ws://127.0.0.1:{port}"


@pytest.mark.parametrize("message", ["hello", "h\xe4", "x" * 200_000, b"\0\xff", b"y" * 200_000])
def test_messages_come_back(url: str, message: str | bytes) -> None:
    """Text and bytes, small and large."""
    client = Client.connect(f"{url}/echo")
    for _ in range(3):
        client.send(message)
        assert client.receive(timeout=10) == message
    client.close()


def test_a_view_that_returns_closes(url: str) -> None:
    """With the code of a normal end, after what it has sent."""
    client = Client.connect(f"{url}/once?word=good")
    client.send("bye")  # before it, this client would not see a message that follows the response
    assert client.receive(timeout=10) == "goodbye"
    with pytest.raises(ConnectionClosed) as closed:
        client.receive(timeout=10)
    assert closed.value.reason == 1000


def test_many_are_open_at_a_time(url: str) -> None:
    """Each has its own messages."""
    clients = [Client.connect(f"{url}/echo") for _ in range(20)]
    for number, client in enumerate(clients):
        client.send(str(number))
    assert [client.receive(timeout=10) for client in clients] == [str(n) for n in range(20)]
    for client in clients:
        client.close()
