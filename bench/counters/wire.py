"""Requests through the server, over a real socket, in one thread.

This thread leads the server's pool, whose threads are not started. So there is no watchdog, which
would replace a leader that a tool makes slow, and nothing else runs. The client is called before
each poll: it takes the response to its last request and sends the next one.
"""

import itertools
import socket
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar
from unittest.mock import patch
from wsgiref.types import WSGIApplication

from dewar.loop.process_loop import process_loop
from dewar.server.connection.server_context import ServerContext
from dewar.server.settings.settings import Settings
from dewar.server.system.listeners import open_listeners
from dewar.server.threads import pool as pool_module
from dewar.server.threads.poller import BATCH, Poller, open_poller
from dewar.server.threads.pool import Pool
from dewar.support.waker import Waker

_T = TypeVar("_T")
_TIMEOUT = 1.0


class _AllSentError(Exception):
    """There is nothing left to send, and no response to wait for."""


class Client:
    """Sends one request after the other, each after the response to the one before.

    Attributes:
        sock: The connection.
        response: The last response.
        size: The bytes to take at once, at most.
    """

    def __init__(self) -> None:
        self.sock: socket.socket
        self.response = b""
        self.size = 65536
        self._messages: list[bytes] = []
        self._is_waiting = False

    def load(self, messages: list[bytes]) -> None:
        """Set what to send next, the last one first."""
        self._messages = messages

    def turn(self) -> None:
        """Take a response and send a request.

        Raises:
            _AllSentError: All requests are answered.
        """
        if self._is_waiting:
            try:
                self.response = self.sock.recv(self.size)
            except BlockingIOError:
                return  # the server accepts the connection first
        self._is_waiting = bool(self._messages)
        if not self._is_waiting:
            raise _AllSentError
        self.sock.send(self._messages.pop())


class Wire:
    """A server and its client.

    Args:
        app: What is served.
        requests: Returns the messages of a number of requests.
    """

    def __init__(self, app: WSGIApplication, requests: Callable[[int], list[bytes]]) -> None:
        self._requests = requests
        self._client = Client()
        # A clock that stands still: the leader looks at the deadlines once, before all requests.
        context = ServerContext(app, Settings(bind="127.0.0.1:0"), itertools.repeat(0.0).__next__)
        listeners = open_listeners(context.settings.bind, 1)
        address = listeners[0].getsockname()
        with patch.object(pool_module, "open_poller", self._open_poller):
            self._pool = Pool(context, listeners)
        self._client.sock = socket.create_connection(address)
        self._client.sock.setblocking(False)

    def check(self) -> None:
        """Send a request.

        Raises:
            ValueError: If the response is not the expected kind.
        """
        self.here(self.prepare(1))
        self._client.sock.setblocking(True)
        if not self._client.response.startswith(b"HTTP/1.1 200 OK\r\n"):
            raise ValueError(f"{self._requests(1)} is answered with {self._client.response!r}")

    def here(self, function: Callable[[], _T]) -> _T:
        """Call a function on the thread that leads."""
        return function()

    def prepare(self, count: int) -> Callable[[], None]:
        """Return a function that sends a number of requests and serves them."""
        self._client.load(self._requests(count))
        return self._lead

    def prepare_client(self, count: int) -> Callable[[], None]:
        """Return a function that does the client's part of it alone, with the same responses."""
        client = Client()
        client.sock, peer = socket.socketpair()
        client.size = len(self._client.response)
        client.load(self._requests(count))
        for _ in range(count):
            peer.send(self._client.response)
        # A type stands in for the poll: its call is none to a profiler.
        poll = _after(client, float)
        return lambda: _poll_on(poll, peer)

    def _lead(self) -> None:
        try:
            self._pool._poll_and_run([])
        except _AllSentError:
            return

    def _open_poller(self, waker: Waker) -> Poller:
        poller = open_poller(waker)
        poller.poll = _after(self._client, poller.poll)  # type: ignore[method-assign]
        return poller


class WireOnLoop(Wire):
    """The same where the event loop's thread leads, as it does while views are coroutines."""

    def here(self, function: Callable[[], _T]) -> _T:
        """See `Wire`."""
        called: Future[_T] = Future()
        process_loop.call_soon(_call, function, called)
        return called.result()

    def _lead(self) -> None:
        leadership, loop_leader = self._pool._leadership, self._pool._loop_leader
        while not leadership.loop_score.prefers_loop:
            leadership.loop_score.note_loop()
        token = leadership.begin_on_loop()
        try:
            while loop_leader._lead_round(token):
                pass
        except _AllSentError:
            return


def _call(function: Callable[[], _T], called: "Future[_T]") -> None:
    try:
        called.set_result(function())
    except BaseException as error:
        called.set_exception(error)


def _after(client: Client, poll: Callable[[float], _T]) -> Callable[..., _T]:
    def after(_timeout: float, _limit: int = BATCH) -> _T:
        client.turn()
        return poll(_TIMEOUT)  # the loop's thread would not wait for what is on its way

    return after


def _poll_on(poll: Callable[[float], object], _peer: socket.socket) -> None:
    try:
        while True:
            poll(0.0)
    except _AllSentError:
        return
