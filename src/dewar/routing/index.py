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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.routing import (
    BaseConverter,
    FloatConverter,
    IntegerConverter,
    Map,
    Rule,
    UUIDConverter,
)

from dewar.routing.refusals import find_refusal

Match = tuple[Rule, dict[str, Any]]

# A whole segment that is one variable: <name>, <int:name>, <float(min=1):name>.
_VARIABLE = re.compile(r"<(?:[a-zA-Z_][a-zA-Z0-9_]*(?:\([^<>]*\))?:)?([a-zA-Z_][a-zA-Z0-9_]*)>")

# Werkzeug's with a `to_python` of their own. What they return depends on the text alone.
_PURE_CONVERTERS = frozenset({FloatConverter, IntegerConverter, UUIDConverter})

_LONGEST_LABEL = 63  # RFC 1035 §2.3.4

# A segment that is not empty matches the regex of any string.
_TESTS: dict[str, Callable[[str], object]] = {"[^/]{1,}": len, IntegerConverter.regex: str.isdigit}


@dataclass(slots=True)
class _Entry:
    """A rule that ends at a node."""

    rule: Rule
    # The name of each variable, and what makes a value of its text; None leaves it as it is.
    converters: list[tuple[str, Callable[[str], Any] | None]]
    is_plain: bool

    def allows(self, method: str) -> bool:
        return self.rule.methods is None or method in self.rule.methods


# What a search returns if only the map can tell.
_UNSURE: Any = object()


@dataclass(slots=True)
class _Node:
    """A point in the tree of path segments."""

    static: dict[str, "_Node"] = field(default_factory=dict)
    variable: "_Variable | None" = None
    rules: list[_Entry] = field(default_factory=list)
    #: Several variables, or one that spans segments, compete here: the map decides.
    is_contested: bool = False
    # Worked out when all rules are there: what a search that ends here returns, for the methods of
    # the rules and for all others; and the node without its static ways, for a search that has
    # tried them, or None if there is no other way.
    ends: dict[str, _Entry | None] = field(default_factory=dict)
    other_end: _Entry | None = None
    fallback: "_Node | None" = None


@dataclass(slots=True)
class _Variable:
    """The one way on from a node by a segment that varies."""

    kind: tuple[str, int]
    matches: Callable[[str], object]
    node: _Node


class RouteIndex:
    """Answers most requests without a search through Werkzeug's map.

    Args:
        url_map: The map to index; None makes an index that never answers.
        for_websockets: Whether the rules of WebSockets are indexed, and no others. For a request
            of one kind, the map passes over the rules of the other kind.
    """

    __slots__ = ("_good_host", "_has_all", "_merges", "_root", "_static", "_websockets")

    def __init__(self, url_map: Map | None = None, for_websockets: bool = False) -> None:
        # Several threads may set it: any good host will do.
        self._good_host = ""
        # A path begins with an empty segment, before its first slash.
        self._root = _Node(static={"": _Node()})
        self._static: dict[tuple[str, str], Rule] = {}
        self._websockets: RouteIndex | None = None
        # Whether the map has no rule that may match and is not here.
        self._has_all = self._merges = False
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
        self._merges = url_map.merge_slashes
        self._has_all = all(
            rule.build_only or (not rule.websocket and rule.subdomain == url_map.default_subdomain)
            for rule in rules
        )
        _complete(self._root)
        answers = _static_answers("", self._root.static[""])
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
        # The map decodes the path, adds a slash before it, and reads the method in capitals.
        if not (path.isascii() and method.isupper()):
            return None
        raw: list[str] = []
        entry = _search(self._root, iter(path.split("/")), method, raw)
        if entry is None or entry is _UNSURE:
            return None
        values: dict[str, Any] = {}
        try:
            for (name, convert), text in zip(entry.converters, raw):  # noqa: B905  # PERF: as many by construction
                values[name] = text if convert is None else convert(text)
        except ValueError:
            return None  # a number of too many digits, for instance
        return entry.rule, values

    def refuse(self, environ: WSGIEnvironment) -> HTTPException | None:
        """Return the error that the map raises, or None if that has to decide.

        Call it after `match` has found nothing.
        """
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
        if (
            not self._has_all
            or "HTTP_UPGRADE" in environ
            or host != self._good_host
            # A path without its slash, or with two, may be redirected.
            or path[:1] != "/"
            or "//" in path
            or not (path.isascii() and method.isupper())
        ):
            return None
        return find_refusal(self._root, path, method, self._merges)

    def _match_upgrade(self, environ: WSGIEnvironment) -> Match | None:
        if self._websockets is None or not _asks_for_websocket(environ):
            return None
        plain = environ.copy()
        del plain["HTTP_UPGRADE"]
        return self._websockets.match(plain)

    def _add(self, rule: Rule, is_plain: bool) -> None:
        node = self._root.static[""]
        converters: list[tuple[str, Callable[[str], Any] | None]] = []
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
            converters.append((variable[1], _conversion(converter)))
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
        known = _Variable(kind, _test_of(converter.regex), _Node())
        node.variable = known
    elif known.kind != kind:
        node.is_contested = True
    return known.node


