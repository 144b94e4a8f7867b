"""A server on a free port, and a client that speaks raw bytes."""

import asyncio
import contextlib
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

from dewar.server import Server, Settings
from dewar.server.connection.state import ConnectionState
from polling import eventually

Serve = Callable[..., "Served"]


def block_a_moment() -> None:
    """Hold the calling thread, as a slow view does: long enough to lose the leadership."""
    time.sleep(0.004)


async def suspend_a_moment() -> None:
    """Wait on the event loop for a timer, as a coroutine view does for an answer."""
    await asyncio.sleep(0.004)


def wait_in_head(server: Any, count: int) -> None:
    """Wait until *count* connections have a part of a head, and so are not idle."""
    found = server._backend._pool._connections.open
    state = ConnectionState.HEAD
    eventually(lambda: sum(one.state is state for one in [*found.values()]) == count)


class Client:
    """One connection to a server."""

    def __init__(
        self,
        address: tuple[str, int],
        context: ssl.SSLContext | None = None,
        name: str = "localhost",
        before: bytes = b"",
    ) -> None:
        self.sock = socket.create_connection(address, timeout=10)
        self.sock.sendall(before)
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname=name)
        self._rest = b""

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self.sock.sendall(data)

    def ask(self, data: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
        """Send a request and read its answer."""
        self.send(data)
        return self.answer(head=data.startswith(b"HEAD"))

    def get(self, target: str = "/", **fields: str) -> tuple[bytes, dict[bytes, bytes], bytes]:
        """Ask for a target."""
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        return self.ask(f"GET {target} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())

    def answer(
        self, head: bool = False, *, hangs_up: bool = True
    ) -> tuple[bytes, dict[bytes, bytes], bytes]:
        """Read one response: status line, fields in lower case, body.

        If it says that the connection ends, this half is ended too, as other clients do it. The
        server would wait for that, and its stop with it.
        """
        status, fields, body = self._answer(head)
        is_last = hangs_up and fields.get(b"connection") == b"close"
        if is_last and type(self.sock) is socket.socket:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
        return status, fields, body

    def _answer(self, head: bool) -> tuple[bytes, dict[bytes, bytes], bytes]:
        status, *lines = self._until(b"\r\n\r\n").split(b"\r\n")
        fields = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}
        if head or status.split()[1] in (b"204", b"304", b"100"):
            return status, fields, b""
        if b"content-length" in fields:
            return status, fields, self._exactly(int(fields[b"content-length"]))
        if fields.get(b"transfer-encoding") == b"chunked":
            return status, fields, b"".join(self.chunks())
        return status, fields, self.rest()

    def chunks(self) -> Iterator[bytes]:
        """Read the chunks of a body as they come."""
        while size := int(self._until(b"\r\n"), 16):
            yield self._exactly(size)
            self._exactly(2)
        self._exactly(2)

    def events(self, target: str) -> Iterator[tuple[str, Any]]:
        """Ask for a stream of events; read their names, and their data, which is JSON."""
        self.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 200 " in self._until(b"\r\n\r\n")
        for chunk in self.chunks():
            fields = dict(line.split(": ", 1) for line in chunk.decode().splitlines() if line)
            if "event" in fields:
                yield fields["event"], json.loads(fields["data"])

    def rest(self) -> bytes:
        """Read until the server closes."""
        data, self._rest = self._rest, b""
        while piece := self.sock.recv(65536):
            data += piece
        return data

    def is_closed(self) -> bool:
        """Wait for the server to close; tell whether nothing came before."""
        try:
            return self.rest() == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Hang up."""
        self.sock.close()

    def _until(self, end: bytes) -> bytes:
        while end not in self._rest:
            self._receive()
        data, _, self._rest = self._rest.partition(end)
        return data

    def _exactly(self, count: int) -> bytes:
        while len(self._rest) < count:
            self._receive()
        data, self._rest = self._rest[:count], self._rest[count:]
        return data

    def _receive(self) -> None:
        piece = self.sock.recv(65536)
        if not piece:
            raise EOFError(f"the server closed after {self._rest!r}")
        self._rest += piece


class Served:
    """A running server and its clients."""

    def __init__(
        self, app: Any, clock: Callable[[], float] | None, settings: dict[str, Any]
    ) -> None:
        arguments = {} if clock is None else {"clock": clock}
        self.server = Server(app, Settings(bind="127.0.0.1:0", **settings), **arguments)
        self.server.start()
        host, _, port = self.server.addresses[0].partition("://")[2].rpartition(":")
        self.address = host, int(port)
        self._clients: list[Client] = []

    def client(self, context: ssl.SSLContext | None = None, **options: Any) -> Client:
        """Connect; over TLS with a context."""
        client = Client(self.address, context, **options)
        self._clients.append(client)
        return client

    def stop(self) -> None:
        """Hang up all clients and stop the server."""
        for client in self._clients:
            client.close()
        self.server.stop(5)
