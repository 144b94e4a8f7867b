"""`ForwardedMiddleware`: applies what trusted hosts say about the client to each request."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from dewar.server.errors import Refusal
from dewar.server.proxies.forwarded import trusted_changes, untrusted_changes
from dewar.server.proxies.trusted_hosts import TRUSTS_PEER, TrustedHosts

_logger = logging.getLogger("dewar.server")


class ForwardedMiddleware:
    """Applies what trusted hosts say about the client to each request; see `proxies.forwarded`.

    Args:
        app: The application.
        trusted_hosts: The hosts that are believed.
        named: The environ keys of the fields that are believed; the setting ``forwarded_headers``.
    """

    def __init__(
        self,
        app: Callable[[dict[str, Any], Any], Any],
        trusted_hosts: TrustedHosts,
        named: frozenset[str],
    ) -> None:
        self._app = app
        self._trusted_hosts = trusted_hosts
        self._named = named

    def __repr__(self) -> str:
        return f"<ForwardedMiddleware of {self._trusted_hosts!r} before {self._app!r}>"

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Correct *environ* and call the application, or answer 400."""
        try:
            if environ.pop(TRUSTS_PEER):
                changes = trusted_changes(environ, self._trusted_hosts, self._named)
            else:
                changes = untrusted_changes(environ)
        except Refusal as refusal:
            _logger.debug("The request of a trusted host was refused: %s", refusal)
            body = f"{refusal.reason}\n".encode()
            fields = [("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close")]
            start_response(refusal.status, fields)
            return [body]
        for key, value in changes.items():
            if value is None:
                environ.pop(key, None)
            else:
                environ[key] = value
        result: Iterable[bytes] = self._app(environ, start_response)
        return result
