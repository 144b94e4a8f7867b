"""What a request goes through before the application, where proxies or ``script_name`` are set up.

It is composed when the server is made: without these settings, nothing is in between.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from dewar.server.connection.environ import TRUSTS_PEER
from dewar.server.proxies.forwarded import trusted_changes, untrusted_changes
from dewar.server.proxies.script_name import ScriptName
from dewar.server.proxies.trusted_hosts import TrustedHosts, parse_trusted_hosts
from dewar.server.settings.settings import Settings
from dewar.server.wire.errors import Refusal

Application = Callable[[dict[str, Any], Any], Any]

_logger = logging.getLogger("dewar.server")


def with_proxy_middleware(app: Application, settings: Settings) -> Application:
    """Return *app*, behind what ``trusted_hosts`` and ``script_name`` ask for.

    Raises:
        SettingsError: One of them has no meaning.
    """
    if settings.script_name:
        app = _with_script_name(app, ScriptName(settings.script_name))
    trust = parse_trusted_hosts(settings.trusted_hosts)
    if trust:
        app = ForwardedMiddleware(app, trust, settings.forwarded_headers)
    return app


def _with_script_name(app: Application, script_name: ScriptName) -> Application:
    def call(environ: dict[str, Any], start_response: Any) -> Any:
        script_name.apply(environ)
        return app(environ, start_response)

    return call


class ForwardedMiddleware:
    """Applies to each request what trusted hosts say of its client; see `wire.forwarded`.

    Args:
        app: What is called then.
        trust: The hosts that are believed.
        kind: What is read, as ``settings.forwarded_headers`` has it.
    """

    def __init__(self, app: Application, trust: TrustedHosts, kind: str) -> None:
        self._app = app
        self._trust = trust
        self._kind = kind

    def __repr__(self) -> str:
        return f"<ForwardedMiddleware of {self._trust!r} before {self._app!r}>"

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Correct *environ* and call the application, or answer 400."""
        try:
            if environ.pop(TRUSTS_PEER):
                changes = trusted_changes(environ, self._trust, self._kind)
            else:
                changes = untrusted_changes(environ)
        except Refusal as refusal:
            _logger.debug("A trusted host's request was refused: %s", refusal)
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
