"""``python -m dewar.compat``: programs as Python runs them, on Dewar."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[..., subprocess.CompletedProcess[str]]

#: What a program sees of how it was started.
SHOW = """
import json, sys
print(json.dumps([
    sys.argv, sys.path[0], globals().get("__file__"), __name__, __package__, __doc__,
    __spec__ and __spec__.name, sys.modules["__main__"].__dict__ is globals(),
]))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("show.py", "a", "--help"),
        ("folder/../show.py",),
        ("-m", "show", "-x"),
        ("-m", "folder", "x"),
        ("-c", SHOW, "a", "-b"),
    ],
    ids=["script", "odd path", "module", "package", "code"],
)
def test_a_program_sees_what_python_shows_it(
    program: Program, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Its arguments, its place on the path, its file and its names."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__init__.py").write_text("")
    (tmp_path / "folder" / "__main__.py").write_text(SHOW)
    theirs = program(*arguments, show=SHOW)
    ours = program("-m", "dewar.compat", *arguments)
    assert (ours.stdout, ours.stderr) == (theirs.stdout, theirs.stderr)
    assert "__main__" in ours.stdout


def test_a_folder_and_a_zip_file_are_programs(program: Program, tmp_path: Path) -> None:
    """Where they have a `__main__`."""
    import zipfile

    source = "import flask, sys; print(flask.Flask.__name__, sys.argv)"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__main__.py").write_text(source)
    with zipfile.ZipFile(tmp_path / "packed", "w") as packed:
        packed.writestr("__main__.py", source)
    for name in ("folder", "packed"):
        done = program("-m", "dewar.compat", name, "x")
        assert (done.stdout, done.stderr) == (f"Dewar ['{name}', 'x']\n", "")


FLASK_PROGRAM = '''
"""A program."""
import sys, threading
from flask import Flask, request
import beside

app = Flask(__name__)

@app.get("/")
def index():
    return f"{request.path} {app.root_path} {app.name} {beside.word}"

print(app.test_client().get("/").text, type(app).__name__)
late = threading.Timer(0, lambda: print(app.name, __name__, sys.modules["__main__"].__doc__))
if "exit" in sys.argv:
    sys.exit(7)
if "raise" in sys.argv:
    raise ValueError("as asked")
late.start()
'''


@pytest.mark.parametrize(
    ("argument", "code", "error"),
    [("", 0, ""), ("exit", 7, ""), ("raise", 1, "ValueError: as asked\n")],
)
def test_a_flask_program_runs_on_dewar(
    program: Program, tmp_path: Path, argument: str, code: int, error: str
) -> None:
    """It finds its modules and itself, also from a thread that outlives it; its end is Python's."""
    done = program(
        "-m", "dewar.compat", "shop.py", argument, shop=FLASK_PROGRAM, beside="word = 'found'"
    )
    first, _, rest = done.stdout.partition("\n")
    assert first == f"/ {tmp_path} shop found Dewar"
    assert rest == ("shop __main__ A program.\n" if not argument else "")
    assert (done.returncode, done.stderr.endswith(error)) == (code, True)
    assert bool(done.stderr) == bool(error)
    assert ('shop.py", line' in done.stderr) == bool(error)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("missing.py",), 2, "cannot be read: [Errno 2] No such file or directory: 'missing.py'"),
        (("-m", "missing_module"), 1, "No module named missing_module\n"),
        (("-m",), 2, "-m needs an argument. Usage: python -m dewar.compat"),
        (("-z",), 2, "There is no option '-z'. Usage: python -m dewar.compat"),
        ((), 2, "Nothing to run. Usage: python -m dewar.compat"),
    ],
    ids=repr,
)
def test_what_can_not_be_run_is_told(
    program: Program, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """With the exit code that Python has for it."""
    done = program("-m", "dewar.compat", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_an_answer(program: Program) -> None:
    """And no error."""
    done = program("-m", "dewar.compat", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: python -m dewar.compat [script.py | -m module")


def test_flask_s_command_line_is_there(program: Program) -> None:
    """``-m flask`` is the ``flask`` command, with the commands of the app."""
    source = """
    import click
    from flask import Flask, current_app

    app = Flask("shop")

    @app.cli.command()
    def hello():
        click.echo(f"{current_app.name} {type(app).__name__}")
    """
    done = program("-m", "dewar.compat", "-m", "flask", "--app", "shop", "hello", shop=source)
    assert (done.stdout, done.stderr) == ("shop Dewar\n", "")
    help_text = program("-m", "dewar.compat", "-m", "flask", "--app", "shop", "--help").stdout
    assert "Usage: flask" in help_text
    assert [word in help_text for word in ("hello", "routes", "run", "shell")] == [True] * 4
