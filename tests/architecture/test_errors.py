"""Mistakes are exceptions."""

import ast

from architecture.tree import SOURCES, parse


def test_no_assert_checks_input() -> None:
    """Assertions vanish under -O."""
    for path in SOURCES:
        asserts = [node.lineno for node in ast.walk(parse(path)) if isinstance(node, ast.Assert)]
        assert asserts == [], path
