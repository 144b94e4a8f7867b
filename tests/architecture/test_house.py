"""The house keeps its own rules: sizes, names, documentation."""

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import dewar

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "dewar").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))

#: Files that may be longer, each with its reason.
LONGER_FILES: dict[str, str] = {}
#: Folders with a public face, and the one that only maps names.
FACES = {"dewar", "server", "json", "compat", "webhooks"}
MAPPED = ROOT / "src" / "dewar" / "compat" / "flask"
#: Functions that may have more parameters: they have the signature of others.
MORE_PARAMETERS = {
    "Dewar.__init__",
    "Dewar.url_for",
    "url_for",
    "build_url",
    "send_file",
    "DewarClient.open",
    "EnvironBuilder.__init__",
    "Blueprint.__init__",
    "run_simple",
    "TaskPool.__init__",  # concurrent.futures' settings, of both kinds of pool
}


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield prefix + child.name, child  # type: ignore[misc]
                yield from walk(child, prefix)
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{child.name}.")
            else:
                yield from walk(child, prefix)

    yield from walk(ast.parse(path.read_text()), "")


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, source: list[str]) -> int:
    """Count the lines without the signature, the docstring, blanks and comments."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    if not body:
        return 0
    lines = source[body[0].lineno - 1 : function.end_lineno]
    return sum(1 for line in lines if line.strip() and not line.strip().startswith("#"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_files_and_functions_are_small(path: Path) -> None:
    """A file has at most 400 lines, a function 40, with at most 6 parameters."""
    source = path.read_text().splitlines()
    if path.name not in LONGER_FILES:
        assert len(source) <= 400
    for name, function in functions(path):
        assert code_lines(function, source) <= 40, name
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        count = len([argument for argument in named if argument.arg not in {"self", "cls"}])
        assert count <= 6 or name in MORE_PARAMETERS, f"{name} has {count} parameters"


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_every_test_states_the_behaviour_it_holds(path: Path) -> None:
    """Each test function has a docstring, and no test sleeps."""
    for name, function in functions(path):
        if name.rpartition(".")[2].startswith("test_"):
            assert ast.get_docstring(function), name


def test_every_public_name_is_documented_and_there_once() -> None:
    """What the root exports has a docstring, and exists."""
    assert sorted(dewar.__all__) == sorted(set(dewar.__all__))
    for name in dewar.__all__:
        thing = getattr(dewar, name)
        assert name == "__version__" or inspect.getdoc(thing), name


def test_no_submodule_bears_the_name_of_a_public_object() -> None:
    """``import dewar.request`` would replace the proxy."""
    modules = {module.name for module in pkgutil.iter_modules(dewar.__path__)}
    assert modules & set(dewar.__all__) == {"json"}  # which is the module


def test_folders_re_export_nothing() -> None:
    """Only the root and what is used as ``dewar.<folder>.<name>`` have a public face."""
    for path in SOURCES:
        if MAPPED in path.parents:
            continue  # stands for a package of Flask's, whose names it has
        if path.name != "__init__.py" or path.parent.name in FACES:
            continue
        body = ast.parse(path.read_text()).body
        assert len(body) == 1, f"{path} holds more than its docstring"


def test_what_is_ours_is_not_taken_from_werkzeug() -> None:
    """The locals, the server and the dispatcher are Dewar's own."""
    theirs = ("werkzeug.local", "werkzeug.serving", "werkzeug.middleware.dispatcher")
    for path in SOURCES:
        if path.name == "installing.py":
            continue  # puts ours in the place of theirs
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith(theirs), path
            elif isinstance(node, ast.Import):
                assert not any(alias.name.startswith(theirs) for alias in node.names), path


def test_no_assert_checks_input() -> None:
    """Assertions vanish under -O; mistakes are exceptions."""
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        asserts = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]
        assert asserts == [], path


def test_a_class_holds_no_mutable_state() -> None:
    """What is registered belongs to an app, never to a class or a module."""
    allowed = {"jinja_options", "decorators"}  # Flask's: copied or read, never changed
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            for statement in node.body:
                value = getattr(statement, "value", None)
                if isinstance(value, (ast.List, ast.Dict, ast.Set)):
                    target = getattr(statement, "target", None) or statement.targets[0]  # type: ignore[attr-defined]
                    assert getattr(target, "id", "") in allowed, f"{path}:{statement.lineno}"
