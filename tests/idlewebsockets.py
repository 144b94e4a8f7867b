"""Prints how many bytes an idle WebSocket takes of the server, the app and the protocol.

A process of its own, because what other tests leave behind changes how Python stores attributes.
"""

import gc
import tracemalloc

import dewar
from servertools import Served

COUNT = 200
HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\nCookie: %s\r\n\r\n"
)


def make_app() -> dewar.Dewar:
    """Return an app whose WebSocket reads the session, and waits."""
    app = dewar.Dewar("idle", static_folder=None)
    app.secret_key = "a key"

    @app.get("/")
    def visit() -> str:
        dewar.session["name"] = "somebody"
        return ""

    @app.websocket("/echo")
    async def echo(ws: dewar.WebSocket) -> None:
        assert dewar.session["name"] == "somebody"
        async for message in ws:
            await ws.send(message)

    return app


def bytes_of_server() -> int:
    """Return how many bytes there are that no test has."""
    gc.collect()
    tests = tracemalloc.Filter(False, "*/tests/*")
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([tests]).traces)


def main() -> None:
    """Open some, then measure more of them."""
    served = Served(make_app(), None, {"threads": 2})
    cookie = served.client().get()[1][b"set-cookie"].split(b";")[0]

    def add(count: int) -> None:
        for _ in range(count):
            client = served.client()
            client.send(HANDSHAKE % cookie)
            assert client._until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")

    add(50)
    tracemalloc.start()
    before = bytes_of_server()
    add(COUNT)
    print((bytes_of_server() - before) // COUNT)
    tracemalloc.stop()
    served.stop()


if __name__ == "__main__":
    main()
