"""`FallbackServer`: answers 503 on the sockets of an app that cannot run now."""

import os
from collections.abc import Iterable
from socket import socket
from wsgiref.types import StartResponse, WSGIEnvironment

from dewar.server.server import Server
from dewar.server.settings.settings import Settings

# For a request that is being answered when the app comes back, in seconds.
_TIMEOUT = 1.0


class FallbackServer:
    """Serves one page with status 503 on given sockets, from `start` to `stop`.

    Args:
        listeners: Sockets that listen; they stay open.
        settings: Those of the app's server; TLS is taken from them.
    """

    def __init__(self, listeners: list[socket], settings: Settings) -> None:
        self._listeners = listeners
        self._settings = settings
        self._server: Server | None = None

    def __repr__(self) -> str:
        return f"<FallbackServer {self._server!r}>"

    def start(self, text: str) -> None:
        """Answer each request with *text* until `stop`."""
        content = f"{text}\n".encode()

        def unavailable(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            fields = [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(content))),
                ("Cache-Control", "no-store"),
                ("Retry-After", "1"),
                ("Connection", "close"),
            ]
            start_response("503 Service Unavailable", fields)
            return [content]

        self._server = Server(unavailable, self._own_settings())
        self._server.start()

    def stop(self) -> None:
        """Leave the sockets to the app."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(_TIMEOUT)

    def _own_settings(self) -> Settings:
        # Copies of the descriptors, because the server closes its own.
        numbers = [os.dup(listener.fileno()) for listener in self._listeners]
        given = self._settings
        return Settings(
            bind=",".join(f"fd://{number}" for number in numbers),
            threads=1,
            certfile=given.certfile,
            keyfile=given.keyfile,
            client_ca=given.client_ca,
            ssl_context=given.ssl_context,
        )
