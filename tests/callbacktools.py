"""Receivers of callbacks that behave as they are told to, also badly."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

#: No test waits longer than this for what must come, in seconds.
PATIENCE = 20.0


@dataclass(frozen=True)
class Received:
    """A request that came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[[socket.socket, "Receiver"], None]


def answer(status: int = 204, headers: str = "", body: bytes = b"") -> Behaviour:
    """Answer so, and close."""
    head = f"HTTP/1.1 {status} Word\r\nContent-Length: {len(body)}\r\n{headers}\r\n"

    def behave(connection: socket.socket, receiver: "Receiver") -> None:
        receiver.read(connection)
        connection.sendall(head.encode() + body)

    return behave


class Receiver:
    """Listens on a loopback port until it is closed, and notes what comes.

    Args:
        behave: is given each connection; the last of several is for all that follow.
        context: for TLS.
    """

    def __init__(self, *behave: Behaviour, context: ssl.SSLContext | None = None) -> None:
        self._behave = list(behave or [answer()])
        self._context = context
        self.requests: list[Received] = []
        self.connections = 0
        self.closing = threading.Event()
        self._open: list[socket.socket] = []
        self._came = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        """Return the URL of it."""
        return f"http{'s' if self._context else ''}://{host}:{self.port}{path}"

    def wait(self, count: int) -> list[Received]:
        """Return the requests when there are so many."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.requests) >= count, PATIENCE)
            return list(self.requests)

    def wait_connections(self, count: int) -> None:
        """Return when so many have connected."""
        with self._came:
            assert self._came.wait_for(lambda: self.connections >= count, PATIENCE)

    def read(self, connection: socket.socket) -> Received:
        """Read a request and note it."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._some(connection)
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        while len(body) < int(headers.get("content-length", 0)):
            body += self._some(connection)
        method, target, _ = first.split(" ")
        received = Received(method, target, headers, body)
        with self._came:
            self.requests.append(received)
            self._came.notify_all()
        return received

    def _some(self, connection: socket.socket) -> bytes:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError
        return piece

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with self._came:
                    behave = self._behave[min(self.connections, len(self._behave) - 1)]
                    self._open.append(connection)
                    self.connections += 1
                    self._came.notify_all()
                thread = threading.Thread(target=self._serve, args=(connection, behave))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket, behave: Behaviour) -> None:
        with suppress(OSError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            with connection:
                behave(connection, self)

    def close(self) -> None:
        """Close all, and wait for the threads."""
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(PATIENCE)
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        for connection in self._open:
            connection.close()
