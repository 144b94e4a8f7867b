"""Files and functions are small."""

import ast
from pathlib import Path

import pytest

from architecture.tree import SOURCES, Function, functions, name_of, parse

FILE_LINES = 310
FUNCTION_LINES = 40
PARAMETERS = 6
NESTING = 3

#: Functions that may have more parameters: they have the signature of others.
MORE_PARAMETERS = {
    "AppParts.__init__",
    "Dewar.__init__",
    "Dewar.url_for",
    "url_for",
    "build_url",
    "send_file",
    "DewarClient.open",
    "EnvironBuilder.__init__",
    "Blueprint.__init__",
    "run_simple",
    "Tasks.task",  # one for each option of a task
    "Task.options_for",  # one for each option of a job
    "list_command",  # one for each option of the command
    "TaskPool.__init__",  # concurrent.futures' settings, of both kinds of pool
}

_Block = (
    ast.If
    | ast.For
    | ast.AsyncFor
    | ast.While
    | ast.With
    | ast.AsyncWith
    | ast.Try
    | ast.TryStar
    | ast.Match
)


def code_lines(function: Function, source: list[str]) -> int:
    """Count the lines without the signature, the docstring, blanks and comments."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    if not body:
        return 0
    lines = source[body[0].lineno - 1 : function.end_lineno]
    return sum(1 for line in lines if line.strip() and not line.strip().startswith("#"))


def nesting(node: ast.AST, depth: int = 0) -> int:
    """Return how deep the blocks in a function go: ``elif`` goes no deeper than its ``if``.

    A function within it is counted by itself.
    """
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            continue
        goes_deeper = isinstance(child, _Block) and not _is_elif(node, child)
        deepest = max(deepest, nesting(child, depth + goes_deeper))
    return deepest


def _is_elif(parent: ast.AST, child: ast.AST) -> bool:
    """Return whether a block is no block of its own: ``elif`` stands where its ``if`` does."""
    if not (isinstance(parent, ast.If) and isinstance(child, ast.If)):
        return False
    return child in parent.orelse and child.col_offset == parent.col_offset


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_and_functions_are_small(path: Path) -> None:
    """In lines, parameters, and blocks within blocks."""
    source = path.read_text().splitlines()
    assert len(source) <= FILE_LINES
    for name, function in functions(parse(path)):
        assert code_lines(function, source) <= FUNCTION_LINES, name
        assert nesting(function) <= NESTING, name
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        count = len([argument for argument in named if argument.arg not in {"self", "cls"}])
        assert count <= PARAMETERS or name in MORE_PARAMETERS, f"{name} has {count} parameters"


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("return 1", 0),
        ("if a:\n  b()", 1),
        ("if a:\n  b()\nelif c:\n  d()\nelif e:\n  f()", 1),
        ("if a:\n  b()\nelse:\n  if c:\n    d()", 2),
        ("with a:\n  for b in c:\n    while d:\n      e()", 3),
        ("try:\n  a()\nexcept B:\n  if c:\n    d()\nfinally:\n  e()", 2),
        ("match a:\n  case 1:\n    if b:\n      c()", 2),
        ("return [a for a in b if c for d in e]", 0),
        ("if a:\n  def g():\n    if b:\n      c()", 1),
    ],
)
def test_nesting_is_counted(text: str, depth: int) -> None:
    """By blocks, as a reader sees them."""
    body = "".join(f"  {line}\n" for line in text.splitlines())
    assert nesting(ast.parse(f"def f():\n{body}").body[0]) == depth
