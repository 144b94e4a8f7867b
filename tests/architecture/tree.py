"""The files of the project, and how to look into them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "dewar"
TESTS = ROOT / "tests"
#: Every module of the package, and every Python file below ``tests``.
SOURCES = sorted(SRC.rglob("*.py"))
TEST_FILES = sorted(TESTS.rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    """Return how a file of the package or of the tests is called below its folder."""
    return path.relative_to(TESTS if TESTS in path.parents else SRC).as_posix()


def module_of(path: Path) -> str:
    """Return how a file of the package is imported."""
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def parse(path: Path) -> ast.Module:
    """Return what is in a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.AST) -> Iterator[tuple[str, Function]]:
    """Find all functions, each with the name of its class before its own."""
    for name, node in named_nodes(tree):
        if isinstance(node, Function):
            yield name, node


def named_nodes(tree: ast.AST, prefix: str = "", name: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Find all nodes, each with the name of the function that it is in, or is."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, Function):
            yield prefix + child.name, child
            yield from named_nodes(child, prefix, prefix + child.name)
        elif isinstance(child, ast.ClassDef):
            yield name, child
            yield from named_nodes(child, f"{child.name}.", name)
        else:
            yield name, child
            yield from named_nodes(child, prefix, name)
