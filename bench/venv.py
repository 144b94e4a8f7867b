"""The virtual environment of the bench: this project, installed with pip, and its peers."""

import hashlib
import json
import subprocess
import sys
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PEERS = (
    "flask",
    "werkzeug",
    "gunicorn",
    "waitress",
    "granian",
    "fastpysgi",
    "falcon",
    "bottle",
    "quart",
    "fastapi",
    "blacksheep",
    "sanic",
    "robyn",
    "litestar",
    "uvicorn",
    "uvloop",
    "httptools",
    "websockets",
    "wsproto",
    "huey",
    "rq",
    "celery",
    "packaging",  # Celery 5.7 needs it and does not say so
)
_VERSIONS = """
import importlib.metadata, json, platform, sys
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True)
class BenchVenv:
    """A virtual environment in a folder of the project.

    A package that cannot be installed does not stop the bench. `prepare` returns the problem, and
    the rows that need the package fail.
    """

    root: Path
    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter of the environment."""
        return self.script("python")

    def script(self, name: str) -> Path:
        """Return the path of a command that is installed in the environment."""
        if sys.platform == "win32":
            return self.folder / "Scripts" / f"{name}.exe"
        return self.folder / "bin" / name

    def prepare(self, *, rebuild: bool = False) -> list[str]:
        """Install the peers and the current state of this project, and return the problems."""
        if rebuild or not self.python.exists():
            _say(f"building {self.folder.name}")
            venv.create(self.folder, clear=True, with_pip=True)
        problems = [
            problem
            for peer in PEERS
            if (problem := self._install(f"peer-{peer}", peer, [peer])) is not None
        ]
        pyproject, root = self.root / "pyproject.toml", str(self.root)
        source = [file for file in (self.root / "src").rglob("*") if file.suffix != ".pyc"]
        # pip does not reinstall an equal version, and edits do not change the version.
        again = ["--force-reinstall", "--no-deps", root]
        steps = [
            self._install("project-and-extras", fingerprint([pyproject]), [f"{root}[tasks]"]),
            self._install("project", fingerprint([pyproject, *source]), again),
        ]
        return [*problems, *(problem for problem in steps if problem is not None)]

    def versions(self) -> dict[str, str]:
        """Return the installed versions: Python's, this project's and each peer's."""
        names = ["dewar-web", *PEERS]
        done = subprocess.run(
            [str(self.python), "-c", _VERSIONS, *names], capture_output=True, text=True, check=True
        )
        found: dict[str, str] = json.loads(done.stdout)
        return found

    def _install(self, step: str, wanted: str, arguments: list[str]) -> str | None:
        stamp = self.folder / f".bench-{step}"
        if stamp.exists() and stamp.read_text("utf-8") == wanted:
            return None
        _say(f"installing {step.replace('-', ' ')}")
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            return f"pip install {' '.join(arguments)}: {said[-1] if said else done.stderr[-200:]}"
        stamp.write_text(wanted, "utf-8")
        return None


def fingerprint(files: Iterable[Path]) -> str:
    """Return a digest of the names and contents of files, in any order."""
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.is_file():
            content = file.read_bytes()
            digest.update(f"{file}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _say(what: str) -> None:
    print(f"bench: {what} …", file=sys.stderr, flush=True)
