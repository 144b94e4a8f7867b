"""A connection that begins with a PROXY header, TLS, or both.

It needs no thread: the leader reads from it, as from any connection. The whole beginning must be
complete within ``header_timeout``.
"""

import logging
import socket
import ssl
from dataclasses import dataclass

from dewar.server.connection.connection import Connection
from dewar.server.connection.environ import proxied_environ, tls_environ
from dewar.server.connection.exchange import Exchange
from dewar.server.connection.readiness import READ_SIZE, has_peer_closed
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.connection.tls_channel import TlsChannel
from dewar.server.errors import Refusal
from dewar.server.proxies.proxy_protocol import ProxyHeader, maybe_proxy_header
from dewar.server.proxies.trusted_hosts import TRUSTS_PEER, TrustedHosts
from dewar.server.wire.errors import BAD_REQUEST
from dewar.server.wire.reader import RequestReader
from dewar.server.wire.request import Environ

_HANDSHAKE, _FLUSHING = ConnectionState.HANDSHAKE, ConnectionState.FLUSHING

_logger = logging.getLogger("dewar.server")


@dataclass(slots=True, repr=False)
class Handshake:
    """The part of a connection before its first request.

    Args:
        environ: The connection's part of the environ so far.
        trusted_hosts: The trusted hosts, if the connection begins with a PROXY header.
        context: The TLS context, or ``None`` for plain HTTP.
        began: When the connection was accepted.
    """

    environ: Environ
    trusted_hosts: TrustedHosts | None
    context: ssl.SSLContext | None
    began: float
    head: bytes = b""
    channel: TlsChannel | None = None

    def __repr__(self) -> str:
        awaited = "a PROXY header" if self.trusted_hosts is not None else "a TLS handshake"
        return f"<Handshake, waits for {awaited}>"


