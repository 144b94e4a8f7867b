"""Find in a test what only lets time pass: sleeps, and waits for what nobody brings about.

These are sleeps:

- ``time.sleep``, ``asyncio.sleep`` and ``gevent.sleep``, but for 0, which only gives way, and for
  asyncio's where a `VirtualLoop` has the clock;
- a wait with a timeout for an event that was made for it, or that nothing in the file sets;
- a wait of less than a second whose result is not used, and ``select`` without any descriptor;
- a wait that has to fail: ``assert not event.wait(1)``, ``while not event.wait(1)``, and a socket
  with a timeout of less than a second.

Programs in strings are looked into as well.
"""

import ast
import textwrap
from collections.abc import Iterator, Sequence

from architecture.tree import named_nodes

_SLEEPS = {"time.sleep", "asyncio.sleep", "gevent.sleep"}
_EVENTS = {"Event", "Condition"}
#: Timeouts from here on are limits for what is waited for, in seconds.
_LONG = 1.0


def find_sleeps(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Return the name of the function and the line of each sleep."""
    origins, unset = _origins(tree), _unset_events(tree)
    for name, node in named_nodes(tree):
        if isinstance(node, ast.Constant):
            found = _sleeps_in_text(node.value)
        elif isinstance(node, ast.Assert | ast.While):
            found = _waits_in_vain(node.test)
        elif isinstance(node, ast.Expr):
            found = _is_short(_awaited(node.value), "wait", "join")
        else:
            found = isinstance(node, ast.Call) and (
                _is_sleep(node, origins) or _is_idle(node, origins, unset)
            )
        if found:
            yield name, node.lineno


def _origins(tree: ast.Module) -> dict[str, str]:
    """Return what imported names stand for."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def _unset_events(tree: ast.Module) -> set[str]:
    """Return the names of events that are made in this file and only waited for."""
    made, waited = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _makes_event(node.value):
            made |= {_last_name(target) for target in node.targets}
        elif isinstance(node, ast.Attribute) and node.attr == "wait":
            waited.add(node.value)
    used = {
        _last_name(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and node not in waited
    }
    return made - used


def _makes_event(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _EVENTS


def _is_sleep(call: ast.Call, origins: dict[str, str]) -> bool:
    name = _full_name(call.func, origins)
    is_virtual = name == "asyncio.sleep" and "VirtualLoop" in origins
    if name not in _SLEEPS or is_virtual:
        return False
    return not (call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0)


def _is_idle(call: ast.Call, origins: dict[str, str], unset: set[str]) -> bool:
    """Return whether a call waits for nothing, or for the silence of a socket."""
    function = call.func
    if _full_name(function, origins) == "select.select":
        lists = call.args[:3]
        return all(isinstance(node, ast.List) and not node.elts for node in lists)
    if _full_name(function, origins) == "asyncio.wait_for":
        waited = call.args[0]
        return isinstance(waited, ast.Call) and _is_hopeless(waited.func, unset)
    if _is_short(call, "settimeout"):
        return True
    return bool(_timeouts(call)) and _is_hopeless(function, unset)


def _is_hopeless(function: ast.expr, unset: set[str]) -> bool:
    """Return whether this waits for what nothing can set."""
    if not (isinstance(function, ast.Attribute) and function.attr == "wait"):
        return False
    return _makes_event(function.value) or _last_name(function.value) in unset


def _waits_in_vain(test: ast.expr) -> bool:
    """Return whether a test holds only after a timeout."""
    if not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
        return False
    call = test.operand
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        return False
    timeouts = [node for node in _timeouts(call) if ast.unparse(node) != "0"]
    return call.func.attr == "wait" and bool(timeouts)


def _is_short(node: ast.expr, *names: str) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    return node.func.attr in names and any(
        isinstance(timeout, ast.Constant)
        and isinstance(timeout.value, int | float)
        and 0 < timeout.value < _LONG
        for timeout in _timeouts(node)
    )


def _timeouts(call: ast.Call) -> Sequence[ast.expr]:
    named = [keyword.value for keyword in call.keywords if keyword.arg == "timeout"]
    return [*call.args[:1], *named]


def _awaited(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Await) else node


def _last_name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _full_name(function: ast.expr, origins: dict[str, str]) -> str:
    first, dot, rest = ast.unparse(function).partition(".")
    return origins.get(first, first) + dot + rest


def _sleeps_in_text(text: object) -> bool:
    """Return whether a string is a program that sleeps."""
    if not isinstance(text, str) or not ("sleep(" in text or ".wait(" in text):
        return False
    try:
        tree = ast.parse(textwrap.dedent(text))
    except SyntaxError:
        return False
    return any(find_sleeps(tree))
