"""`EnvironBuilder`: builds requests for the configured address of the app."""

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import werkzeug.test

from dewar.testing.errors import AddressGivenTwiceError


class BuilderApp(Protocol):
    """The members of the app that a request builder uses."""

    json: Any

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings, of which ``SERVER_NAME`` and the like are used."""


class EnvironBuilder(werkzeug.test.EnvironBuilder):
    """A request in the making; `get_environ` and `get_request` give the finished one.

    Args:
        app: The app that the request is for.
        path: The path, with its query string if there is one; or a whole URL.
        base_url: The URL that `path` is relative to. It is built from ``SERVER_NAME``,
            ``APPLICATION_ROOT`` and ``PREFERRED_URL_SCHEME`` by default.
        subdomain: The part before ``SERVER_NAME``.
        url_scheme: The scheme, instead of ``PREFERRED_URL_SCHEME``.
        args: More of what `werkzeug.test.EnvironBuilder` takes.
        kwargs: The same by name: ``method``, ``query_string``, ``headers``, ``data``, ``json``,
            ``auth`` and so on. What ``json`` gets is written by the app's provider.

    Raises:
        AddressGivenTwiceError: If `base_url` is given with `subdomain` or `url_scheme`.
    """

    def __init__(
        self,
        app: BuilderApp,
        path: str = "/",
        base_url: str | None = None,
        subdomain: str | None = None,
        url_scheme: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if base_url is None:
            path, base_url = _addressed(app.config, path, subdomain, url_scheme)
        elif subdomain or url_scheme:
            raise AddressGivenTwiceError(base_url)
        self.app = app
        super().__init__(path, base_url, *args, **kwargs)

    def json_dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return `obj` as the JSON text that the app would write."""
        text: str = self.app.json.dumps(obj, **kwargs)
        return text


def _addressed(
    config: Mapping[str, Any], path: str, subdomain: str | None, scheme: str | None
) -> tuple[str, str]:
    """Return the path with its query string, and the base URL it is relative to."""
    url = urlsplit(path)
    host = config["SERVER_NAME"] or "localhost"
    if subdomain:
        host = f"{subdomain}.{host}"
    scheme = url.scheme or scheme or config["PREFERRED_URL_SCHEME"]
    root = config["APPLICATION_ROOT"].lstrip("/")
    query = f"?{url.query}" if url.query else ""
    return url.path + query, f"{scheme}://{url.netloc or host}/{root}"
