"""`SegmentTree`: the rules of a map by the segments of their paths.

It finds the one rule that the map would find, or nothing where the map could come to another
answer; see `dewar.routing.index`.
"""

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import Any

from werkzeug.routing import BaseConverter, FloatConverter, IntegerConverter, Rule, UUIDConverter

Match = tuple[Rule, dict[str, Any]]
#: What a segment that varies has to match, the segments that stand for other rules in its place,
#: the rule, the name of its one variable, and what makes a value of its text.
LastSegment = tuple[Callable[[str], object], Container[str], Rule, str, Callable[[str], Any] | None]
#: The rules without a variable by path, and those with one at the end by what is before it.
QuickAnswers = tuple[dict[str, Rule], dict[str, LastSegment]]

# A whole segment that is one variable: <name>, <int:name>, <float(min=1):name>.
_VARIABLE = re.compile(r"<(?:[a-zA-Z_][a-zA-Z0-9_]*(?:\([^<>]*\))?:)?([a-zA-Z_][a-zA-Z0-9_]*)>")

# Werkzeug's with a `to_python` of their own. What they return depends on the text alone.
_PURE_CONVERTERS = frozenset({FloatConverter, IntegerConverter, UUIDConverter})

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


class SegmentTree:
    """Finds the rule of a path, segment by segment.

    Add all rules, then call `complete`, then search.
    """

    __slots__ = ("quick", "root")

    def __init__(self) -> None:
        #: A path begins with an empty segment, before its first slash.
        self.root = _Node(static={"": _Node()})
        #: By method, what needs no search.
        self.quick: dict[str, QuickAnswers] = {}

    def complete(self) -> None:
        """Work out what searches need, when all rules are there."""
        _complete(self.root)
        for path, node in _static_nodes("", self.root.static[""]):
            self._add_quick(path, node)

    def add(self, rule: Rule, is_plain: bool) -> None:
        """Add a rule; it is plain if its endpoint needs no redirect to another rule."""
        node = self.root.static[""]
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

    def search(self, path: str, method: str) -> Match | None:
        """Return the rule of a path and its values, or None if the map has to decide."""
        # The map decodes the path, adds a slash before it, and reads the method in capitals.
        if not (path.isascii() and method.isupper()):
            return None
        raw: list[str] = []
        entry = _search(self.root, iter(path.split("/")), method, raw)
        if entry is None or entry is _UNSURE:
            return None
        values: dict[str, Any] = {}
        try:
            for (name, convert), text in zip(entry.converters, raw):  # noqa: B905  # PERF: as many by construction
                values[name] = text if convert is None else convert(text)
        except ValueError:
            return None
        return entry.rule, values

    def _add_quick(self, path: str, node: _Node) -> None:
        """Add the rules that end at a node that is reached without a variable, or one behind it."""
        if not path.isascii():
            return
        for method, entry in node.ends.items():
            if entry is not None and entry is not _UNSURE:
                self.quick.setdefault(method, ({}, {}))[0][path] = entry.rule
        variable = node.variable
        if variable is None:
            return
        for method, entry in variable.node.ends.items():
            if entry is not None and entry is not _UNSURE:
                [(name, convert)] = entry.converters
                last = variable.matches, node.static, entry.rule, name, convert
                self.quick.setdefault(method, ({}, {}))[1][path] = last


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


def _static_nodes(path: str, node: _Node) -> Iterator[tuple[str, _Node]]:
    """Yield each node that is reached without a variable, and its path."""
    yield path, node
    for segment, child in node.static.items():
        yield from _static_nodes(f"{path}/{segment}", child)


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
