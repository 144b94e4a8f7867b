"""The error that Werkzeug's `Map` raises for a path that no rule matches, without its search."""

from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound


def find_refusal(root: Any, path: str, method: str, merges: bool) -> HTTPException | None:
    """Return the error that the map raises, or None if only the map can tell.

    Args:
        root: The root of the tree of a `RouteIndex` that has all rules.
        path: The path, which is ASCII and has no two slashes together.
        method: The method.
        merges: Whether the map merges slashes. It searches twice then.
    """
    methods: set[str] = set()
    segments = path.split("/")
    if not _search_in_vain(root, segments, method, methods):
        return None
    if not methods:
        return NotFound()
    # The field Allow has the methods in the order of a set, which depends on how it was filled.
    if merges:
        _search_in_vain(root, segments, method, methods)
    return MethodNotAllowed([*methods])


def _search_in_vain(node: Any, segments: list[str], method: str, methods: set[str]) -> bool:
    """Return whether the map finds no rule, and nothing to redirect to, from a node on.

    *methods* takes those of the rules for other methods.
    """
    if not segments:
        for entry in node.rules:
            # The map may come twice to one that matches with and without a slash.
            if entry.allows(method) or not entry.rule.strict_slashes:
                return False
            methods.update(entry.rule.methods)
        return not (node.is_contested or "" in node.static)
    segment, *rest = segments
    child, variable = node.static.get(segment), node.variable
    if node.is_contested or (not segment and (node.rules or variable is not None)):
        return False  # a rule without a slash at its end may match a path with one, too
    if child is not None and not _search_in_vain(child, rest, method, methods):
        return False
    return (
        variable is None
        or not variable.matches(segment)
        or _search_in_vain(variable.node, rest, method, methods)
    )
