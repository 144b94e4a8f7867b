"""gunicorn's ``secure_scheme_headers``: a trusted proxy says whether its client used HTTPS.

gunicorn reads nothing else about a client, and passes all header fields on. Many programs count on
that: they read the rest themselves, with Werkzeug's ``ProxyFix`` for instance. So this is not the
server's own reading of these fields (see `proxies.forwarded`), which removes what it is not told to
believe.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dewar.layers import maybe_own_method
from dewar.server.errors import Refusal
from dewar.server.proxies.middleware import Application
from dewar.server.proxies.trusted_hosts import TrustedHosts
from dewar.server.settings.forwarded_fields import key_of
from dewar.server.wire.errors import BAD_REQUEST
from dewar.server.wire.request import Environ

#: gunicorn's default.
FIELDS: Mapping[str, str] = {
    "X-FORWARDED-PROTOCOL": "ssl",
    "X-FORWARDED-PROTO": "https",
    "X-FORWARDED-SSL": "on",
}


class SecureScheme:
    """Sets ``wsgi.url_scheme`` from these fields, for requests of trusted hosts.

    Args:
        app: The application.
        trusted_hosts: The setting ``forwarded_allow_ips``.
        fields: For each field the value that means HTTPS; any other means HTTP.
    """

    def __init__(
        self, app: Application, trusted_hosts: TrustedHosts, fields: Mapping[str, str]
    ) -> None:
        self.app = app
        self._trusted_hosts = trusted_hosts
        self._fields = [(key_of(name), value) for name, value in fields.items()]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._trusted_hosts!r} before {self.app!r}>"

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Correct *environ* and call the application, or answer 400."""
        try:
            self.apply(environ)
        except Refusal as refusal:
            start_response(
                refusal.status, [("Content-Type", "text/plain"), ("Connection", "close")]
            )
            return [f"{refusal.reason}\n".encode()]
        result: Iterable[bytes] = self.app(environ, start_response)
        return result

    def apply(self, environ: Environ) -> None:
        """Set the scheme in *environ*; a second call changes nothing.

        Raises:
            Refusal: Two fields contradict each other.
        """
        said = {environ[key] == value for key, value in self._fields if key in environ}
        if not said or not self._trusted_hosts.trusts(environ.get("REMOTE_ADDR", "")):
            return
        if len(said) > 1:
            raise Refusal(BAD_REQUEST, "The fields about the scheme contradict each other.")
        if said == {True}:
            environ["wsgi.url_scheme"], environ["HTTPS"] = "https", "on"
        else:
            environ["wsgi.url_scheme"] = "http"
            environ.pop("HTTPS", None)


class OpenSecureScheme(SecureScheme):
    """The same before an application that says what a call would do (see `maybe_own_method`)."""

    def __init__(
        self, app: Application, trusted_hosts: TrustedHosts, fields: Mapping[str, str]
    ) -> None:
        super().__init__(app, trusted_hosts, fields)
        # A program may have something else under the plain names.
        self._begin_on_loop = maybe_own_method(app, "begin_on_loop")
        self._body_limit_for = maybe_own_method(app, "body_limit_for")

    def begin_on_loop(self, environ: Environ, start_response: Any) -> Any:
        """Correct *environ* and ask the application; None if the fields are refused."""
        try:
            self.apply(environ)
        except Refusal:
            return None  # then the application is called, which answers
        return self._begin_on_loop(environ, start_response)

    def body_limit_for(self, environ: Environ) -> Any:
        """Correct *environ*, a copy, and ask the application; 0 if the fields are refused."""
        try:
            self.apply(environ)
        except Refusal:
            return 0
        return self._body_limit_for(environ)


def with_secure_scheme(
    app: Application, trusted_hosts: TrustedHosts, fields: Mapping[str, str]
) -> Application:
    """Return *app* inside the middleware."""
    methods = ("begin_on_loop", "body_limit_for")
    is_open = all(maybe_own_method(app, name) is not None for name in methods)
    return (OpenSecureScheme if is_open else SecureScheme)(app, trusted_hosts, fields)
