"""What is named as a question only answers: it is cheap, and asking changes nothing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "dewar").rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef

_PREDICATE = re.compile(r"_*(is|has|can|was|may|must|should|needs|wants|looks)_")
#: Methods that change what they are called on, wait, or do I/O.
MUTATORS = frozenset({
    # collections
    "add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert", "pop",
    "popitem", "popleft", "put", "put_nowait", "remove", "reverse", "setdefault", "sort", "update",
    # locks, events, threads, tasks and futures
    "acquire", "add_done_callback", "call_soon", "cancel", "notify", "notify_all", "release", "set",
    "sleep", "start", "stop", "submit", "task_done", "wait", "wait_for", "wake",
    # descriptors, files and processes
    "close", "connect", "flush", "kill", "open", "read", "readline", "recv", "recv_into",
    "recvfrom", "register", "select", "send", "send_bytes", "sendall", "sendfile", "sendto",
    "setsockopt", "shutdown", "terminate", "unlink", "unregister", "waitpid", "write",
    # databases
    "commit", "delete", "execute", "rollback",
})  # fmt: skip
#: Functions of the language that act.
ACTING = frozenset({"delattr", "open", "print", "setattr"})
#: Those that may call one of these after all, each with its reason.
EXCEPTIONS = {
    "server/connection/readiness.py:has_peer_closed": "peeks at a socket that does not block",
    "server/connection/readiness.py:_is_ready": "polls one descriptor without waiting",
    "server/system/terminal.py:_is_there": "opens /dev/tty to ask for the terminal",
}


def predicates(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function) and _PREDICATE.match(node.name):
            yield node


def actions(function: Function) -> set[str]:
    """Return what a function does besides computing its answer."""
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, (ast.Attribute, ast.Subscript)):
            if not isinstance(node.ctx, ast.Load):
                found.add(f"assigns {ast.unparse(node)}")
        elif isinstance(node, (ast.Global, ast.Nonlocal, ast.Await, ast.Yield, ast.YieldFrom)):
            found.add(type(node).__name__.lower())
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr in MUTATORS:
                found.add(f"calls {ast.unparse(called)}()")
            elif isinstance(called, ast.Name) and called.id in ACTING:
                found.add(f"calls {called.id}()")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_predicate_has_no_effect(path: Path) -> None:
    """Who acts is named by a verb, also where it returns whether it could."""
    place = path.relative_to(ROOT / "src" / "dewar").as_posix()
    for function in predicates(ast.parse(path.read_text())):
        if f"{place}:{function.name}" not in EXCEPTIONS:
            assert not actions(function), f"{function.name}, line {function.lineno}"


def test_every_exception_is_needed() -> None:
    """One whose function is gone, or acts no more, is taken off the list."""
    for name in EXCEPTIONS:
        place, _, function_name = name.partition(":")
        tree = ast.parse((ROOT / "src" / "dewar" / place).read_text())
        named = [function for function in predicates(tree) if function.name == function_name]
        assert any(map(actions, named)), name


@pytest.mark.parametrize(
    "body",
    [
        "self.x = 1",
        "self.x += 1",
        "del self.x",
        "self.x, y = 1, 2",
        "self.x[0] = 1",
        "return self.queue.pop()",
        "return not sock.recv(1)",
        "return [f.close() for f in self.files]",
        "return open(path)",
        "global x",
    ],
)
def test_the_check_finds_what_acts(body: str) -> None:
    """Whatever way it goes about it."""
    (function,) = predicates(ast.parse(f"def _is_it(self):\n    {body}"))
    assert actions(function)


@pytest.mark.parametrize(
    "body", ["x = 1", "return self.x is None", "return any(map(self.f, self.items()))"]
)
def test_the_check_lets_answers_pass(body: str) -> None:
    """A local name is nobody else's."""
    (function,) = predicates(ast.parse(f"def has_it(self):\n    {body}"))
    assert not actions(function)
