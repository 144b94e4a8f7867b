"""`flask.sessions`."""

from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.datastructures import CallbackDict

from dewar.json.tagged import TaggedJSONSerializer
from dewar.sessions.interface import SessionInterface
from dewar.sessions.secure_cookie import SecureCookieSessionInterface
from dewar.sessions.secure_cookie import lazy_sha1 as _lazy_sha1
from dewar.sessions.session import NullSession, SecureCookieSession, SessionMixin

__all__ = [
    "BadSignature",
    "CallbackDict",
    "NullSession",
    "SecureCookieSession",
    "SecureCookieSessionInterface",
    "SessionInterface",
    "SessionMixin",
    "TaggedJSONSerializer",
    "URLSafeTimedSerializer",
    "_lazy_sha1",
    "session_json_serializer",
]

#: For extensions that store their own sessions in this format.
session_json_serializer = TaggedJSONSerializer()
