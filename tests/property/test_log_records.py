"""Whatever a client, a job or an exception says, it cannot forge a record or control a terminal."""

import ast
import io
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dewar
from dewar import Dewar
from dewar.support.safe_records import LOGGERS, safe_records

HOSTILE = (
    "x\nFORGED\r\nFORGED\x0bFORGED\x0cFORGED\x1cFORGED\x85FORGED\u2028FORGED\u2029FORGED"
    "\x1b[31m\x1b]0;title\x07\x00\x7f\x9b31m\u202e\udc80"
)
FORMAT = "[%(asctime)s] %(levelname)s in %(module)s: %(message)s"


class Log:
    """The text that a program's own handler writes."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.handler = logging.StreamHandler(self._stream)
        self.handler.setFormatter(logging.Formatter(FORMAT))

    def text(self) -> str:
        return self._stream.getvalue()

    def check(self, records: int = 1) -> None:
        """Fail if there are more records, other lines, or anything that cannot be printed."""
        text = self.text()
        lines = text.split("\n")
        assert [line for line in lines if not line.isprintable()] == []
        assert [line for line in text.splitlines() if line.lstrip().startswith("FORGED")] == []
        assert len(re.findall(r"^\[", text, re.MULTILINE)) == records
        text.encode("utf-8")


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(made.handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
    yield made
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(made.handler)
        logger.setLevel(level)
        logger.propagate = True


def fail(text: str) -> None:
    """Raise what has the text wherever an exception can have it."""
    try:
        raise KeyError(text) from RuntimeError(text)
    except KeyError as error:
        error.add_note(text)
        failed = ValueError(text)
        failed.add_note(text)
        syntax = SyntaxError(text, (text, 1, 1, text))
        raise ExceptionGroup(
            text, [failed, syntax, ExceptionGroup(text, [OSError(1, text)])]
        ) from error


def app_that_fails(log: Log, function: Callable[[str], object]) -> Dewar:
    app = Dewar("hostile")
    app.logger.handlers[:] = [log.handler]
    app.logger.propagate = False

    @app.before_request
    def before() -> None:
        function(HOSTILE)

    return app


@pytest.fixture
def hostile_environ() -> dict[str, Any]:
    """As a WSGI server may give it: bytes as latin-1, whatever they are."""
    path = "/" + HOSTILE.encode("utf-8", "surrogatepass").decode("latin-1")
    return {"path": path, "environ_overrides": {"PATH_INFO": path, "REQUEST_METHOD": "G\nFORGED"}}


def test_an_exception_on_a_path_is_one_record(log: Log, hostile_environ: dict[str, Any]) -> None:
    """The path, the method and all texts of the exception are the client's."""
    app = app_that_fails(log, fail)
    with app.test_client() as client:
        assert client.open(**hostile_environ).status_code == 500
    log.check()
    assert "ERROR in app: Exception on /x\\nFORGED" in log.text()
    assert "[G\\nFORGED]" in log.text()
    assert "ValueError: x\n" in log.text()


def test_a_second_teardown_error_is_one_record(log: Log, hostile_environ: dict[str, Any]) -> None:
    """What is logged beside the first."""
    app = app_that_fails(log, lambda text: None)
    app.teardown_request(lambda error: fail(HOSTILE))
    app.teardown_appcontext(lambda error: fail(HOSTILE))
    with pytest.raises(ExceptionGroup), app.test_client() as client:
        client.open(**hostile_environ)
    log.check(log.text().count("ERROR in"))
    assert "A second teardown function failed" in log.text()


def test_what_the_program_logs_is_its_own(log: Log) -> None:
    """Only records of Dewar's code are changed."""
    app = app_that_fails(log, fail)
    app.logger.error("two\nlines \x1b[1m")
    assert log.text().endswith(": two\nlines \x1b[1m\n")


def test_an_explanation_of_templates_has_lines(log: Log) -> None:
    """They are meant to be read, and each is safe."""
    app = app_that_fails(log, fail)
    app.config["EXPLAIN_TEMPLATE_LOADING"] = True
    app.logger.setLevel(logging.INFO)
    with pytest.raises(Exception, match="FORGED"):
        app.jinja_env.get_template("x\x1bFORGED")
    log.check()
    assert log.text().count("\n") > 2


def test_every_logger_of_dewar_has_the_filter() -> None:
    """Also one that is new: it has to be named in the list."""
    root = Path(dewar.__file__).parent
    named = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if is_call and node.func.attr == "getLogger" and isinstance(node.args[0], ast.Constant):
                named.add(node.args[0].value)
    assert named <= set(LOGGERS)
    for name in LOGGERS:
        assert logging.getLogger(name).filters.count(safe_records) == 1, name


@pytest.mark.parametrize("name", LOGGERS)
def test_a_record_of_any_part_is_safe(log: Log, name: str) -> None:
    """As `%s`, as `%r` of an object whose repr is not safe, and with an exception."""

    class Shown:
        def __repr__(self) -> str:
            return HOSTILE

    logger = logging.getLogger(name)
    try:
        fail(HOSTILE)
    except ExceptionGroup as error:
        record = logger.makeRecord(
            name, logging.ERROR, f"{Path(dewar.__file__).parent}/part.py", 1, "%s %r",
            (HOSTILE, Shown()), (type(error), error, error.__traceback__),
        )  # fmt: skip
    logger.handle(record)
    log.check()


def handled(message: str, error: BaseException | None = None, args: Any = ()) -> str:
    log = Log()
    info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, dewar.__file__, 1, message, args, info)
    assert safe_records(record)
    return log.handler.format(record)


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_of_an_exception_is_safe(text: str) -> None:
    """Each line can be printed, and begins as a traceback's lines do."""
    try:
        fail(text)
    except ExceptionGroup as error:
        shown = handled("%s", error, (text,))
    head, *lines = shown.split("\n")
    assert head.isprintable()
    begins = ("  ", "ExceptionGroup: ", "KeyError: ", "RuntimeError", "Traceback (", "During ")
    for line in lines:
        assert line.isprintable()
        assert line == "" or line.startswith((*begins, "The above exception"))


def test_a_record_without_anything_hostile_is_as_it_was() -> None:
    """Its template, its arguments and the formatter's own traceback."""
    try:
        raise ValueError("plain ü")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
        record = logging.LogRecord("x", 40, dewar.__file__, 1, "%s of %d", ("a", 1), info)
    safe_records(record)
    assert (record.msg, record.args, record.exc_text) == ("%s of %d", ("a", 1), None)


def test_arguments_that_do_not_fit_are_left_to_the_handler() -> None:
    """It reports them, as for any record."""
    record = logging.LogRecord("x", 40, dewar.__file__, 1, "%d", ("a",), None)
    assert safe_records(record)
    assert record.args == ("a",)


def test_the_c_locale_does_not_lose_a_record(tmp_path: Path) -> None:
    """Its stderr takes ASCII only."""
    program = dedent(
        """
        from dewar import Dewar
        app = Dewar("hostile")
        @app.get("/<name>")
        def view(name): raise ValueError(name)
        assert app.test_client().get("/%C3%BC%1B%E2%98%83").status_code == 500
        """
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", program], cwd=tmp_path, capture_output=True,
        timeout=30, check=True, env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
    )  # fmt: skip
    assert rb"Exception on /\xfc\x1b\u2603 [GET]" in done.stderr
    assert done.stderr.isascii()
    assert b"\x1b" not in done.stderr
