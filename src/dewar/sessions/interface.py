"""`SessionInterface`: loads and saves sessions, and says what their cookie is like."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from werkzeug.sansio.response import Response

from dewar.config import Default
from dewar.json.tagged import JSONText
from dewar.sessions.mounted import cookie_path, suffix
from dewar.sessions.session import NullSession, SecureCookieSession, SessionMixin


class SessionApp(Protocol):
    """The members of the app that a session interface uses."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings, among them those named ``SESSION_…``."""

    @property
    def secret_key(self) -> str | bytes | None:
        """The key that cookies are signed with; without it there are no sessions."""

    @property
    def permanent_session_lifetime(self) -> timedelta:
        """How long a permanent session is valid."""

    @property
    def json(self) -> JSONText:
        """How the app writes JSON."""


class SessionRequest(Protocol):
    """The members of a request that a session interface uses."""

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies that the browser sent."""

    @property
    def path(self) -> str:
        """The path that was asked for."""


class SessionInterface:
    """Opens a session for each request and saves it. A subclass writes those two methods.

    Put it to use with ``app.session_interface = MySessions()``. What `open_session` returns is a
    mapping with `SessionMixin`; one browser may send several requests at once, so a store of
    sessions has to expect that two requests open the same one before either saves it.

    - ``null_session_class``: made where `open_session` gives None.
    - ``pickle_based``: whether sessions are pickled, which some extensions ask.
    """

    null_session_class: type[NullSession] = NullSession
    pickle_based = False

    def open_session(self, app: SessionApp, request: SessionRequest) -> SessionMixin | None:
        """Return the session of a request, or None if there cannot be one."""
        raise NotImplementedError(_unwritten(self, "open_session(self, app, request)"))

    def save_session(self, app: SessionApp, session: SessionMixin, response: Response) -> None:
        """Keep the session, and give the response the cookie to find it by.

        It is called after the response is made, unless the session is a null session.
        """
        raise NotImplementedError(_unwritten(self, "save_session(self, app, session, response)"))

    def make_null_session(self, app: SessionApp) -> NullSession:  # noqa: ARG002  # for subclasses
        """Return the session that explains, at the first change, why there is none."""
        return self.null_session_class()

    def is_null_session(self, obj: object) -> bool:
        """Return whether `obj` is a session that is not to be saved."""
        # PERF: the check for an abstract class takes longer than that for this one.
        if type(obj) is SecureCookieSession and self.null_session_class is NullSession:
            return False
        return isinstance(obj, self.null_session_class)

    def should_set_cookie(self, app: SessionApp, session: SessionMixin) -> bool:
        """Return whether the cookie is sent: it changed, or is permanent and to be renewed."""
        if session.modified:
            return True
        return session.permanent and bool(app.config["SESSION_REFRESH_EACH_REQUEST"])

    def get_expiration_time(self, app: SessionApp, session: SessionMixin) -> datetime | None:
        """Return when the cookie ends, or None if it ends with the browser."""
        if not session.permanent:
            return None
        return datetime.now(UTC) + app.permanent_session_lifetime

    def get_cookie_name(self, app: SessionApp) -> str:
        """Return the name of the cookie: ``SESSION_COOKIE_NAME``.

        If that is not set, each mounted app has another name: ``session~admin``.
        """
        name: str = app.config["SESSION_COOKIE_NAME"]
        return name + suffix(app) if type(name) is Default else name

    def get_cookie_domain(self, app: SessionApp) -> str | None:
        """Return the domain with whose subdomains the cookie is shared, or None for its host."""
        domain: str | None = app.config["SESSION_COOKIE_DOMAIN"]
        return domain

    def get_cookie_path(self, app: SessionApp) -> str:
        """Return the path below which the cookie is sent, by default the app's own."""
        path: str = app.config["SESSION_COOKIE_PATH"] or app.config["APPLICATION_ROOT"]
        if path == "/" and not app.config["SESSION_COOKIE_PATH"]:
            return cookie_path(app) or path
        return path

    def get_cookie_httponly(self, app: SessionApp) -> bool:
        """Return whether the cookie is kept from scripts: ``SESSION_COOKIE_HTTPONLY``."""
        httponly: bool = app.config["SESSION_COOKIE_HTTPONLY"]
        return httponly

    def get_cookie_secure(self, app: SessionApp) -> bool:
        """Return whether the cookie is for HTTPS only: ``SESSION_COOKIE_SECURE``."""
        secure: bool = app.config["SESSION_COOKIE_SECURE"]
        return secure

    def get_cookie_samesite(self, app: SessionApp) -> str | None:
        """Return ``"Lax"``, ``"Strict"``, ``"None"`` or None: ``SESSION_COOKIE_SAMESITE``."""
        samesite: str | None = app.config["SESSION_COOKIE_SAMESITE"]
        return samesite

    def get_cookie_partitioned(self, app: SessionApp) -> bool:
        """Return whether each embedding site has its own: ``SESSION_COOKIE_PARTITIONED``."""
        partitioned: bool = app.config["SESSION_COOKIE_PARTITIONED"]
        return partitioned

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _unwritten(interface: SessionInterface, signature: str) -> str:
    return (
        f"{type(interface).__name__} cannot do this yet: a subclass of SessionInterface defines"
        f" def {signature}."
    )
