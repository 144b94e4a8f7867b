"""Run the tests on other interpreters: `make test-all` on each, `make second` on one more.

Each gets a virtual environment of its own in ``.venvs``, which is used again.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
OLDEST = (3, 11, 0)
#: What must not depend on the interpreter: how messages are framed, and whose state is whose.
PARTS = (
    "tests/contexts",
    "tests/isolation",
    "tests/server/connection",
    "tests/server/corpus",
    "tests/server/wire",
    "tests/websocket",
)
_PROBE = (
    "import sys; print(sys.implementation.name, *sys.version_info[:3], sys.base_prefix, sep='|')"
)


@dataclass(frozen=True, order=True)
class Interpreter:
    """A Python that is installed here.

    Attributes:
        version: For example ``(3, 12, 1)``.
        path: The program.
        prefix: Where it is installed.
        implementation: For example ``cpython``.
    """

    version: tuple[int, int, int]
    path: Path
    prefix: str
    implementation: str

    @property
    def label(self) -> str:
        """A name for the folder of its environment, for example ``cpython-3.12.1``."""
        return f"{self.implementation}-{'.'.join(map(str, self.version))}"


def candidates(search_path: str, home: Path) -> Iterable[Path]:
    """Find the programs that may be a Python: on *search_path*, the system's, and pyenv's."""
    for folder in [*search_path.split(os.pathsep), "/usr/bin", "/usr/local/bin"]:
        yield from sorted(Path(folder).glob("python3*")) if folder else ()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    yield from sorted(pyenv.glob("versions/*/bin/python3"))


def probe(path: Path) -> Interpreter | None:
    """Ask a program what it is; None if it is no Python that Dewar supports."""
    if path.name.endswith("-config"):
        return None
    try:
        done = subprocess.run(
            [path, "-I", "-c", _PROBE], capture_output=True, text=True, timeout=30, check=True
        )
        implementation, major, minor, micro, prefix = done.stdout.strip().split("|")
        version = int(major), int(minor), int(micro)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if version < OLDEST:
        return None
    return Interpreter(version, path, prefix, implementation)


def find(paths: Iterable[Path]) -> list[Interpreter]:
    """Return the interpreters among *paths*, each version once, the oldest first."""
    found: dict[str, Interpreter] = {}
    for path in paths:
        interpreter = probe(path)
        if interpreter is not None:
            found.setdefault(interpreter.label, interpreter)
    return sorted(found.values())


def choose_second(found: list[Interpreter], version: tuple[int, int, int]) -> Interpreter | None:
    """Return the oldest interpreter whose version is not *version*."""
    return next((each for each in found if each.version != version), None)


def environment(interpreter: Interpreter, extra: str) -> Path:
    """Make the environment of *interpreter* if there is none, and install Dewar with *extra*.

    Returns:
        Its Python.

    Raises:
        SystemExit: It cannot be made.
    """
    folder = ROOT / ".venvs" / interpreter.label
    python = folder / "bin" / "python"
    stamp = folder / f".installed-{extra}"
    source = max(
        (ROOT / name).stat().st_mtime for name in ("pyproject.toml", "src/dewar/version.py")
    )
    if stamp.exists() and stamp.stat().st_mtime >= source:
        return python
    # Without pip: Debian's Python has none for an environment. The pip of this one installs.
    run([interpreter.path, "-m", "venv", "--without-pip", "--clear", folder])
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--editable", f".[{extra}]"])
    stamp.touch()
    return python


def run(command: list[str | Path]) -> None:
    """Run *command* in the project's folder.

    Raises:
        SystemExit: It fails.
    """
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise SystemExit(f"This failed: {' '.join(map(str, command))}")


def run_second(jobs: str) -> None:
    """Run `PARTS` on a second interpreter, or say that there is none."""
    second = choose_second(find(candidates(os.environ["PATH"], Path.home())), sys.version_info[:3])
    if second is None:
        version = ".".join(map(str, sys.version_info[:3]))
        print(
            f"*** NO SECOND INTERPRETER: all tests run on {version} only. Install another Python"
            " from 3.11 on to have the tests of framing and isolation run on it as well. ***",
            flush=True,
        )
        return
    print(f"On a second interpreter, {second.label} ({second.path}):", flush=True)
    python = environment(second, "test,tasks")
    run([python, "-m", "pytest", "-q", "-n", jobs, *PARTS])


def run_all(jobs: str, arguments: list[str]) -> None:
    """Run the whole suite on each interpreter; report the result of each at the end."""
    found = find(candidates(os.environ["PATH"], Path.home()))
    failed = []
    for interpreter in found:
        print(f"=== {interpreter.label} ({interpreter.path})", flush=True)
        python = environment(interpreter, "dev")
        command = [python, "-m", "pytest", "-n", jobs, *arguments]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(interpreter.label)
    print("Ran on", ", ".join(each.label for each in found), flush=True)
    if failed:
        raise SystemExit(f"Failed on {', '.join(failed)}.")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["all", "second"])
    parser.add_argument("--jobs", default="2", help="processes of pytest")
    options, arguments = parser.parse_known_args()
    if options.what == "second":
        run_second(options.jobs)
    else:
        run_all(options.jobs, arguments)


if __name__ == "__main__":
    main()
