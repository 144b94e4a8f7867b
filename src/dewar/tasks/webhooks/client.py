"""`WebhookClient`: makes one attempt at a callback.

It follows no redirect, repeats nothing, asks no proxy that the environment names, and takes no
longer than it may, whatever the receiver does. To import this module raises `MissingExtra` where
urllib3 is not installed.
"""

import ssl
import time
from contextlib import suppress
from http.client import HTTPException

from dewar.tasks.errors import CallbackRefused, MissingExtra
from dewar.tasks.webhooks.deadline import (
    DeadlineTLSSocket,
    open_socket,
    wrap_socket,
)
from dewar.tasks.webhooks.schedule import DeliveryResult
from dewar.tasks.webhooks.settings import WebhookSettings
from dewar.tasks.webhooks.signing import read_secret, sign
from dewar.tasks.webhooks.ssrf_guard import Destination, SSRFGuard
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
#: How long the answer's body is waited for once its head is there, in seconds: it decides nothing.
_BODY_TIMEOUT = 1.0
#: Characters of it that go into the message about a failure.
_SHOWN = 200


class WebhookClient:
    """Makes attempts, each on its own; any thread may call it.

    Args:
        guard: Decides where callbacks may go.
        settings: How they are signed and sent.
    """

    def __init__(self, guard: SSRFGuard, settings: WebhookSettings) -> None:
        self._guard = guard
        self._settings = settings
        self._secrets = [read_secret(secret) for secret in settings.secrets]
        self._context: ssl.SSLContext | None = None

    def post(self, url: str, id: str, body: str, now: float) -> DeliveryResult:
        """Post a body to a URL, signed, and return how that went. It raises nothing of a failure.

        Args:
            url: Where to.
            id: The ``webhook-id``, the same for each attempt.
            body: JSON, the same for each attempt.
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
        # It would connect by itself, to wherever the name leads by now.
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
        # Also of a success: to close with something unread is a reset, for the receiver.
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
        # Two threads may make it at once; either is as good.
        if self._context is None:
            context = ssl.create_default_context(cafile=self._settings.ca_file)
            context.sslsocket_class = DeadlineTLSSocket
            self._context = context
        return self._context

    def __repr__(self) -> str:
        return f"<WebhookClient with {len(self._secrets)} secrets, {self._guard!r}>"


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
    """Return a text that any log and database takes."""
    return "".join(char if char.isprintable() else " " for char in text).strip()
