"""A state is an enum with a table of its moves, and never a set of flags."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "dewar").rglob("*.py"))

#: Three that change have eight combinations; nobody sees which of more are meant to occur.
MOST = 3


def assigned(function: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            yield from ((target, node.value) for target in node.targets)
        elif isinstance(node, ast.AnnAssign):
            yield node.target, node.value


def changing_flags(kind: ast.ClassDef) -> set[str]:
    """Return the attributes that a class sets to True or False after it was made."""
    return {
        target.attr
        for function in kind.body
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        if function.name != "__init__"
        for target, value in assigned(function)
        if isinstance(target, ast.Attribute)
        if isinstance(value, ast.Constant) and isinstance(value.value, bool)
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_no_class_has_many_flags_that_change(path: Path) -> None:
    """What several of them say together is one state."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            assert len(changing_flags(node)) <= MOST, node.name


def test_the_check_finds_flags() -> None:
    """Those that change, and not those that are a fact from the beginning."""
    source = """
class Flags:
    def __init__(self):
        self.is_fact = True
        self.a = self.b = False

    async def go(self):
        self.a = self.b = True
        self.c: bool = False
        self.count = 1
"""
    (kind,) = ast.parse(source).body
    assert isinstance(kind, ast.ClassDef)
    assert changing_flags(kind) == {"a", "b", "c"}
