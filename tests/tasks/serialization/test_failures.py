import ast
import traceback
from dataclasses import dataclass
from pathlib import Path

import pytest

import dewar
from dewar.tasks.errors import JobFailed, JobTimeout, UnknownJob, WorkerDied
from dewar.tasks.serialization.failures import RemoteTraceback, describe_error, make_error


@dataclass
class Reason:
    code: int


class Teapot(Exception):
    """Takes something else than its args."""

    def __init__(self, size, *, colour):
        super().__init__(f"a {colour} pot of {size}")
        self.size = size
        self.colour = colour


@dataclass
class Fragile:
    def __post_init__(self):
        raise RuntimeError("it broke")


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no")


class Stubborn(Exception):
    def __init__(self):
        super().__init__("one", "two")

    def __reduce__(self):
        raise RuntimeError("no")


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


def there_and_back(error):
    return make_error(describe_error(raised(error)))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad", 3),
        KeyError("k"),
        OSError(2, "No such file", "a.txt"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        ValueError(Reason(7)),
        StopIteration((1, 2)),
        JobTimeout("resize", 3.5),
        UnknownJob("abc"),
        Teapot(2, colour="red"),
        Stubborn(),
    ],
    ids=repr,
)
def test_an_exception_comes_back(error):
    """Of its class, with its text, arguments and attributes."""
    back = there_and_back(error)
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert back.args == error.args
    assert vars(back) == vars(error)


def test_its_traceback_is_its_cause():
    """People see where it was raised."""
    back = there_and_back(ValueError("bad"))
    assert isinstance(back.__cause__, RemoteTraceback)
    shown = "".join(traceback.format_exception(back))
    assert "in raised" in shown
    assert "direct cause" in shown


def test_notes_come_along():
    """Added notes are kept."""
    error = ValueError("bad")
    error.add_note("while resizing")
    assert there_and_back(error).__notes__ == ["while resizing"]


@pytest.mark.parametrize(
    "error",
    [
        ValueError(object()),
        KeyboardInterrupt("stop"),
        type("Nowhere", (Exception,), {})("gone"),
        ExceptionGroup("several", [ValueError("one")]),
        Unspeakable(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_can_not_be_made_again_is_a_failed_job(error):
    """A `JobFailed` has its type, text and traceback."""
    description = describe_error(raised(error))
    back = make_error(description)
    if isinstance(error, Unspeakable):
        assert "whose text cannot be made" in str(description["text"])
        return
    assert type(back) is JobFailed
    assert back.type.endswith(f":{type(error).__name__}")
    assert back.text == str(error)
    assert "in raised" in back.traceback


@pytest.mark.parametrize(
    "kind", ["subprocess:Popen", "builtins:SystemExit", "no.such.module:Error", "os:path", "", "a:"]
)
def test_nothing_but_an_exception_is_made(kind):
    """For any class that the ledger names."""
    back = make_error({"type": kind, "text": "t", "traceback": "", "args": "[]", "state": "{}"})
    assert type(back) is JobFailed
    assert back.__cause__ is None


def test_what_is_missing_does_no_harm():
    """A description by an older version may have less."""
    assert type(make_error({"type": "builtins:ValueError", "text": "t"})) is JobFailed


@pytest.mark.parametrize(
    "parts",
    [
        {"args": ["a text"], "state": None},  # as some versions wrote a lost job
        {"args": "no JSON", "state": "{}"},
        {"args": "[]", "state": "no JSON"},
        {"args": '{"$dataclass": ["tests.tasks.test_failures:Fragile", {}]}'},
        {"args": '{"$unknown": 1}'},
        {"args": "7"},
    ],
    ids=repr,
)
def test_parts_that_can_not_be_read_are_a_failed_job(parts):
    """Whoever asks for a job learns how it ended, and never an error about reading it."""
    back = make_error({"type": "dewar.tasks.errors:JobLost", "text": "t", "traceback": "", **parts})
    assert type(back) is JobFailed
    assert back.text == "t"


def test_an_error_that_was_not_raised_has_no_traceback():
    """It has no remote cause when it is made again."""
    description = describe_error(JobTimeout("resize", 3.5))
    assert description["traceback"] == ""
    assert make_error(description).__cause__ is None
    caused = WorkerDied("killed")
    caused.__cause__ = ValueError("why")
    assert "ValueError: why" in str(describe_error(caused)["traceback"])


def test_one_function_describes_errors():
    """Only `describe_error` writes the errors that `make_error` reads."""
    for path in sorted(Path(dewar.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Dict):
                continue
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            if {"type", "text"} <= keys:
                assert path.name == "failures.py", f"{path}:{node.lineno}"


def test_a_long_traceback_is_cut_at_its_beginning():
    """The end is the important part."""
    text = str(describe_error(raised(ValueError("x" * 10**6)))["traceback"])
    assert len(text) == 32768
