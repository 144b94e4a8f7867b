"""Parses the report of ``pytest --junitxml``."""

from collections.abc import Callable, Iterator
from enum import IntEnum
from xml.etree import ElementTree as ET


class Outcome(IntEnum):
    """The outcome of a test. If a test is reported twice, the greater one counts."""

    PASSED = 0
    SKIPPED = 1
    FAILED = 2


Results = dict[str, Outcome]


def parse(text: str, is_file: Callable[[str], bool]) -> Results:
    """Return the outcome of each test by its pytest id.

    Args:
        text: The XML document.
        is_file: Return whether a path, relative to the folder that pytest ran in, is a file. The
            document names the test `tests/a.py::B::c` as `tests.a.B`, `c`, so the files are needed
            to find the end of the path.
    """
    results: Results = {}
    # The document is written by the pytest of this run, so it is trusted.
    for case in ET.fromstring(text).iter("testcase"):  # noqa: S314
        test = _test_id(case.get("classname", ""), case.get("name", ""), is_file)
        results[test] = max(results.get(test, Outcome.PASSED), _outcome(case))
    return results


def _outcome(case: ET.Element) -> Outcome:
    if case.find("failure") is not None or case.find("error") is not None:
        return Outcome.FAILED
    return Outcome.PASSED if case.find("skipped") is None else Outcome.SKIPPED


def _test_id(classname: str, name: str, is_file: Callable[[str], bool]) -> str:
    # A module that cannot be collected is a case without a class. Its name is the dotted path.
    dotted = (classname or name).split(".")
    for path, rest in _splits(dotted):
        if is_file(path):
            return "::".join([path, *rest, *([name] if classname else [])])
    return f"{classname}::{name}" if classname else name


def _splits(dotted: list[str]) -> Iterator[tuple[str, list[str]]]:
    for end in range(len(dotted), 0, -1):
        yield "/".join(dotted[:end]) + ".py", dotted[end:]
