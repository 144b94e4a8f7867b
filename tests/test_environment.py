"""What the environment and its files say to the command line."""

import builtins
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask.cli
import flask.helpers
import pytest

from dewar import environment
from dewar.cli.group import ScriptInfo

Write = Callable[[str, str], Path]

pytestmark = pytest.mark.usefixtures("same_process")


@pytest.mark.parametrize("value", ["", "0", "1", "true", "TRUE", "False", "no", "yes", "off"])
def test_switches_are_read_as_flask_reads_them(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable is on unless it says no; only "off" is Dewar's own word for that."""
    monkeypatch.setenv("FLASK_DEBUG", value)
    monkeypatch.setenv("FLASK_SKIP_DOTENV", value)
    expected = value != "off" and flask.helpers.get_debug_flag()
    assert environment.debug_flag() is expected
    assert environment.skips_dotenv() is expected
    assert ScriptInfo().load_dotenv_defaults is not expected


def test_files_are_read_in_flask_s_order(write: Write, folder: Path) -> None:
    """A given file goes before ``.env``, that before ``.flaskenv``, and all behind what is set."""
    write(".flaskenv", "A=flaskenv\nB=flaskenv\nC=flaskenv\nD=flaskenv\n")
    write(".env", "B=env\nC=env\nD=env\n")
    write("mine", "C=mine\nD=mine\nEMPTY\n")
    before = dict(os.environ)
    answers = []
    for load in (environment.load_dotenv, flask.cli.load_dotenv):
        os.environ.clear()
        os.environ.update(before, D="set")
        answers.append((load("mine"), {name: os.environ[name] for name in "ABCD"}))
        assert "EMPTY" not in os.environ
    assert answers[0] == answers[1]
    assert answers[0] == (True, {"A": "flaskenv", "B": "env", "C": "mine", "D": "set"})


def test_the_usual_files_can_be_left_alone(write: Write) -> None:
    """Without the defaults only the given file is read."""
    write(".env", "FROM_ENV=1\n")
    assert environment.load_dotenv(load_defaults=False) is False
    assert environment.load_dotenv("missing", load_defaults=False) is False
    assert "FROM_ENV" not in os.environ


def test_files_above_are_found(write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest file counts, here or in a folder above."""
    write(".env", "FROM_ABOVE=1\n")
    write("below/deep/x", "")
    monkeypatch.chdir(folder / "below" / "deep")
    assert environment.load_dotenv() is True
    assert os.environ["FROM_ABOVE"] == "1"


@pytest.fixture
def no_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make python-dotenv unavailable."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "dotenv":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)


@pytest.mark.usefixtures("no_dotenv", "folder")
def test_without_the_library_nothing_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    """No file and no library is no reason to speak."""
    assert environment.load_dotenv() is False
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("no_dotenv")
def test_an_unread_file_is_told_of(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that would have been read gives a tip with the extra to install."""
    write(".env", "FROM_ENV=1\n")
    assert environment.load_dotenv() is False
    output, error = capsys.readouterr()
    assert output == ""
    assert ".env is not read" in error
    assert "dewar-web[dotenv]" in error


def test_the_mark_of_importing_is_taken_back() -> None:
    """Blocks may nest; what was set before is set after."""
    with environment.importing():
        with environment.importing():
            pass
        assert os.environ["DEWAR_RUN_FROM_CLI"] == "true"
    assert "DEWAR_RUN_FROM_CLI" not in os.environ