class HandshakeConnection(Connection):
    """A `Connection` that begins with a handshake."""

    __slots__ = ("_handshake", "_plain")

    def __init__(
        self, server_context: ServerContext, sock: socket.socket, handshake: Handshake
    ) -> None:
        super().__init__(server_context, sock, handshake.environ)
        self._plain = sock
        self._handshake: Handshake | None = handshake  # None when it is complete
        self.state = _HANDSHAKE

    def receive(self) -> bool:
        """Read from the socket; return whether there is a request to `run`."""
        handshake = self._handshake
        if handshake is None:
            return super().receive()
        try:
            data = self._plain.recv(READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._move(ConnectionState.CLOSED)
            return False
        if handshake.trusted_hosts is not None:
            return self._read_proxy_header(handshake, handshake.trusted_hosts, data)
        return self._after_proxy_header(handshake, data)

    def flush(self) -> bool:
        """Send what waits; return whether there is a request to `run` then."""
        handshake = self._handshake
        if handshake is None or handshake.channel is None:
            return super().flush()
        try:
            if not handshake.channel.push():
                return False
        except OSError:
            self._abandon()
            return False
        return self._continue_handshake(handshake, handshake.channel)

    def expire(self, now: float) -> None:
        """Close the connection if the client has missed its deadline."""
        if self._handshake is None:
            super().expire(now)
        elif now - self._handshake.began > self._server_context.settings.header_timeout:
            _logger.debug("%r: %r was not complete in time.", self, self._handshake)
            self._move(ConnectionState.CLOSED)

    def has_peer_closed(self) -> bool:
        """Return whether the client has closed its side. For a connection that is SUSPENDED."""
        return has_peer_closed(self._plain)

    def close_if_idle(self, now: float, grace: float) -> None:
        """End the connection if it is idle, because the server stops."""
        if self._handshake is None:
            super().close_if_idle(now, grace)
        elif now - self._handshake.began > grace:
            self._move(ConnectionState.CLOSED)

    # The PROXY header.

    def _read_proxy_header(
        self, handshake: Handshake, trusted_hosts: TrustedHosts, data: bytes
    ) -> bool:
        data = handshake.head + data
        try:
            header = maybe_proxy_header(data)
        except Refusal as refusal:
            address = handshake.environ["REMOTE_ADDR"] or "a UNIX socket"
            self._server_context.bounded_log.warn(
                "%s is trusted to send a PROXY header. %s", address, refusal.reason
            )
            self._move(ConnectionState.CLOSED)
            return False
        if header is None:
            handshake.head = data
            return False
        handshake.head = b""
        handshake.trusted_hosts = None
        self._apply_proxy_header(handshake.environ, trusted_hosts, header)
        data = data[header.size :]
        if not data and handshake.context is not None:
            return False
        return self._after_proxy_header(handshake, data)

    def _apply_proxy_header(
        self, environ: Environ, trusted_hosts: TrustedHosts, header: ProxyHeader
    ) -> None:
        environ.update(proxied_environ(header))
        # SECURITY: forwarded fields are believed if the sender of the requests is trusted, and that
        # is not the proxy. An unknown sender is not trusted.
        is_known = header.source is not None
        environ[TRUSTS_PEER] = is_known and trusted_hosts.trusts(environ["REMOTE_ADDR"])

    # TLS.

    def _after_proxy_header(self, handshake: Handshake, data: bytes) -> bool:
        """Continue with *data* after the PROXY header, if there is one."""
        if handshake.context is None:
            return self._begin(handshake.environ, data)
        channel = handshake.channel
        if channel is None:
            # A TLS record begins with its type, 22 for a handshake; a request begins with a letter.
            if data[:1].isalpha():
                self._refuse_plain_http()
                return False
            channel = handshake.channel = TlsChannel(self._plain, handshake.context)
            # It has all methods of a socket that are used.
            self.sock = channel  # type: ignore[assignment]
        channel.feed(data)
        return self._continue_handshake(handshake, channel)

    def _continue_handshake(self, handshake: Handshake, channel: TlsChannel) -> bool:
        try:
            has_ended = channel.handshake()
        except OSError as error:
            _logger.debug("%r: the TLS handshake failed: %s", self, error)
            self._handshake = None
            self._finish_with(ConnectionState.LINGERING)  # lets the client see the alert
            return False
        if channel.has_backlog():
            self._move(_FLUSHING)
            return False
        if not has_ended:
            self._move(_HANDSHAKE)
            return False
        self._recv = channel.recv
        self._send = channel.send
        handshake.environ.update(tls_environ(channel.tls))
        try:
            data = channel.take(READ_SIZE)
        except BlockingIOError:
            return self._begin(handshake.environ, b"")
        except OSError:
            data = b""
        if not data:
            self._move(ConnectionState.CLOSED)
            return False
        return self._begin(handshake.environ, data)

    def _refuse_plain_http(self) -> None:
        """Answer a client that speaks plain HTTP with the URL for HTTPS, in plain HTTP."""
        _logger.debug("%r: plain HTTP on a port for HTTPS.", self)
        self._handshake = None
        self._refuse(Refusal(BAD_REQUEST, f"This port speaks HTTPS{self._address()}"))

    def _address(self) -> str:
        try:
            name = self._plain.getsockname()
        except OSError:
            return "."
        if not isinstance(name, tuple):
            return "."
        host, port = name[:2]
        return f": https://[{host}]:{port}/" if ":" in host else f": https://{host}:{port}/"

    def _begin(self, environ: Environ, data: bytes) -> bool:
        """Read requests from now on, beginning with *data*."""
        self._handshake = None
        # A new reader, because the environ has new keys.
        self._reader = RequestReader(
            environ,
            self._server_context.names,
            self._server_context.settings.limits,
            Exchange,
            self._server_context.body_storage,
        )
        self._move(ConnectionState.IDLE)
        if not data:
            return False
        self._reader.feed(data)
        return True if self._reader.completed else self._go_on(len(data))
