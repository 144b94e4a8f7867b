"""Equal values in the environs of many connections, as one string."""

from dewar.server.wire.request import Environ

# SECURITY: none of them identifies a client, because they outlive its connection.
_SHARED = (
    "HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING", "HTTP_ACCEPT_LANGUAGE", "HTTP_CACHE_CONTROL",
    "HTTP_CONNECTION", "HTTP_HOST", "HTTP_ORIGIN", "HTTP_PRAGMA", "HTTP_SEC_WEBSOCKET_EXTENSIONS",
    "HTTP_SEC_WEBSOCKET_VERSION", "HTTP_UPGRADE", "HTTP_USER_AGENT", "SERVER_NAME", "SERVER_PORT",
)  # fmt: skip
_MOST, _LONGEST = 1024, 256


class SharedValues:
    """Keeps the environs of connections that stay open for long small.

    Most clients send the same values as others. Threads may share it: each change is a single
    operation of a dict.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<SharedValues, {len(self._known)} known>"

    def replace_in(self, environ: Environ) -> None:
        """Replace values in *environ* by equal ones that other environs have."""
        known = self._known
        if len(known) > _MOST:
            known.clear()  # common values are learned again at once
        for key in _SHARED:
            value = environ.get(key)
            if value is not None and len(value) <= _LONGEST:
                environ[key] = known.setdefault(value, value)
