"""The wheel that ``make wheels`` builds: the sources, for every platform."""

import os
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path, PurePosixPath

import pytest

import dewar

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
BUILD = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
ONE_REQUEST = """
import dewar, pytest_dewar

app = dewar.Dewar("app")

@app.get("/<int:number>")
def show(number):
    return f"{number} {dewar.request.args['q']}"

print(dewar.__file__, pytest_dewar.__file__, app.test_client().get("/7?q=tea").text, sep="\\n")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree, as `make wheels` builds it."""
    pytest.importorskip("hatchling", reason="the wheel is built with hatchling")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([*BUILD, str(folder)], cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what an installer unpacks."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, *arguments: str) -> list[str]:
    """Return the lines that Python prints where the wheel comes before this tree."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_wheel_is_for_every_platform(wheel: Path) -> None:
    """Its name and its tag say so, and it has no extension module."""
    assert wheel.name == f"dewar_web-{dewar.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (tags,) = (name for name in names if name.endswith(".dist-info/WHEEL"))
        fields = HeaderParser().parsestr(archive.read(tags).decode())
    assert (fields["Root-Is-Purelib"], fields.get_all("Tag")) == ("true", ["py3-none-any"])
    assert [name for name in names if name.endswith(tuple(EXTENSION_SUFFIXES))] == []


def test_the_wheel_has_each_source_file(installed: Path) -> None:
    """All that is below ``src``, byte for byte, and nothing else but the metadata."""

    def files(folder: Path) -> dict[str, bytes]:
        found = (file for file in folder.rglob("*") if file.is_file())
        return {
            PurePosixPath(file.relative_to(folder)).as_posix(): file.read_bytes()
            for file in found
            if "__pycache__" not in file.parts
        }

    packed = files(installed)
    metadata = {name for name in packed if ".dist-info/" in name}
    assert {name: packed[name] for name in packed.keys() - metadata} == files(SRC)


def test_what_is_installed_from_the_wheel_answers(installed: Path) -> None:
    """An app and the plugin for pytest run from there, and the command says how it is built."""
    root, plugin, text = run(installed, "-c", ONE_REQUEST)
    assert Path(root) == installed / "dewar" / "__init__.py"
    assert Path(plugin) == installed / "pytest_dewar.py"
    assert text == "7 tea"
    lines = run(installed, "-m", "dewar", "--version")
    assert f"Dewar {dewar.__version__} (pure Python)" in lines
