"""`WebhookClient`: makes one attempt at a callback.

It follows no redirect, repeats nothing, ignores the proxies of the environment, and keeps to its
timeout whatever the receiver does: the timeout of a socket is for each call, and a receiver that
sends a byte from time to time could hold its caller for ever, so the sockets here have a deadline.

Importing this module raises `MissingExtra` if urllib3 is not installed.
"""

import socket
import ssl
import time
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, parse_headers
from math import inf
from typing import Any

from dewar.tasks.errors import CallbackRefused, MissingExtra
from dewar.tasks.webhooks.schedule import DeliveryResult
from dewar.tasks.webhooks.settings import WebhookSettings
from dewar.tasks.webhooks.signing import read_secret, sign
from dewar.tasks.webhooks.ssrf_guard import Destination, Route, SSRFGuard
from dewar.version import __version__

try:
    from urllib3 import BaseHTTPResponse
    from urllib3.connection import HTTPConnection
    from urllib3.exceptions import HTTPError
except ModuleNotFoundError as error:
    raise MissingExtra("Callbacks", "tasks") from error

_HEADERS = (
    ("User-Agent", f"Dewar/{__version__}"),
    ("Content-Type", "application/json"),
    ("Accept-Encoding", "identity"),
    ("Connection", "close"),
)
#: How long to wait for the answer's body after its head, in seconds: the body decides nothing.
_BODY_TIMEOUT = 1.0
#: Characters of the body in the message about a failure.
_SHOWN = 200


class WebhookClient:
    """Makes independent attempts. Any thread may use it.

    Args:
        guard: Decides which URLs may be called.
        settings: The secrets and limits.
    """

    def __init__(self, guard: SSRFGuard, settings: WebhookSettings) -> None:
        self._guard = guard
        self._settings = settings
        self._secrets = [read_secret(secret) for secret in settings.secrets]
        self._context: ssl.SSLContext | None = None

    def post(self, url: str, id: str, body: str, now: float) -> DeliveryResult:
        """Post a signed body to a URL; return the result. A failed attempt is a result too.

        Args:
            url: The URL.
            id: The ``webhook-id``, the same for each attempt.
            body: The JSON text, the same for each attempt.
            now: The time of this attempt, in seconds since the epoch.
        """
        content = body.encode()
        headers = {**dict(_HEADERS), **sign(self._secrets, id, int(now), content)}
        try:
            return self._attempt(url, content, headers)
        except CallbackRefused as error:
            return DeliveryResult(status=None, error=f"refused: {error}")
        except ssl.SSLCertVerificationError as error:
            return DeliveryResult(status=None, error=f"certificate: {error.verify_message}")
        except TimeoutError:
            return DeliveryResult(
                status=None, error=f"no answer in {self._settings.timeout:g} seconds"
            )
        except (OSError, HTTPException, HTTPError) as error:
            return DeliveryResult(status=None, error=_printable(f"{type(error).__name__}: {error}"))

    def _attempt(self, url: str, content: bytes, headers: dict[str, str]) -> DeliveryResult:
        route = self._guard.route(url)
        until = time.monotonic() + self._settings.timeout
        destination = route.destination
        plain = open_socket(route, until)
        is_https = destination.scheme == "https"
        opened = wrap_socket(plain, self._tls(), destination.host) if is_https else plain
        connection = HTTPConnection(destination.host, destination.port)
        connection.response_class = _FinalResponse
        # Otherwise it would resolve the name again, perhaps to another address.
        connection.sock = opened
        try:
            response = _ask(connection, destination, content, headers)
            opened.until = min(until, time.monotonic() + _BODY_TIMEOUT)
            with response:
                return self._answer(response)
        finally:
            connection.close()
            opened.close()

    def _answer(self, response: BaseHTTPResponse) -> DeliveryResult:
        text = ""
        # Also after a success: closing with unread data would send the receiver a reset.
        with suppress(OSError, HTTPException, HTTPError):
            text = response.read(self._settings.max_answer).decode("utf-8", "replace")
        status = response.status
        is_success = 200 <= status < 300
        return DeliveryResult(
            status=status,
            retry_after=response.headers.get("Retry-After"),
            error=None if is_success else _printable(f"{status}: {text[:_SHOWN]}"),
        )

    def _tls(self) -> ssl.SSLContext:
        # Two threads may make it at once; both are the same.
        if self._context is None:
            context = ssl.create_default_context(cafile=self._settings.ca_file)
            # Python leaves this to the system's OpenSSL, which may allow less (RFC 9325 §3.1.1).
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.sslsocket_class = DeadlineTLSSocket
            self._context = context
        return self._context

    def __repr__(self) -> str:
        return f"<WebhookClient with {len(self._secrets)} secrets, {self._guard!r}>"


