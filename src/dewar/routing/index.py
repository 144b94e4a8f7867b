"""`RouteIndex`: the fast lane over Werkzeug's `Map`.

The index answers only what it is sure of and leaves everything else to the map, which stays the
public contract. It is sure where the map's own search (static parts first, then variables, depth
first) could not come to another answer:

- the path is plain ASCII after one slash, and the host could be one;
- no other upgrade is asked for than to a WebSocket;
- at no point of the way two different variables compete;
- the rule that matches needs no redirect, alias, default or host;
- its converters are Werkzeug's. A converter of the program may look at the context, block, or
  raise any error, and it is called once for a request: by the map.

A property test holds the two equal on random rules, methods and paths.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import WSGIEnvironment

from werkzeug.routing import (
    BaseConverter,
    FloatConverter,
    IntegerConverter,
    Map,
    Rule,
    UUIDConverter,
    ValidationError,
)

Match = tuple[Rule, dict[str, Any]]

# A whole segment that is one variable: <name>, <int:name>, <float(min=1):name>.
_VARIABLE = re.compile(r"<(?:[a-zA-Z_][a-zA-Z0-9_]*(?:\([^<>]*\))?:)?([a-zA-Z_][a-zA-Z0-9_]*)>")

# Werkzeug's with a `to_python` of their own. What they return depends on the text alone.
_PURE_CONVERTERS = frozenset({FloatConverter, IntegerConverter, UUIDConverter})

_LONGEST_LABEL = 63  # RFC 1035 §2.3.4


@dataclass(slots=True)
class _Node:
    """A point in the tree of path segments."""

    static: dict[str, "_Node"] = field(default_factory=dict)
    variable: "_Variable | None" = None
    rules: list["_Entry"] = field(default_factory=list)
    #: Several variables, or one that spans segments, compete here: the map decides.
    is_contested: bool = False


@dataclass(slots=True)
class _Variable:
    """The one way on from a node by a segment that varies."""

    kind: tuple[str, int]
    matches: Callable[[str], object]
    node: _Node


@dataclass(slots=True)
class _Entry:
    """A rule that ends at a node."""

    rule: Rule
    converters: list[tuple[str, Callable[[str], Any]]]
    is_plain: bool

    def allows(self, method: str) -> bool:
        return self.rule.methods is None or method in self.rule.methods


class _UnsureError(Exception):
    """Raised to leave the search: only the map can tell."""


class RouteIndex:
    """Answers most requests without a search through Werkzeug's map.

    Args:
        url_map: The map to index; None makes an index that never answers.
        for_websockets: Whether the rules of WebSockets are indexed, and no others. For a request
            of one kind, the map passes over the rules of the other kind.
    """

    __slots__ = ("_good_host", "_root", "_static", "_websockets")

    def __init__(self, url_map: Map | None = None, for_websockets: bool = False) -> None:
        # Several threads may set it: any good host will do.
        self._good_host = ""
        self._root = _Node()
        self._static: dict[tuple[str, str], Rule] = {}
        self._websockets: RouteIndex | None = None
        if url_map is None or url_map.host_matching:
            return
        rules = list(url_map.iter_rules())
        if any("//" in rule.rule for rule in rules):
            return  # whether it matches as it is written depends on `merge_slashes`
        redirecting = {rule.endpoint for rule in rules if rule.defaults}
        for rule in rules:
            is_wanted = rule.websocket == for_websockets and not rule.build_only
            if is_wanted and rule.subdomain == url_map.default_subdomain:
                self._add(rule, rule.endpoint not in redirecting)
        if not for_websockets and any(rule.websocket for rule in rules):
            self._websockets = RouteIndex(url_map, for_websockets=True)
        answers = _static_answers("", self._root)
        self._static = {key: rule for key, rule in answers if key[1].isascii()}

    def match(self, environ: WSGIEnvironment) -> Match | None:
        """Return the rule and its values, or None if the map has to decide."""
        if "HTTP_UPGRADE" in environ:
            return self._match_upgrade(environ)
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        # As Werkzeug takes it: HTTP/1.0 has no Host, and the server's name stands for it.
        host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
        # PERF: the last good host is most often this one too.
        if host != self._good_host:
            # The map refuses a host with an empty label or a long one, as no DNS name can be.
            if len(host) > _LONGEST_LABEL or ".." in f".{host}" or not host.isascii():
                return None
            self._good_host = host
        rule = self._static.get((method, path))
        if rule is not None:
            return rule, {}
        segments = path.split("/")
        # The map decodes the path, adds a slash before it, and reads the method in capitals.
        if segments[0] or not (path.isascii() and method.isupper()):
            return None
        values: list[str] = []
        try:
            entry = _search(self._root, segments, 1, method, values)
            return None if entry is None else _converted(entry, values)
        except _UnsureError:
            return None

    def _match_upgrade(self, environ: WSGIEnvironment) -> Match | None:
        if self._websockets is None or not _asks_for_websocket(environ):
            return None
        plain = environ.copy()
        del plain["HTTP_UPGRADE"]
        return self._websockets.match(plain)

    def _add(self, rule: Rule, is_plain: bool) -> None:
        node = self._root
        converters: list[tuple[str, Callable[[str], Any]]] = []
        if not rule.rule.startswith("/"):
            node.is_contested = True
            return
        for segment in rule.rule.split("/")[1:]:
            if "<" not in segment:
                node = node.static.setdefault(segment, _Node())
                continue
            variable = _VARIABLE.fullmatch(segment)
            converter = rule._converters[variable[1]] if variable else None  # noqa: SLF001  # no public way to a rule's converters
            if variable is None or converter is None or not _is_indexable(converter):
                node.is_contested = True
                return
            converters.append((variable[1], converter.to_python))
            node = _step(node, converter)
        simple = is_plain and not (rule.alias or rule.redirect_to)
        node.rules.append(_Entry(rule, converters, simple and not rule.defaults))


def _asks_for_websocket(environ: WSGIEnvironment) -> bool:
    """Whether the map takes a request for one of a WebSocket."""
    options = environ.get("HTTP_CONNECTION", "").lower().split(",")
    return (
        any(option.strip() == "upgrade" for option in options)
        and environ["HTTP_UPGRADE"].lower() == "websocket"
    )


def _is_indexable(converter: BaseConverter) -> bool:
    """Whether a converter takes one segment, and runs no code of the program."""
    cls = type(converter)
    is_pure = cls in _PURE_CONVERTERS or cls.to_python is BaseConverter.to_python
    return is_pure and converter.part_isolating and "to_python" not in vars(converter)


def _step(node: _Node, converter: BaseConverter) -> _Node:
    """Return the node after a variable; make it, or mark it as ambiguous if there is another."""
    kind, known = (converter.regex, converter.weight), node.variable
    if known is None:
        known = _Variable(kind, re.compile(converter.regex).fullmatch, _Node())
        node.variable = known
    elif known.kind != kind:
        node.is_contested = True
    return known.node


def _static_answers(path: str, node: _Node) -> Iterable[tuple[tuple[str, str], Rule]]:
    """Yield ``(method, path), rule`` for every path without a variable."""
    for segment, child in node.static.items():
        yield from _static_answers(f"{path}/{segment}", child)
    for method in {method for entry in node.rules for method in entry.rule.methods or ()}:
        try:
            entry = _end(node, method)
        except _UnsureError:
            continue
        if entry is not None:
            yield (method, path), entry.rule


def _search(
    node: _Node, segments: list[str], position: int, method: str, values: list[str]
) -> _Entry | None:
    """Find the rule that the map would find, and append the values of its variables."""
    for position in range(position, len(segments)):  # noqa: B020  # the rest, from here
        segment = segments[position]
        child, variable = node.static.get(segment), node.variable
        if child is not None:
            if variable is None and not node.is_contested:
                node = child
                continue
            # Only here are there two ways on; the map tries the static one first.
            known = len(values)
            found = _search(child, segments, position + 1, method, values)
            if found is not None:
                return found
            del values[known:]
        if node.is_contested or not segment:
            # An empty segment is a trailing or a doubled slash, which the map may redirect.
            raise _UnsureError
        if variable is None or variable.matches(segment) is None:
            return None
        values.append(segment)
        node = variable.node
    return _end(node, method)


def _end(node: _Node, method: str) -> _Entry | None:
    """Return the one rule that ends here and allows the method."""
    allowed = [entry for entry in node.rules if entry.allows(method)]
    if not allowed:
        if "" in node.static:
            # There is a rule with a trailing slash: a redirect, perhaps.
            raise _UnsureError
        return None
    if len(allowed) > 1 or not allowed[0].is_plain:
        # The map takes the rule that was added first, and only the map knows which one that is.
        raise _UnsureError
    return allowed[0]


def _converted(entry: _Entry, raw: list[str]) -> Match:
    values: dict[str, Any] = {}
    try:
        for (name, to_python), value in zip(entry.converters, raw):  # noqa: B905  # PERF: as many by construction
            values[name] = to_python(value)
    except ValidationError:
        raise _UnsureError from None
    return entry.rule, values
