"""The header fields of a response, by the shortest way.

PERF: Werkzeug's `Headers` looks at each value with a regular expression and at all names, whenever
one is set or copied. What needs none of that goes directly into its list. Property tests compare
the result with Werkzeug's.
"""

import re
from types import MappingProxyType
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.utils import get_content_type

Field = tuple[str, str]

#: The field for each usual type of a body.
TYPE_FIELDS = MappingProxyType(
    {
        mimetype: ("Content-Type", get_content_type(mimetype, "utf-8"))
        for mimetype in (
            "application/json",
            "application/octet-stream",
            "application/xml",
            "text/css",
            "text/csv",
            "text/event-stream",
            "text/html",
            "text/plain",
        )
    }
)
#: Whether `werkzeug.urls.iri_to_uri` returns a URL as it is: a path, perhaps with a query and a
#: fragment. A path that begins with two slashes is a host.
is_ascii_url = re.compile(
    r"/(?:[\w.~%!$&'()*+,:;=@-][\w.~%!$&'()*+,/:;=@-]*)?"
    r"(?:\?[\w.~%!$&'()*+,/:;=?@-]+)?(?:#[\w.~%!$&'()*+,/:;=?@-]+)?",
    re.ASCII,
).fullmatch


def maybe_fields(
    given: Any, mimetype: Any, content_type: Any, default_mimetype: Any
) -> list[Field] | None:
    """Return the fields of a new response without its length; None if Werkzeug has to make them.

    Args:
        given: What was given as headers.
        mimetype: The type that was given, without its charset.
        content_type: The type that was given, with its charset.
        default_mimetype: The type if none was given.
    """
    fields: list[Field] = []
    if given is not None:
        if type(given) is not dict and type(given) is not list:
            return None
        for field in given.items() if type(given) is dict else given:
            if not _is_plain(field):
                return None
            fields.append(field)
    is_typed = bool(fields) and has_field(fields, "content-type")
    if content_type is None:
        if mimetype is None:
            if is_typed:
                return fields
            mimetype = default_mimetype
        field = TYPE_FIELDS.get(mimetype)
    else:
        field = ("Content-Type", content_type)
        field = field if _is_plain(field) else None
    if field is None or is_typed:
        return None
    fields.append(field)
    return fields


def has_field(fields: list[Field], lowered: str) -> bool:
    """Whether there is a field of a name, which is given in lower case."""
    for name, _ in fields:  # noqa: SIM110  # PERF: a generator takes twice as long
        if name.lower() == lowered:
            return True
    return False


def to_headers(fields: list[Field]) -> Headers:
    """Return headers that keep a list of fields, which are valid."""
    headers = Headers.__new__(Headers)
    headers._list = fields  # noqa: SLF001  # no public way without a check of each field
    return headers


def _is_plain(field: Any) -> bool:
    """Whether `Headers` takes a field as it is."""
    if type(field) is not tuple or len(field) != 2:
        return False
    name, value = field
    return type(name) is str and type(value) is str and "\n" not in value and "\r" not in value
