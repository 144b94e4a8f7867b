"""`SecureCookieSessionInterface`: sessions in a signed cookie, in the form that Flask has.

SECURITY: the cookie is signed and not encrypted. Whoever has it can read it; without the secret
key nobody can change it. Nothing here shows or logs a key.
"""

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.sansio.response import Response

from dewar.json.tagged import TaggedJSONSerializer
from dewar.sessions.cookie_fields import add_cookie, vary_by_cookie
from dewar.sessions.errors import SecretKeyError, SessionUnavailableError
from dewar.sessions.interface import SessionApp, SessionInterface, SessionRequest
from dewar.sessions.mounted import suffix
from dewar.sessions.session import SecureCookieSession, SessionMixin
from dewar.sessions.signing import make_signing

# How many apps may share an interface before they make each other's serializers anew.
MAX_KEPT = 8


def lazy_sha1(string: bytes = b"") -> Any:
    """Return a SHA-1 hash; the function is looked up at the call, as some systems have none."""
    # SECURITY: inside an HMAC, which the collisions of SHA-1 do not weaken.
    return hashlib.sha1(string)  # noqa: S324


class SecureCookieSessionInterface(SessionInterface):
    """Keeps each session in a cookie that is signed with the app's secret key.

    - ``salt``: sets these signatures apart from others made with the same key.
    - ``digest_method`` and ``key_derivation``: how the signature is made.
    - ``serializer``: how a session becomes text; each interface has its own.
    - ``session_class``: what `open_session` makes.
    """

    salt = "cookie-session"
    digest_method: Callable[..., Any] = staticmethod(lazy_sha1)
    key_derivation = "hmac"
    session_class: type[SecureCookieSession] = SecureCookieSession

    # The signing serializers with what each was made from, the newest first. Replaced as a
    # whole, so threads never see halves; there are several if apps share an interface.
    _dewar_kept: tuple[tuple[tuple[Any, ...], URLSafeTimedSerializer], ...] = ()

    # Called when an attribute is set, for the apps that have this interface.
    _dewar_watchers: tuple[Callable[[], None], ...] = ()

    def _dewar_watch(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` whenever an attribute is set."""
        self._dewar_watchers = (*self._dewar_watchers, on_change)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name[0] != "_":
            for on_change in self._dewar_watchers:
                on_change()

    @cached_property
    def serializer(self) -> Any:
        """Turns a session into text and back; any object with ``dumps`` and ``loads``."""
        return TaggedJSONSerializer()

    def get_signing_serializer(self, app: SessionApp) -> URLSafeTimedSerializer | None:
        """Return what signs and verifies the app's cookies, or None without a secret key.

        It is made once, and again when a key or an attribute has changed. If the cookie of a
        mounted app is named after the mount, the salt is too.

        Raises:
            SecretKeyError: (a `TypeError`) if ``SECRET_KEY_FALLBACKS`` is not a list.
        """
        secret_key = app.secret_key
        if not secret_key:
            return None
        fallbacks = app.config["SECRET_KEY_FALLBACKS"] or ()
        if isinstance(fallbacks, (str, bytes)):
            raise SecretKeyError
        # SECURITY: otherwise a renamed cookie would be valid for another mounted app.
        mount = suffix(app)
        made_from = (
            (*fallbacks, secret_key),
            _salted(self.salt, mount) if mount else self.salt,
            self.key_derivation,
            self.digest_method,
            self.serializer,
            app.json,
        )
        for kept_from, signing in self._dewar_kept:
            if kept_from == made_from:
                return signing
        signing = make_signing(*made_from)
        self._dewar_kept = ((made_from, signing), *self._dewar_kept[: MAX_KEPT - 1])
        return signing

    def open_session(self, app: SessionApp, request: SessionRequest) -> SecureCookieSession | None:
        """Return what the cookie holds; an empty session for one that is forged or too old."""
        signing = self.get_signing_serializer(app)
        if signing is None:
            return None
        cookie = request.cookies.get(self.get_cookie_name(app))
        if not cookie:
            return self.session_class()
        max_age = int(app.permanent_session_lifetime.total_seconds())
        try:
            return self.session_class(signing.loads(cookie, max_age=max_age))
        except BadSignature:
            return self.session_class()

    def save_session(self, app: SessionApp, session: SessionMixin, response: Response) -> None:
        """Set the cookie, delete it, or leave it, by what the request did to the session.

        Raises:
            SessionUnavailableError: (a `RuntimeError`) if there is no secret key any more.
        """
        if session.accessed:
            vary_by_cookie(response)
        if not session:
            if session.modified:
                response.delete_cookie(**_cookie(self, app))
                vary_by_cookie(response)
            return
        if not self.should_set_cookie(app, session):
            return
        signing = self.get_signing_serializer(app)
        if signing is None:
            raise SessionUnavailableError
        value = signing.dumps(dict(session))
        expires = self.get_expiration_time(app, session)
        add_cookie(response, signing, value, expires, _cookie(self, app))
        vary_by_cookie(response)


def _cookie(interface: SessionInterface, app: SessionApp) -> dict[str, Any]:
    """Return what setting and deleting the cookie have in common."""
    return {
        "key": interface.get_cookie_name(app),
        "domain": interface.get_cookie_domain(app),
        "path": interface.get_cookie_path(app),
        "secure": interface.get_cookie_secure(app),
        "partitioned": interface.get_cookie_partitioned(app),
        "samesite": interface.get_cookie_samesite(app),
        "httponly": interface.get_cookie_httponly(app),
    }


def _salted(salt: str | bytes, suffix: str) -> str | bytes:
    return salt + suffix if isinstance(salt, str) else salt + suffix.encode()
