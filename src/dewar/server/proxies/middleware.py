"""Middleware for an application behind a proxy or below a path.

It is composed when the server is made. Without ``trusted_hosts`` and ``script_name`` there is none.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from dewar.server.errors import Refusal
from dewar.server.proxies.forwarded import trusted_changes, untrusted_changes
from dewar.server.proxies.script_name import ScriptName
from dewar.server.proxies.trusted_hosts import TRUSTS_PEER, TrustedHosts, parse_trusted_hosts
from dewar.server.settings.forwarded_fields import parse_forwarded_headers
from dewar.server.settings.settings import Settings

Application = Callable[[dict[str, Any], Any], Any]

_logger = logging.getLogger("dewar.server")


def with_proxy_middleware(app: Application, settings: Settings) -> Application:
    """Return *app* with the middleware that ``trusted_hosts`` and ``script_name`` need.

    Raises:
        SettingsError: One of them is invalid.
    """
    if settings.script_name:
        app = _with_script_name(app, ScriptName(settings.script_name))
    trusted_hosts = parse_trusted_hosts(settings.trusted_hosts)
    if trusted_hosts:
        named = parse_forwarded_headers(settings.forwarded_headers)
        app = ForwardedMiddleware(app, trusted_hosts, named)
    return app


def _with_script_name(app: Application, script_name: ScriptName) -> Application:
    def call(environ: dict[str, Any], start_response: Any) -> Any:
        script_name.apply(environ)
        return app(environ, start_response)

    return call


class ForwardedMiddleware:
    """Applies what trusted hosts say about the client to each request; see `proxies.forwarded`.

    Args:
        app: The application.
        trusted_hosts: The hosts that are believed.
        named: The environ keys of the fields that are believed; the setting ``forwarded_headers``.
    """

    def __init__(
        self, app: Application, trusted_hosts: TrustedHosts, named: frozenset[str]
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
