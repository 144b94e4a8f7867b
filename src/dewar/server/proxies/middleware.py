"""Middleware for an application behind a proxy or below a path.

It is composed when the server is made. Without ``trusted_hosts`` and ``script_name`` there is none.
"""

from collections.abc import Callable
from typing import Any

from dewar.server.proxies.script_name import ScriptName
from dewar.server.proxies.trusted_hosts import parse_trusted_hosts
from dewar.server.settings.forwarded_fields import parse_forwarded_headers
from dewar.server.settings.settings import Settings

Application = Callable[[dict[str, Any], Any], Any]


def with_proxy_middleware(app: Application, settings: Settings) -> Application:
    """Return *app* with the middleware that ``trusted_hosts`` and ``script_name`` need.

    Raises:
        SettingsError: One of them is invalid.
    """
    if settings.script_name:
        app = _with_script_name(app, ScriptName(settings.script_name))
    trusted_hosts = parse_trusted_hosts(settings.trusted_hosts)
    if trusted_hosts:
        # PERF: here, because a server that trusts no host reads none of these fields.
        from dewar.server.proxies.forwarded_middleware import ForwardedMiddleware

        named = parse_forwarded_headers(settings.forwarded_headers)
        app = ForwardedMiddleware(app, trusted_hosts, named)
    return app


def _with_script_name(app: Application, script_name: ScriptName) -> Application:
    def call(environ: dict[str, Any], start_response: Any) -> Any:
        script_name.apply(environ)
        return app(environ, start_response)

    return call