class _FinalResponse(HTTPResponse):
    """Skips interim responses. `http.client` skips no other than 100 Continue.

    RFC 9110, 15.2: a client must be able to parse any number of them before the final response.
    """

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]  # not typed
            if not 100 < status < 200 or status == HTTPStatus.SWITCHING_PROTOCOLS:
                return version, status, reason
            parse_headers(self.fp)


def _ask(
    connection: HTTPConnection, destination: Destination, content: bytes, headers: dict[str, str]
) -> BaseHTTPResponse:
    connection.request(
        "POST",
        destination.target,
        body=content,
        headers={"Host": destination.host_header, **headers},
        preload_content=False,
        decode_content=False,
    )
    return connection.getresponse()


def _printable(text: str) -> str:
    """Return a text with blanks for the characters that a log or a database may refuse."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


class _Deadline:
    """Adds a deadline to a class of sockets: it shortens the timeout before each call."""

    #: The deadline, on the clock of `time.monotonic`.
    until: float = inf

    def tighten(self) -> None:
        """Set the timeout of the next call to the time that is left.

        Raises:
            TimeoutError: If no time is left.
        """
        left = self.until - time.monotonic()
        if left <= 0.0:
            raise TimeoutError("timed out")
        self.settimeout(left)  # type: ignore[attr-defined]  # a method of the socket class

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.tighten()
        return super().recv_into(*args, **kwargs)  # type: ignore[misc, no-any-return]  # as above

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.tighten()
        return super().send(*args, **kwargs)  # type: ignore[misc, no-any-return]  # as above

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.tighten()
        super().sendall(*args, **kwargs)  # type: ignore[misc]  # as above


class DeadlineSocket(_Deadline, socket.socket):
    """A socket with a deadline."""


class DeadlineTLSSocket(_Deadline, ssl.SSLSocket):
    """A socket with a deadline, over TLS."""


def open_socket(route: Route, until: float) -> DeadlineSocket:
    """Return a socket connected to the first address of a route that answers.

    Each address gets an equal share of the time that is left.

    Raises:
        OSError: If no address answers.
    """
    failure: OSError = TimeoutError("timed out")
    for number, (family, address) in enumerate(route.addresses):
        now = time.monotonic()
        opened = DeadlineSocket(family, socket.SOCK_STREAM)
        opened.until = now + (until - now) / (len(route.addresses) - number)
        try:
            opened.tighten()
            opened.connect(address)
        except OSError as error:
            opened.close()
            failure = error
        except BaseException:
            opened.close()
            raise
        else:
            opened.until = until
            return opened
    raise failure


def wrap_socket(opened: DeadlineSocket, context: ssl.SSLContext, name: str) -> DeadlineTLSSocket:
    """Return the socket with TLS, after the check of the other end's certificate.

    Args:
        opened: The connected socket. It is closed if this fails.
        context: Has `DeadlineTLSSocket` as its ``sslsocket_class``.
        name: The host that the certificate must be for.

    Raises:
        OSError: If the handshake fails or takes too long.
    """
    try:
        opened.tighten()
        # The timeout covers the whole handshake.
        wrapped = context.wrap_socket(opened, server_hostname=name)
    except BaseException:
        opened.close()
        raise
    if not isinstance(wrapped, DeadlineTLSSocket):
        raise TypeError(f"{context!r} does not make a DeadlineTLSSocket.")
    wrapped.until = opened.until
    return wrapped
