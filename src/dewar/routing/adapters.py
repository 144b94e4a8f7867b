"""Werkzeug's adapter, which matches and builds URLs for one request or one server name."""

import warnings
from collections.abc import Mapping
from typing import Any, Protocol

from werkzeug.routing import Map, MapAdapter
from werkzeug.wrappers import Request
from werkzeug.wsgi import get_host

# What Werkzeug gives a host that is not the server's: no rule can have it.
_NOWHERE = "<invalid>"


class AdaptedApp(Protocol):
    """The members of the app that an adapter uses."""

    url_map: Map
    subdomain_matching: bool

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration: ``SERVER_NAME``, ``TRUSTED_HOSTS`` and their like."""


def has_trusted_hosts(config: Mapping[str, Any], request_class: type[Request]) -> bool:
    """Whether the host of a request has to be checked, which `make_adapter` does.

    Either the configuration names the hosts or the class of the requests does. Ask for each
    request: a program may set them at any time.
    """
    return config["TRUSTED_HOSTS"] is not None or request_class.trusted_hosts is not None


def make_adapter(app: AdaptedApp, request: Request | None) -> MapAdapter | None:
    """Return the adapter for a request; without one for ``SERVER_NAME``, or None.

    Raises:
        werkzeug.exceptions.SecurityError: If the request names a host that is not among
            ``TRUSTED_HOSTS``.
    """
    if request is None:
        return _without_request(app)
    trusted = app.config["TRUSTED_HOSTS"]
    if trusted is not None:
        request.trusted_hosts = trusted
    request.host = get_host(request.environ, request.trusted_hosts)
    server_name, subdomain = app.config["SERVER_NAME"], None
    if app.url_map.host_matching:
        # With a server name the map would ignore the host that it is to match.
        server_name = None
    elif not app.subdomain_matching:
        subdomain = app.url_map.default_subdomain or ""
    elif server_name is not None:
        subdomain = _subdomain(request.host, server_name, request.scheme)
        if subdomain is None:
            subdomain = _NOWHERE
            _warn_of_other_host(request.host, server_name)
    return app.url_map.bind_to_environ(
        request.environ, server_name=server_name, subdomain=subdomain
    )


def _subdomain(host: str, server_name: str, scheme: str) -> str | None:
    """Return the part of a host before the server name, or None if it is another host."""
    host, server_name = host.lower(), server_name.lower()
    # The host is without a scheme's own port.
    server_name = server_name.removesuffix(":443" if scheme in {"https", "wss"} else ":80")
    if host == server_name:
        return ""
    if not host.endswith(f".{server_name}"):
        return None
    # An empty label is no subdomain: "a..example.com" is "a".
    return ".".join(filter(None, host.removesuffix(f".{server_name}").split(".")))


def _warn_of_other_host(host: str, server_name: str) -> None:
    warnings.warn_explicit(
        f"Current server name {host!r} doesn't match configured server name {server_name!r}, so no"
        " rule matches. With subdomain_matching, SERVER_NAME is the host without its subdomain.",
        UserWarning,
        __file__,
        0,
        # The module it comes from in Flask, by which Flask programs filter it.
        module="flask.app",
        registry=globals().setdefault("__warningregistry__", {}),
    )


def _without_request(app: AdaptedApp) -> MapAdapter | None:
    config = app.config
    if config["SERVER_NAME"] is None:
        return None
    return app.url_map.bind(
        config["SERVER_NAME"],
        script_name=config["APPLICATION_ROOT"],
        url_scheme=config["PREFERRED_URL_SCHEME"],
    )
