"""The plain form of a request, a session and a `g`, for another process or machine.

SECURITY: a broker or a database may keep the plain form for days. It has only the listed variables
of the environ, because a server may have put its whole process environment in there. It has no
header fields with credentials, and ``***`` for the values of such fields in URLs, forms and JSON.
A session, a `g` and the path are as the program has made them.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from markupsafe import Markup

from dewar.json.tagged import TaggedJSONSerializer, through
from dewar.support.redaction import HIDDEN, IsSecret, without_secrets

#: In bytes. A larger body is better passed by reference than through a broker.
BODY_LIMIT = 64 * 1024

_VARIABLES = frozenset(
    {
        *("CONTENT_LENGTH", "CONTENT_TYPE", "HTTPS", "PATH_INFO", "QUERY_STRING", "RAW_URI"),
        *("REMOTE_ADDR", "REMOTE_PORT", "REMOTE_USER", "REQUEST_METHOD", "REQUEST_URI"),
        *("SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "wsgi.url_scheme"),
    }
)
# The variables whose values are URLs, or parts of them.
_URLS = frozenset({"QUERY_STRING", "RAW_URI", "REQUEST_URI"})
_PART_NAME = re.compile(rb'\bname="?([^";\r\n]*)')
_SCALARS = frozenset({type(None), bool, int, float, str, bytes, UUID, datetime, Markup})
# PERF: making one costs more than packing a value. No tag is ever registered on this serializer, so
# it never changes, and all threads may use it at once. An app's own tags are for the cookies of its
# sessions, not for jobs.
_SERIALIZER = through(TaggedJSONSerializer(), json)


def pack_environ(environ: Mapping[str, Any], is_secret: IsSecret) -> dict[str, str]:
    """Return the variables of an environ that may leave the process: strings, and no secrets.

    Args:
        environ: The environ.
        is_secret: Returns whether a name is that of a field with credentials.
    """
    packed = {}
    for name, value in environ.items():
        if type(value) is not str:
            continue
        if name.startswith("HTTP_"):
            if not is_secret(name[5:]):
                # A Referer, for example.
                is_url = "=" in value and ("://" in value or value.startswith("/"))
                packed[name] = without_secrets(value, is_secret) if is_url else value
        elif name in _VARIABLES:
            packed[name] = without_secrets(value, is_secret) if name in _URLS else value
    return packed


def pack_form(
    form: list[tuple[str, str]] | None, is_secret: IsSecret
) -> list[tuple[str, str]] | None:
    """Return the fields of a form with ``***`` for secret values; None for no form."""
    if form is None:
        return None
    return [(name, HIDDEN if is_secret(name) else value) for name, value in form]


def maybe_pack_body(body: bytes | None, content_type: str, is_secret: IsSecret) -> bytes | None:
    """Return a body with ``***`` for secret values, or None if it cannot be sent.

    That of a form or of JSON is the same down to the last byte if it has no secret. A form with
    parts that has one is not sent; its fields are.
    """
    if not body:
        return body
    if len(body) > BODY_LIMIT:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        text = body.decode("latin-1")
        return without_secrets(text, is_secret).encode("latin-1")
    if kind == "multipart/form-data":
        names = (name.decode("latin-1") for name in _PART_NAME.findall(body))
        return None if any(map(is_secret, names)) else body
    if kind == "application/json" or kind.endswith("+json"):
        return _json_without_secrets(body, is_secret)
    return body


def _json_without_secrets(body: bytes, is_secret: IsSecret) -> bytes | None:
    hidden: list[str] = []

    def hide(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        read = dict(pairs)
        for name, item in pairs:
            # A yes or a no, or nothing, is no credential.
            if is_secret(name) and item is not None and type(item) is not bool:
                read[name] = HIDDEN
                hidden.append(name)
        return read

    try:
        safe = json.loads(body, object_pairs_hook=hide)
    except (ValueError, RecursionError):
        return None  # what cannot be read cannot be known to have no secret
    return json.dumps(safe).encode() if hidden else body


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
