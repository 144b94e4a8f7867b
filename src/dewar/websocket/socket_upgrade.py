"""Taking a connection over from another WSGI server, which offers its socket in the environ."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from dewar.environ_keys import SOCKETS, UPGRADE
from dewar.websocket.opening import Upgrade


def maybe_upgrade(environ: Mapping[str, Any]) -> Upgrade | None:
    """Return what takes over the connection of a request; None if the server does not offer it.

    With TLS, other servers offer a socket that is bound to their thread; that is not taken over.
    """
    upgrade: Upgrade | None = environ.get(UPGRADE)
    if upgrade is not None:
        return upgrade
    for name in SOCKETS:
        sock = environ.get(name)
        if isinstance(sock, socket.socket) and not isinstance(sock, ssl.SSLSocket):
            return SocketUpgrade(sock)
    return None


class SocketUpgrade:
    """Takes over a socket, which the server leaves alone until the application has returned.

    Args:
        sock: The server's socket. It stays open; the WebSocket has a duplicate.
    """

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __repr__(self) -> str:
        return f"<SocketUpgrade of {self._sock!r}>"

    async def __call__(
        self,
        protocol: asyncio.Protocol,
        going_away: Callable[[], None],  # noqa: ARG002
    ) -> asyncio.Transport:
        """Return the transport of the connection.

        Args:
            protocol: Gets what the client sends.
            going_away: Never called: such a server does not say that it stops.

        Raises:
            OSError: If the process has no descriptor left for the duplicate.
        """
        duplicate = self._sock.dup()
        duplicate.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, duplicate)
        return transport
