"""`WebSocketCall`: the app's call with the handshake of a WebSocket, on a thread."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTimeError
from contextlib import contextmanager
from contextvars import copy_context
from socket import socketpair
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

from werkzeug.datastructures import Headers
from werkzeug.test import run_wsgi_app

from dewar.environ_keys import UPGRADE
from dewar.support.background_thread import BackgroundThread
from dewar.testing.errors import NoMessageError
from dewar.testing.websocket import ClientWebSocket
from dewar.websocket.socket_upgrade import SocketUpgrade
from dewar.websocket.websocket import JSONCodec

Answer = tuple[Iterable[bytes], str, Headers]

# 16 bytes in base64 (RFC 6455 §4.1). Nothing depends on them here, so they need not be random.
_KEY = "ZGV3YXIgdGVzdCBjbGllbg=="


def with_http_scheme(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments of `EnvironBuilder` with ``ws://`` and ``wss://`` replaced in the URL."""
    url = args[0] if args else None
    if isinstance(url, str) and url.startswith(("ws://", "wss://")):
        return "http" + url.removeprefix("ws"), *args[1:]
    return args


def add_handshake(environ: WSGIEnvironment, subprotocols: Iterable[str]) -> None:
    """Add the header fields of a handshake (RFC 6455 §4.1) that a test does not set itself."""
    offered = ", ".join(subprotocols)
    if offered:
        environ["HTTP_SEC_WEBSOCKET_PROTOCOL"] = offered
    environ.setdefault("HTTP_CONNECTION", "Upgrade")
    environ.setdefault("HTTP_UPGRADE", "websocket")
    environ.setdefault("HTTP_SEC_WEBSOCKET_KEY", _KEY)
    environ.setdefault("HTTP_SEC_WEBSOCKET_VERSION", "13")


class WebSocketCall:
    """A call that takes as long as the WebSocket is open.

    Args:
        app: The app.
        environ: The handshake.
        json: Writes and reads JSON.
        timeout: How many seconds to wait for each step of the app.

    Attributes:
        websocket: The client's end of the WebSocket.
    """

    def __init__(
        self, app: WSGIApplication, environ: WSGIEnvironment, json: JSONCodec, timeout: float
    ) -> None:
        self._app = app
        self._timeout = timeout
        self._socket, self._other_socket = socketpair()
        # The second key is for extensions that speak the protocol themselves.
        self._environ = {
            **environ, UPGRADE: SocketUpgrade(self._socket), "werkzeug.socket": self._socket,
        }  # fmt: skip
        self.websocket = ClientWebSocket(self._other_socket, json, timeout)
        self._answer: Future[Answer] = Future()

    def __repr__(self) -> str:
        return f"<WebSocketCall of {self._app!r}, {'ended' if self._answer.done() else 'running'}>"

    def begin(self) -> bool:
        """Call the app; return whether it accepts the WebSocket.

        The app sees the variables of the caller's context, as in any other call.

        Raises:
            NoMessageError: If it does not answer in time.
        """
        BackgroundThread("dewar-test-websocket", copy_context().run, self._run).start()
        return self.websocket.wait_accepted()

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Close the WebSocket after a block, and wait for the end of the call.

        Raises:
            BaseException: What `end` raises.
        """
        try:
            yield
        finally:
            try:
                self.websocket.close()
            finally:
                self.end()

    def end(self) -> Answer:
        """Return what the app answered, when its call has ended.

        Raises:
            NoMessageError: If it does not end in time.
            BaseException: What the call raised.
        """
        self._other_socket.close()
        try:
            return self._answer.result(self._timeout)
        except NotInTimeError:
            if self._answer.done():
                raise  # by the app
            raise NoMessageError("did not return from its view", self._timeout) from None

    def _run(self) -> None:
        try:
            answer = run_wsgi_app(self._app, self._environ, buffered=True)
        except BaseException as error:  # noqa: BLE001  # raised in the thread of the test
            self._answer.set_exception(error)
        else:
            self._answer.set_result(answer)
        finally:
            self._socket.close()
