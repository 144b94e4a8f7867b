"""Run a script, a module or a piece of code on Dewar, like Python itself does."""

import runpy
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import NoReturn
from zipfile import is_zipfile

from dewar.compat.children import carry_to_children
from dewar.compat.installing import install

_USAGE = "python -m dewar.compat [script.py | -m module | -c code] [arguments]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a program on Dewar, which replaces ``flask`` and parts of Werkzeug.

    Args:
        arguments: The command line; ``sys.argv[1:]`` by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in {"-h", "--help"}:
        print(f"Usage: {_USAGE}")  # noqa: T201  # the output of a command
        return
    if not given:
        _refuse("Nothing to run.")
    option = given[0]
    if option in {"-m", "-c"} and len(given) < 2:
        _refuse(f"{option} needs an argument.")
    install()
    carry_to_children()
    if option == "-m":
        _run_module(given[1], given[1:])
    elif option == "-c":
        _run_code(given[1], None, ["-c", *given[2:]], folder="")
    elif option.startswith("-"):
        _refuse(f"There is no option {option!r}.")
    else:
        _run_file(Path(option), given)


def _refuse(why: str) -> NoReturn:
    sys.stderr.write(f"{why} Usage: {_USAGE}\n")
    # Python exits with this status after an invalid command line.
    sys.exit(2)


def _run_module(name: str, argv: list[str]) -> None:
    if find_spec(name.partition(".")[0]) is None:
        sys.exit(f"No module named {name}")
    sys.argv[:] = argv
    # The working directory is on ``sys.path`` already: Python has added it for dewar.compat.
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_file(path: Path, argv: list[str]) -> None:
    if path.is_dir() or is_zipfile(path):
        sys.argv[:] = argv
        runpy.run_path(str(path), run_name="__main__")
        return
    try:
        source = path.read_bytes()
    except OSError as error:
        _refuse(f"The script cannot be read: {error}.")
    _run_code(source, str(Path.cwd() / path), argv, folder=str(path.resolve().parent))


def _run_code(source: str | bytes, filename: str | None, argv: list[str], folder: str) -> None:
    # A new module, kept in ``sys.modules`` for threads that outlive the script.
    module = ModuleType("__main__")
    if filename is not None:
        module.__file__ = filename
    module.__builtins__ = __builtins__  # type: ignore[attr-defined]  # like Python's
    sys.modules["__main__"] = module
    sys.argv[:] = argv
    sys.path[0] = folder
    exec(compile(source, filename or "<string>", "exec"), module.__dict__)  # noqa: S102  # the user's program
