"""Find what modules and classes keep for as long as the process lives, and what changes it."""

import ast
import importlib
import json
import logging
import re
import subprocess
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from struct import Struct
from types import ModuleType
from typing import Any, NamedTuple

from architecture.tree import TESTS, Function, module_of, name_of, parse

#: What nobody can change; besides, a logger is Python's own, and found by its name.
_FIXED = (
    type(None), bool, int, float, str, bytes, Enum, re.Pattern, Struct, IPv4Network, IPv6Network,
    type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType,
    types.MethodWrapperType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.GenericAlias, types.UnionType, types.MappingProxyType, logging.Logger,
)  # fmt: skip
_TABLES = (dict, list, set)
_MUTATORS = {
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem",
    "popleft", "remove", "reverse", "setdefault", "sort", "update",
}  # fmt: skip


class Kept(NamedTuple):
    """What a module keeps that may change: its name there, and the class of the value."""

    file: str
    name: str
    kind: str


def find_kept(paths: Sequence[Path]) -> list[Kept]:
    """Return what modules and their classes keep, but for what stays as it is.

    They are imported by a process of their own: some of them change the one that imports them.
    """
    command = [sys.executable, "-m", "architecture.state", *map(str, paths)]
    run = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return [Kept(*found) for found in json.loads(run.stdout)]


def _kept_by(path: Path, module: ModuleType) -> Iterator[Kept]:
    tree = parse(path)
    for name in dict.fromkeys(_assigned(tree.body)):
        value = vars(module).get(name)
        # A table with the name of a constant is one as long as nothing changes it: `find_changes`.
        is_constant = name.isupper() and isinstance(value, _TABLES)
        if not (is_constant or _is_dunder(name) or _is_fixed(value)):
            yield Kept(name_of(path), name, type(value).__qualname__)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for name, value in _held_by(node, vars(module)[node.name]):
                yield Kept(name_of(path), f"{node.name}.{name}", type(value).__qualname__)


def _held_by(node: ast.ClassDef, owner: type) -> Iterator[tuple[str, Any]]:
    for name in _assigned(node.body):
        value = vars(owner).get(name)
        is_descriptor = hasattr(type(value), "__get__")
        if not (_is_dunder(name) or is_descriptor or _is_fixed(value)):
            yield name, value


def _is_fixed(value: Any) -> bool:
    kind = type(value)
    if kind is object or kind.__name__ == "LocalProxy" or kind.__module__ == "typing":
        return True  # a mark; what has no value of its own; types
    if kind.__module__.startswith(("sqlalchemy.", "click.")):
        return True  # statements, tables, options: declarations
    if isinstance(value, tuple | frozenset):
        return all(map(_is_fixed, value))
    if is_dataclass(kind):
        return bool(value.__dataclass_params__.frozen)
    return isinstance(value, _FIXED)


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _assigned(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Return the names that are given a value when a module is imported."""
    for statement in body:
        if isinstance(statement, ast.Assign):
            yield from (name for target in statement.targets for name in _names(target))
        elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
            yield from _names(statement.target)
        elif not isinstance(statement, Function | ast.ClassDef):
            for field in ("body", "orelse", "finalbody", "handlers"):
                yield from _assigned(getattr(statement, field, []))


def _names(target: ast.expr) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def find_changes(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Return what functions change of what modules keep: the name, and the line.

    What counts is assigned in the module, or imported from another one of Dewar's.
    """
    names = set(_assigned(tree.body)) | {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dewar")
        for alias in node.names
    }
    for function in ast.walk(tree):
        if isinstance(function, Function):
            known = names - _own_names(function)
            for node in ast.walk(function):
                yield from ((name, node.lineno) for name in _changed(node, known))


def _own_names(function: Function) -> set[str]:
    nodes = list(ast.walk(function))
    arguments = {node.arg for node in nodes if isinstance(node, ast.arg)}
    stores = (node for node in nodes if isinstance(node, ast.Name))
    return arguments | {node.id for node in stores if isinstance(node.ctx, ast.Store)}


def _changed(node: ast.AST, known: set[str]) -> Sequence[str]:
    """Return which names of a module's a node changes."""
    if isinstance(node, ast.Global):
        return node.names
    if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        changed = node.value
    elif isinstance(node, ast.Call) and _is_mutator(node.func):
        changed = node.func.value
    else:
        return ()
    return [changed.id] if isinstance(changed, ast.Name) and changed.id in known else ()


def _is_mutator(function: ast.expr) -> bool:
    """Return whether this is such a method of a constant: statements of SQL have some as well."""
    if not (isinstance(function, ast.Attribute) and function.attr in _MUTATORS):
        return False
    return isinstance(function.value, ast.Name) and function.value.id.isupper()


def caches(tree: ast.Module) -> Iterator[str]:
    """Return the functions that remember what they returned."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            marks = {ast.unparse(mark).partition("(")[0] for mark in node.decorator_list}
            if marks & {"cache", "lru_cache", "functools.cache", "functools.lru_cache"}:
                yield node.name


def main() -> None:
    """Print what the modules keep whose paths are given."""
    found = []
    for path in map(Path, sys.argv[1:]):
        found.extend(_kept_by(path, importlib.import_module(module_of(path))))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
