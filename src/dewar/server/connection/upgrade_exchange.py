"""The exchange of a request that may leave HTTP.

It is an exchange like any other until the application takes the connection. From then on nothing
that the application returns or raises is sent.
"""

import logging
from collections.abc import Callable, Iterable

from dewar.environ_keys import SOCKETS, UPGRADE
from dewar.server.connection.exchange import SUSPENDING, Exchange
from dewar.server.connection.response import ExcInfo
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.transport import Transport
from dewar.server.connection.upgrade import Upgrade, UpgradeState
from dewar.server.errors import ClientGoneError
from dewar.server.wire.request import Environ
from dewar.server.wire.writer import Headers

_logger = logging.getLogger("dewar.server")

_SWITCHED = "101 Switching Protocols"


def _drop(data: bytes, /) -> None:
    """Send nothing: the connection was taken."""


class UpgradeExchange(Exchange):
    """A request that the application can answer, or take out of HTTP.

    Args:
        environ: The environ of the request.
        upgrade: The offer, which is put into the environ.
    """

    __slots__ = ("_upgrade",)

    def __init__(self, environ: Environ, upgrade: Upgrade) -> None:
        self.begin(environ, True, True, None)
        self._upgrade = upgrade
        if upgrade.has_loop:
            environ[UPGRADE] = upgrade.begin
        environ.update(dict.fromkeys(SOCKETS, upgrade.make_socket()))

    def respond(self, server_context: ServerContext, transport: Transport) -> None:
        """Run the application; send its response unless it has taken the connection."""
        self._server_context = server_context
        self._transport = transport
        if server_context.logs_access:
            self._began = server_context.access_log.clock()
        try:
            result = server_context.app(self.environ, self.start_response)
            if type(result) in SUSPENDING and server_context.suspends:
                self._suspend(result)
                return
            if type(result) is list or type(result) is tuple:
                self.deliver_whole(result)
            else:
                self.deliver(result)
        except BaseException as error:  # noqa: BLE001 - a view's sys.exit() must not end the thread
            self.fail(error)
        if self.awaited is None:
            self.end()

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo = None, /
    ) -> Callable[[bytes], None]:
        """Take the status line and the fields, or ignore them."""
        if self._upgrade.state is UpgradeState.TAKEN:
            return _drop
        return super().start_response(status, headers, exc_info)

    def framed(self, data: bytes) -> bytes:
        """Return *data* as it is sent.

        Raises:
            ClientGoneError: The connection was taken, so that nobody gets it.
        """
        if self._upgrade.is_taken():
            raise ClientGoneError("The connection has left HTTP; a body is not sent any more.")
        return super().framed(data)

    def finish(self) -> None:
        """End the body, unless the connection was taken."""
        if not self._upgrade.is_taken():
            super().finish()

    def deliver(self, result: Iterable[bytes]) -> None:
        """Send what the application returned, or only close it."""
        if not self._upgrade.is_taken():
            super().deliver(result)
        elif (close := getattr(result, "close", None)) is not None:
            close()

    def deliver_whole(self, pieces: list[bytes] | tuple[bytes, ...]) -> None:
        """Send a complete body, unless the connection was taken."""
        if not self._upgrade.is_taken():
            super().deliver_whole(pieces)

    def fail(self, error: BaseException) -> None:
        """Log *error*, and answer it unless the connection was taken."""
        if not self._upgrade.is_taken():
            super().fail(error)
        elif isinstance(error, (ConnectionError, StopIteration)):
            # Programs raise these, so that Werkzeug's server and gunicorn send nothing more.
            _logger.debug("%r: %s", self, error)
        else:
            self._log_failure(error, "failed after it had left HTTP")

    def end(self) -> None:
        """Release the request and what was taken, and log it."""
        if self._upgrade.is_taken():
            self.persists = False
            self._status = _SWITCHED
        self._upgrade.end()
        super().end()
