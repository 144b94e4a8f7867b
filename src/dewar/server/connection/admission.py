"""From an accepted socket to a connection: which clients are admitted, and what they send first."""

import socket

from dewar.server.connection.connection import Connection
from dewar.server.connection.environ import connection_environ
from dewar.server.connection.server_context import ServerContext
from dewar.server.proxies.trusted_hosts import TRUSTS_PEER, TrustedHosts, parse_trusted_hosts


class Admission:
    """Makes connections; only the leader uses it.

    Args:
        server_context: The server that the clients connect to.
    """

    def __init__(self, server_context: ServerContext) -> None:
        self._server_context = server_context
        settings = server_context.settings
        self._trust = parse_trusted_hosts(settings.trusted_hosts) or None
        self._wants_header = settings.proxy_protocol
        if self._wants_header or server_context.tls is not None:
            # Before the first client comes; most servers need none of it.
            import dewar.server.connection.handshake  # noqa: F401

    def __repr__(self) -> str:
        first = [
            "a PROXY header" if self._wants_header else "",
            "TLS" if self._server_context.tls is not None else "",
        ]
        return f"<Admission, {' and '.join(filter(None, first)) or 'HTTP'} first>"

    def open(self, sock: socket.socket, peer: object) -> Connection:
        """Return the connection of *peer* on *sock*, which is non-blocking.

        Raises:
            OSError: The client has disconnected, or is not admitted. The socket is still open.
        """
        server_context = self._server_context
        environ = connection_environ(server_context.base_environ, sock, peer)
        trust = self._trust
        if trust is not None:
            environ[TRUSTS_PEER] = trust.trusts(environ["REMOTE_ADDR"])
            if self._wants_header and not environ[TRUSTS_PEER]:
                self._refuse(environ["REMOTE_ADDR"], trust)
        if server_context.tls is None and not self._wants_header:
            return Connection(server_context, sock, environ)
        from dewar.server.connection.handshake import Handshake, HandshakeConnection

        header_from = trust if self._wants_header else None
        handshake = Handshake(environ, header_from, server_context.tls, server_context.now)
        return HandshakeConnection(server_context, sock, handshake)

    def _refuse(self, address: str, trust: TrustedHosts) -> None:
        """Refuse an untrusted peer if PROXY headers are read: its bytes might look like one."""
        self._server_context.bounded_log.warn(
            "A connection from %s was closed: with proxy_protocol only %r may connect.",
            address or "a UNIX socket",
            trust,
        )
        raise ConnectionRefusedError("the peer may not send a PROXY header")
