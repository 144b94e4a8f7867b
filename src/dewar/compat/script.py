"""Running a script, a module or a piece of code as Python itself would, on Dewar."""

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from dewar.compat.installing import install

__all__ = ["main"]

_USAGE = "python -m dewar.compat [script.py | -m module | -c code] [arguments]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line names, with ``flask`` and parts of Werkzeug being Dewar's.

    Args:
        arguments: the command line; ``sys.argv[1:]`` by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in {"-h", "--help"}:
        sys.exit(f"Usage: {_USAGE}")
    option = given[0]
    if option in {"-m", "-c"} and len(given) < 2:
        sys.exit(f"{option} needs an argument. Usage: {_USAGE}")
    install()
    if option == "-m":
        _run_module(given[1], given[1:])
    elif option == "-c":
        _run_code(given[1], "<string>", ["-c", *given[2:]], folder="")
    elif option.startswith("-"):
        sys.exit(f"There is no option {option!r}. Usage: {_USAGE}")
    else:
        _run_file(Path(option), given)


def _run_module(name: str, argv: list[str]) -> None:
    sys.argv[:] = argv
    # Python puts the working directory there for -m, and has done so for dewar.compat.
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_file(path: Path, argv: list[str]) -> None:
    if path.is_dir():
        sys.argv[:] = argv
        runpy.run_path(str(path), run_name="__main__")
        return
    try:
        source = path.read_bytes()
    except OSError as error:
        sys.exit(f"The script can't be read: {error}. Usage: {_USAGE}")
    _run_code(source, str(path), argv, folder=str(path.resolve().parent))


def _run_code(source: str | bytes, filename: str, argv: list[str], folder: str) -> None:
    # A module of its own, which stays for threads that outlive the script.
    module = ModuleType("__main__")
    module.__file__ = filename
    module.__builtins__ = __builtins__  # type: ignore[attr-defined]  # as Python's own has
    sys.modules["__main__"] = module
    sys.argv[:] = argv
    sys.path[0] = folder
    exec(compile(source, filename, "exec"), module.__dict__)  # noqa: S102  # the user's program