def _conversion(converter: BaseConverter) -> Callable[[str], Any] | None:
    """Return what a converter makes a value with; None if it leaves the text as it is."""
    if type(converter).to_python is BaseConverter.to_python:
        return None
    if type(converter) is IntegerConverter and not converter.fixed_digits:
        return int if converter.min is converter.max is None else converter.to_python
    return converter.to_python


def _test_of(regex: str) -> Callable[[str], object]:
    """Return what tells whether a segment matches: not empty, and of ASCII characters."""
    return _TESTS.get(regex) or re.compile(regex).fullmatch


def _complete(node: _Node) -> None:
    """Work out what a search needs from a node on."""
    for child in node.static.values():
        _complete(child)
    if node.variable is not None:
        _complete(node.variable.node)
    methods = {method for entry in node.rules for method in entry.rule.methods or ()}
    node.ends = {method: _end(node, method) for method in methods}
    node.other_end = _end(node, "")
    if node.is_contested:
        node.variable = None
    if node.variable is not None or node.is_contested:
        node.fallback = _Node(variable=node.variable, is_contested=node.is_contested)


def _static_answers(path: str, node: _Node) -> Iterable[tuple[tuple[str, str], Rule]]:
    """Yield ``(method, path), rule`` for every path without a variable."""
    for segment, child in node.static.items():
        yield from _static_answers(f"{path}/{segment}", child)
    for method, entry in node.ends.items():
        if entry is not None and entry is not _UNSURE:
            yield (method, path), entry.rule


def _search(node: _Node, segments: Iterator[str], method: str, raw: list[str]) -> _Entry | None:
    """Find the rule that the map would find, and append the texts of its variables."""
    for segment in segments:
        child = node.static.get(segment)
        if child is not None:
            if node.fallback is None:
                node = child
                continue
            # Only here are there two ways on; the map tries the static one first.
            rest, known = [*segments], len(raw)
            found = _search(child, iter(rest), method, raw)
            if found is not None:
                return found
            del raw[known:]
            return _search(node.fallback, iter([segment, *rest]), method, raw)
        variable = node.variable
        if variable is None or not segment or not variable.matches(segment):
            # An empty segment is a trailing or a doubled slash, which the map may redirect.
            return _UNSURE if node.is_contested or not segment else None
        raw.append(segment)
        node = variable.node
    return node.ends.get(method, node.other_end)


def _end(node: _Node, method: str) -> _Entry | None:
    """Return the one rule that ends here and allows the method."""
    allowed = [entry for entry in node.rules if entry.allows(method)]
    if not allowed:
        # If there is a rule with a trailing slash, a redirect, perhaps.
        return _UNSURE if "" in node.static else None
    if len(allowed) > 1 or not allowed[0].is_plain:
        # The map takes the rule that was added first, and only the map knows which one that is.
        return _UNSURE  # type: ignore[no-any-return]  # a marker
    return allowed[0]
