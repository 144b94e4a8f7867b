"""What clients cause is logged with a bound."""

import ast
from collections.abc import Iterator

import pytest

from architecture.tree import SOURCES, name_of, parse

# What runs for each message, request or connection.
FOLDERS = ("pipeline/", "registration/", "routing/", "server/connection/", "server/wire/",
           "sessions/", "websocket/")  # fmt: skip
FILES = [path for path in SOURCES if name_of(path).startswith(FOLDERS)]
# Faults of the program and of Dewar are errors; what a client does wrong is not, and it can do it
# again and again.
UNBOUNDED = {"info", "warn", "warning"}


def unbounded(tree: ast.AST) -> Iterator[int]:
    """Find the lines that log a warning, or less, each time."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            logger = ast.unparse(node.func.value)
            is_bounded = logger.endswith("bounded_log")
            if (
                logger.endswith(("log", "logger"))
                and not is_bounded
                and node.func.attr in UNBOUNDED
            ):
                yield node.lineno


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_client_can_fill_the_log(path) -> None:
    """Use a `BoundedLog`, or debug(), for what any client can cause."""
    assert list(unbounded(parse(path))) == []


def test_the_check_finds_them() -> None:
    """Or the test above would hold of nothing."""
    lines = "_logger.warning(1)\napp.logger.info(2)\nself.bounded_log.warn(3)\n_logger.error(4)"
    assert list(unbounded(ast.parse(lines))) == [1, 2]
