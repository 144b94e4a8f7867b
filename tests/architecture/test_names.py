"""Public names are documented, there once, and nowhere else."""

import ast
import importlib
import inspect
import pkgutil
from collections import defaultdict
from pathlib import Path

import pytest

import dewar
from architecture.tree import SOURCES, name_of, parse

#: Folders whose `__init__` has names, for they are used as ``dewar.<folder>.<name>``.
FACES = {"", "compat", "json", "server", "tasks/webhooks"}
#: Stands for a package of Flask's, whose names it has.
MAPPED = "compat/flask"


def folder_of(path: Path) -> str:
    """Return the folder of a module, or nothing for the root."""
    return name_of(path).rpartition("/")[0]


@pytest.mark.parametrize("folder", sorted(FACES))
def test_every_public_name_is_documented_and_there_once(folder: str) -> None:
    """What a public face exports has a docstring, and exists."""
    face = importlib.import_module(".".join(["dewar", *filter(None, folder.split("/"))]))
    assert sorted(face.__all__) == sorted(set(face.__all__))
    for name in face.__all__:
        assert name == "__version__" or inspect.getdoc(getattr(face, name)), name


def test_no_submodule_bears_the_name_of_a_public_object() -> None:
    """``import dewar.request`` would replace the proxy."""
    modules = {module.name for module in pkgutil.iter_modules(dewar.__path__)}
    assert modules & set(dewar.__all__) == {"json"}  # which is the module


def test_folders_re_export_nothing() -> None:
    """Only public faces have names of others; any other `__init__` is its docstring."""
    for path in SOURCES:
        folder = folder_of(path)
        if path.name != "__init__.py" or folder in FACES or folder.startswith(MAPPED):
            continue
        body = parse(path).body
        assert [type(node) for node in body] == [ast.Expr], f"more than its docstring: {path}"


def test_the_name_of_a_public_class_stands_once() -> None:
    """One word has one meaning: a reader who searches for a class finds that class."""
    found = defaultdict(list)
    for path in SOURCES:
        for node in parse(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(name_of(path))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}
