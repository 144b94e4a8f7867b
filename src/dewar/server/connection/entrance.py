"""From an accepted socket to a connection: who may come in, and what is expected first."""

import logging
import socket

from dewar.server.connection.connection import Connection
from dewar.server.connection.environ import TRUSTS_PEER, connection_environ
from dewar.server.connection.greeted import GreetedConnection, Greeting
from dewar.server.connection.service import Service
from dewar.server.trust import TrustedHosts, parse_trusted_hosts

_logger = logging.getLogger("dewar.server")

# A stranger can connect as often as it likes; the log must not fill with it. In seconds.
_BETWEEN_WARNINGS = 60.0


class Entrance:
    """Makes connections; only the leader uses it.

    Args:
        service: Whose clients they are.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        settings = service.settings
        self._trust = parse_trusted_hosts(settings.trusted_hosts) or None
        self._wants_header = settings.proxy_protocol
        self._next_warning = service.now

    def __repr__(self) -> str:
        first = [
            "a PROXY header" if self._wants_header else "",
            "TLS" if self._service.tls is not None else "",
        ]
        return f"<Entrance, {' and '.join(filter(None, first)) or 'HTTP'} first>"

    def open(self, sock: socket.socket, peer: object) -> Connection:
        """Return the connection of *peer* on *sock*, which is non-blocking.

        Raises:
            OSError: The client has gone already, or may not come in. The socket is still open.
        """
        service = self._service
        environ = connection_environ(service.base_environ, sock, peer)
        trust = self._trust
        if trust is not None:
            environ[TRUSTS_PEER] = trust.trusts(environ["REMOTE_ADDR"])
            if self._wants_header and not environ[TRUSTS_PEER]:
                self._refuse(environ["REMOTE_ADDR"], trust)
        if service.tls is None and not self._wants_header:
            return Connection(service, sock, environ)
        header_from = trust if self._wants_header else None
        greeting = Greeting(environ, header_from, service.tls, service.now)
        return GreetedConnection(service, sock, greeting)

    def _refuse(self, address: str, trust: TrustedHosts) -> None:
        """Refuse a stranger where PROXY headers are read: its bytes could be taken for one."""
        level = logging.DEBUG
        if self._service.now >= self._next_warning:
            self._next_warning = self._service.now + _BETWEEN_WARNINGS
            level = logging.WARNING
        _logger.log(
            level,
            "A connection from %s was closed: with proxy_protocol only %r may connect.",
            address or "a UNIX socket",
            trust,
        )
        raise ConnectionRefusedError("the peer may not send a PROXY header")
