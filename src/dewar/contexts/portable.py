"""The plain form of a request, a session and a `g`, for another process or machine.

SECURITY: what goes out may be kept by a broker or a database. Of the environ only what is listed
goes, because a server may have put its whole process environment in there; and of the headers
not those that prove who the client is.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from markupsafe import Markup

from dewar.json.tagged import TaggedJSONSerializer

#: In bytes. What is larger than this is better passed by reference than through a broker.
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
# PERF: to make one costs more than to pack a value. A serializer can be taught other tags, by
# `register`, but nobody else has this one and nobody here teaches it: it never changes, so all
# threads may use it at once. An app's own tags belong to its sessions' cookies, not to jobs.
_SERIALIZER = TaggedJSONSerializer()


def pack_environ(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return what of an environ may leave the process: strings, and no secrets."""
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
            # Some plain values are not the same afterwards: a number as a key, half a second.
            if _SERIALIZER.loads(text) == value:
                packed[name] = text
    return packed, [name for name in items if name not in packed]


def unpack_items(packed: Mapping[str, str]) -> dict[str, Any]:
    """Return the items that `pack_items` made text of."""
    return {name: _SERIALIZER.loads(text) for name, text in packed.items()}


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    if kind is list or kind is tuple:
        return all(_is_plain(item) for item in value)
    return kind in _SCALARS
