"""Regular expressions use what each supported interpreter matches rightly."""

import importlib
import re
import re._parser as sre_parser
from collections.abc import Iterator

import pytest

from architecture.tree import SOURCES, module_of

# `re` of CPython 3.11.0 to 3.11.2 matches these wrongly in a group, and Debian 12 has 3.11.2.
WRONG = {"POSSESSIVE_REPEAT", "ATOMIC_GROUP"}
PATTERN_FILES = [path for path in SOURCES if "re.compile(" in path.read_text(encoding="utf-8")]


def operations(node: object) -> Iterator[str]:
    """Find the names of all operations in a parsed pattern."""
    if isinstance(node, (sre_parser.SubPattern, list, tuple)):
        for child in node:
            yield from operations(child)
    elif isinstance(node, int) and hasattr(node, "name"):
        yield node.name


def operations_of(pattern: "re.Pattern[str] | re.Pattern[bytes]") -> set[str]:
    """Return the names of the operations in a compiled pattern."""
    text = pattern.pattern
    return set(operations(sre_parser.parse(text, pattern.flags & ~re.UNICODE & ~re.DEBUG)))


@pytest.mark.parametrize("path", PATTERN_FILES, ids=module_of)
def test_no_pattern_has_a_possessive_repeat_or_an_atomic_group(path) -> None:
    """A message's end must not depend on the interpreter."""
    module = importlib.import_module(module_of(path))
    patterns = {k: v for k, v in vars(module).items() if isinstance(v, re.Pattern)}
    wrong = [name for name, pattern in patterns.items() if operations_of(pattern) & WRONG]
    assert not wrong


def test_the_check_finds_them() -> None:
    """Or the test above would hold of nothing."""
    assert operations_of(re.compile(rb"(?:a++)*b")) & WRONG == {"POSSESSIVE_REPEAT"}
    assert operations_of(re.compile("x(?>a|b)")) & WRONG == {"ATOMIC_GROUP"}
