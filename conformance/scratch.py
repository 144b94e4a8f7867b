"""The scratch folder: unpacked releases, and a virtual environment for each."""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.suites import Suite

SUPPLIED = Path(__file__).with_name("supplied")


class NotPreparedError(Exception):
    """Raised when a suite cannot be fetched, unpacked or installed. The message is the reason."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The folder of one suite."""

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter of its virtual environment."""
        windows = sys.platform == "win32"
        return self.folder / "venv" / ("Scripts/python.exe" if windows else "bin/python")

    @property
    def source(self) -> Path:
        """The unpacked release, in which its tests run."""
        return self.folder / "source"


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A folder outside the repository, which later runs use again."""

    folder: Path

    def place(self, suite: Suite) -> Place:
        """Return the place of a suite, which may not be prepared yet."""
        return Place(folder=self.folder / suite.folder)

    def prepare(self, suite: Suite) -> Place:
        """Unpack and install a suite, and return its place.

        Raises:
            NotPreparedError: If a step fails.
        """
        place = self.place(suite)
        try:
            self._prepare(suite, place)
        except (OSError, ValueError, subprocess.SubprocessError, tarfile.TarError) as error:
            raise NotPreparedError(str(error)) from error
        return place

    def _prepare(self, suite: Suite, place: Place) -> None:
        if not place.python.exists():
            venv.create(place.folder / "venv", clear=True, with_pip=True)
        if not place.source.exists():
            self._fetch(suite, place)
        for where, name in suite.supplied.items():
            target = place.source / where
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(SUPPLIED / name, target)
        self._install(suite, place)

    def _fetch(self, suite: Suite, place: Place) -> None:
        release = f"{suite.project}=={suite.version}"
        download = place.folder / "download"
        shutil.rmtree(download, ignore_errors=True)
        arguments = ["--no-deps", "--no-binary", suite.project, "--dest", str(download), release]
        _pip(place, "download", arguments)
        unpacked = place.folder / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        for archive in download.iterdir():
            # SECURITY: a release is not trusted, so the filter rejects paths outside the folder.
            shutil.unpack_archive(archive, unpacked, filter="data")
        # An archive has one folder. It is moved in one step, so that it is never incomplete.
        (inside,) = unpacked.iterdir()
        inside.rename(place.source)

    def _install(self, suite: Suite, place: Place) -> None:
        wanted = [*suite.requires]
        if suite.project not in {requirement.split("==")[0].casefold() for requirement in wanted}:
            wanted.append(f"{suite.project}=={suite.version}")
        stamp = place.folder / "installed"
        digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()
        if stamp.exists() and stamp.read_text("utf-8") == digest:
            return
        _pip(place, "install", wanted)
        stamp.write_text(digest, "utf-8")


def _pip(place: Place, command: str, arguments: Sequence[str]) -> None:
    pip = [str(place.python), "-m", "pip", command, "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(  # noqa: S603 - the table of suites is trusted
        [*pip, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise NotPreparedError(f"pip {command}: {said[-1] if said else done.stderr[-200:].strip()}")
