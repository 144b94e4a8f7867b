"""The plain form of a request, a session and a `g`, for another process or machine.

SECURITY: a broker or a database may keep the plain form. It has only the listed variables of the
environ, because a server may have put its whole process environment in there, and not the headers
that prove who the client is.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from markupsafe import Markup

from dewar.json.tagged import TaggedJSONSerializer

#: In bytes. A larger body is better passed by reference than through a broker.
BODY_LIMIT = 64 * 1024

_VARIABLES = frozenset(
    {
        *("CONTENT_LENGTH", "CONTENT_TYPE", "HTTPS", "PATH_INFO", "QUERY_STRING", "RAW_URI"),
        *("REMOTE_ADDR", "REMOTE_PORT", "REMOTE_USER", "REQUEST_METHOD", "REQUEST_URI"),
        *("SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "wsgi.url_scheme"),
    }
)
_SECRETS = frozenset({"HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_PROXY_AUTHORIZATION"})
_SCALARS = frozenset({type(None), bool, int, float, str, bytes, UUID, datetime, Markup})
# PERF: making one costs more than packing a value. No tag is ever registered on this serializer, so
# it never changes, and all threads may use it at once. An app's own tags are for the cookies of its
# sessions, not for jobs.
_SERIALIZER = TaggedJSONSerializer()


def pack_environ(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of an environ that may leave the process: strings, and no secrets."""
    return {
        name: value
        for name, value in environ.items()
        if type(value) is str
        and (name in _VARIABLES or (name.startswith("HTTP_") and name not in _SECRETS))
    }


def pack_items(items: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Return each item as text, and the names of those that would come back as something else."""
    packed = {}
    for name, value in items.items():
        if _is_plain(value):
            text = _SERIALIZER.dumps(value)
            # Some plain values change on the way: a number as a key, half a second.
            if _SERIALIZER.loads(text) == value:
                packed[name] = text
    return packed, [name for name in items if name not in packed]


def unpack_items(packed: Mapping[str, str]) -> dict[str, Any]:
    """Return the items from the text that `pack_items` made."""
    return {name: _SERIALIZER.loads(text) for name, text in packed.items()}


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    if kind is list or kind is tuple:
        return all(_is_plain(item) for item in value)
    return kind in _SCALARS
