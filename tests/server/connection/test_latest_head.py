"""A head that is taken from the last response of the same size is the one that is composed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dewar.server.connection.connection import Connection
from dewar.server.connection.server_context import ServerContext
from dewar.server.settings.settings import Settings


class Wire:
    """A socket that gives one request after the other and keeps what is sent."""

    def __init__(self) -> None:
        self.incoming = b""
        self.sent: list[bytes] = []

    def fileno(self) -> int:
        """Return a number that no real descriptor has."""
        return 9999

    def recv(self, _size: int) -> bytes:
        """Give the request."""
        return self.incoming

    def send(self, data: bytes) -> int:
        """Take all."""
        self.sent.append(bytes(data))
        return len(data)

    def shutdown(self, _how: int) -> None:
        """Shut the writing side."""


REQUESTS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ]
)
FIELDS = st.lists(
    st.sampled_from(
        [("X-A", "1"), ("X-A", "2"), ("Content-Length", "3"), ("Content-Length", "1"),
         ("Connection", "close"), ("Content-Type", "text/plain"), ("Date", "now")]
    ),
    max_size=2,
)  # fmt: skip
ANSWERS = st.tuples(
    st.sampled_from(["200 OK", "404 Not Found", "204 No Content", "304 Not Modified"]),
    FIELDS,
    st.sampled_from([b"", b"abc", b"xyz", b"a"]),
)
STEPS = st.lists(st.tuples(REQUESTS, ANSWERS, st.booleans()), min_size=1, max_size=8)


def serve(server_context: ServerContext, request: bytes) -> Any:
    wire = Wire()
    connection = Connection(server_context, wire, {"SERVER_PROTOCOL": "HTTP/1.1"})  # type: ignore[arg-type]
    wire.incoming = request
    assert connection.receive()
    connection.run()
    return b"".join(wire.sent), connection.state


@given(STEPS, st.integers(1, 9))
def test_an_answer_does_not_depend_on_those_before_it(steps: list[Any], stops_after: int) -> None:
    """Also when the application changes its list afterwards, and when the server stops."""
    current: Any = None

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        status, fields, body = current
        start_response(status, fields)
        return [body]

    used = ServerContext(app, Settings(), lambda: 0.0)
    used.writer.refresh(0.0)
    for number, (request, (status, fields, body), reuses) in enumerate([*steps, *steps]):
        fresh = ServerContext(app, Settings(), lambda: 0.0)
        fresh.writer.refresh(0.0)
        if number >= stops_after:
            used.begin_draining()
            fresh.begin_draining()
        sent = list(fields)
        current = status, sent, body
        found = serve(used, request)
        if reuses:
            sent.append(("X-Late", "1"))
            sent.pop(0)
        current = status, list(fields), body
        assert found == serve(fresh, request)
