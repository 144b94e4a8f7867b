"""Equal header values of many connections, as one string."""

from dewar.server.wire.request import Environ

# SECURITY: none of them identifies a client, because they outlive its connection.
_SHARED = tuple(
    f"HTTP_{name}"
    for name in (
        "ACCEPT", "ACCEPT_ENCODING", "ACCEPT_LANGUAGE", "CACHE_CONTROL", "CONNECTION", "HOST",
        "ORIGIN", "PRAGMA", "SEC_WEBSOCKET_EXTENSIONS", "SEC_WEBSOCKET_VERSION", "UPGRADE",
        "USER_AGENT",
    )
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
