"""What is imported from where, beyond the floors that import-linter checks."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

from architecture.tree import SOURCES, module_of, parse

#: Parts of Werkzeug in whose place Dewar has its own.
THEIRS = ("werkzeug.local", "werkzeug.serving", "werkzeug.middleware.dispatcher")


def imported(path: Path) -> set[str]:
    """Return what a file imports, at its top or later: each as a module, and as a name in one."""
    found = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_no_modules_import_each_other() -> None:
    """Neither directly nor by a chain of others, nor inside a function."""
    names = {module_of(path): path for path in SOURCES}
    # The faces are left out: a package is imported with each of its modules.
    modules = {name for name, path in names.items() if path.name != "__init__.py"}
    graph = {name: imported(names[name]) & modules for name in modules}
    assert list(TopologicalSorter(graph).static_order())


def test_what_is_ours_is_not_taken_from_werkzeug() -> None:
    """The locals, the server and the dispatcher are Dewar's own."""
    for path in SOURCES:
        if path.name != "installing.py":  # which puts ours in the place of theirs
            assert not [name for name in imported(path) if name.startswith(THEIRS)], path
