"""Flask-Sock on the server: what it does with the socket of the environ, over real connections."""

import threading
from typing import Any

import pytest
from flask import Flask, request
from flask_sock import Sock
from simple_websocket import Client as SockClient
from simple_websocket import ConnectionClosed

from certificates import Certificates
from polling import eventually
from servertools import Serve, Served


def make_app() -> Flask:
    app = Flask(__name__)
    app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 25}
    sock = Sock(app)

    @sock.route("/echo")
    def echo(ws: Any) -> None:
        while True:
            ws.send(ws.receive())

    @sock.route("/once")
    def once(ws: Any) -> None:
        ws.send(request.args["word"] + ws.receive())

    @sock.route("/fail")
    def fail(ws: Any) -> None:
        raise ZeroDivisionError

    return app


def connect(served: Served, path: str, context: Any = None) -> SockClient:
    scheme = "ws" if context is None else "wss"
    host = "localhost" if context is not None else served.address[0]
    return SockClient.connect(f"{scheme}://{host}:{served.address[1]}{path}", ssl_context=context)


@pytest.mark.parametrize("secure", [False, True])
def test_messages_come_back(serve: Serve, certificates: Certificates, secure: bool) -> None:
    """Text and bytes, small and large; the client's close is answered with its code."""
    served = serve(make_app(), **(certificates.pair() if secure else {}))
    client = connect(served, "/echo", certificates.client() if secure else None)
    for message in ("hello", b"\0\xff", "x" * 300_000, b"y" * 300_000):
        client.send(message)
        assert client.receive(timeout=20) == message
    client.close()
    eventually(lambda: served.server.statistics().pool.websockets == 0)


def test_a_view_that_returns_closes_normally(serve: Serve) -> None:
    """After what it has sent."""
    client = connect(serve(make_app()), "/once?word=good")
    client.send("bye")  # before it, this client would not see a message that follows the response
    assert client.receive(timeout=20) == "goodbye"
    with pytest.raises(ConnectionClosed) as closed:
        client.receive(timeout=20)
    assert closed.value.reason == 1000


def test_a_view_that_fails_ends_the_connection(serve: Serve, caplog: Any) -> None:
    """Flask logs its error, and its page is not sent into the WebSocket."""
    client = connect(serve(make_app()), "/fail")
    with pytest.raises(ConnectionClosed):
        client.receive(timeout=20)
    assert "ZeroDivisionError" in caplog.text


def test_a_plain_request_for_it_is_answered_by_flask(serve: Serve) -> None:
    """With what its URL map says."""
    assert serve(make_app()).client().get("/echo")[0] == b"HTTP/1.1 400 BAD REQUEST"


def test_a_stop_closes_all_with_1001(serve: Serve) -> None:
    """And ends as soon as they have answered."""
    served = serve(make_app(), threads=1)
    clients = [connect(served, "/echo") for _ in range(5)]
    stopper = threading.Thread(target=served.server.stop, args=(20,))
    stopper.start()
    for client in clients:
        with pytest.raises(ConnectionClosed) as closed:
            client.receive(timeout=20)
        assert closed.value.reason == 1001
    stopper.join(20)
    assert served.server.wait_stopped(0)
