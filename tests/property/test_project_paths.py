"""In any layout of a project, an app has its folders where Flask has them."""

import importlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import flask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dewar
from dewar.registration.packages import find_package

#: The folders that packages are imported from, and the prefix of each, in a temporary folder.
PLACES: dict[str, str | None] = {
    "src": None,
    "with space/é": None,
    "site-packages/app": None,
    "venv/lib/python3.11/site-packages": "venv",
    "venv/lib64/python3.11/site-packages": "venv/lib64/python3.11",
    "venv/Lib/site-packages": "venv",
    "target/site-packages": "target",
    "target/Site-Packages": "target",
    "user/.local/lib/python3.11/site-packages": "user/.local",
    "lib/python3/dist-packages": None,
    "prefix/anywhere": "prefix",  # below `sys.prefix`
    "prefix/lib/python3.11/site-packages": "prefix",
}
#: The files of a project, the app's module, and the file of that.
SHAPES: dict[str, tuple[list[str], str, str]] = {
    "module": ([], "{0}", "{0}.py"),
    "package": ([], "{0}", "{0}/__init__.py"),
    "in a package": (["{0}/__init__.py"], "{0}.web", "{0}/web.py"),
    "inner package": (["{0}/__init__.py"], "{0}.a", "{0}/a/__init__.py"),
    "deep": (
        ["{0}/__init__.py", "{0}/a/__init__.py", "{0}/a/b/__init__.py"],
        "{0}.a.b.web",
        "{0}/a/b/web.py",
    ),
    "in a namespace": ([], "{0}.web", "{0}/web.py"),
    "package in a namespace": ([], "{0}.shop", "{0}/shop/__init__.py"),
    "in two namespaces": ([], "{0}.a.shop", "{0}/a/shop/__init__.py"),
}
numbers = count()


@dataclass(frozen=True)
class Layout:
    """Where a project is, how it is made up, and which of its folders are links."""

    place: str
    shape: str
    link: str | None
    form: str
    root_path: str | None

    def build(self, base: Path, name: str) -> tuple[str, str, Path]:
        """Return the entry of `sys.path`, the import name and the folder of the module."""
        others, import_name, file = SHAPES[self.shape]
        place = base / self.place
        made = base / "releases/5" if self.link == "place" else place
        for other in [*others, file]:
            path = made / other.format(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("here = __name__\n")
        if self.link == "place":
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(made)
        elif self.link == "top":
            top = next(path for path in place.iterdir() if path.stem == name)
            moved = top.rename(base / f"moved{top.suffix}")
            top.symlink_to(moved)
        entry = str(place)
        if self.form == "relative":
            entry = os.path.relpath(place, base)
        elif self.form == "dots":
            (base / "none").mkdir()
            entry = f"{base}/none/../{self.place}"
        elif self.form == "zip":
            entry = f"{place}/{name}.zip"
            write_zip(entry, [other.format(name) for other in [*others, file]])
        root = Path(entry if self.form == "zip" else place, file.format(name)).parent
        return entry, import_name.format(name), root

    def instance(self, base: Path, import_name: str, entry: str) -> str:
        """Return Flask's rule, as its documentation has it."""
        folder = entry if self.form in {"zip", "dots"} else str(base / self.place)
        start = f"{base}/none/.." if self.form == "dots" else str(base)
        prefix = PLACES[self.place]
        # What is in a zip, or named through "..", is in no folder of that name as it is written.
        if self.form == "zip" and not self.place.startswith("prefix/"):
            prefix = None
        if self.form == "dots" and self.place == "prefix/anywhere":
            prefix = None
        if prefix is None:
            return f"{folder}/instance"
        return f"{start}/{prefix}/var/{import_name}-instance"


def write_zip(path: str, files: list[str]) -> None:
    """Write a zip with folders of its own, which namespaces need."""
    parents = {f"{parent}/" for file in files for parent in list(Path(file).parents)[:-1]}
    with zipfile.ZipFile(path, "w") as archive:
        for parent in sorted(parents):
            archive.writestr(parent, "")
        for file in files:
            archive.writestr(file, "here = __name__\n")


layouts = st.builds(
    Layout,
    place=st.sampled_from(sorted(PLACES)),
    shape=st.sampled_from(sorted(SHAPES)),
    link=st.sampled_from([None, None, "place", "top"]),
    form=st.sampled_from(["absolute", "absolute", "relative", "dots", "zip"]),
    root_path=st.sampled_from([None, None, "/somewhere/else", "relative", "/a/../b/"]),
)


@contextmanager
def importable(base: Path, entry: str) -> Iterator[None]:
    """Import from an entry of `sys.path`, in a folder that is a prefix too."""
    before, path, prefix, cwd = set(sys.modules), list(sys.path), sys.prefix, Path.cwd()
    os.chdir(base)
    sys.path.insert(0, entry)
    sys.prefix = str(base / "prefix")
    importlib.invalidate_caches()
    try:
        yield
    finally:
        os.chdir(cwd)
        sys.path[:] = path
        sys.prefix = prefix
        for name in set(sys.modules) - before:
            if name.startswith("project"):
                del sys.modules[name]


def folders(made: Any) -> tuple[Any, ...]:
    loader = made.jinja_loader
    return (
        made.root_path,
        made.static_folder,
        loader.searchpath,
        getattr(made, "instance_path", None),
        str(made.config.root_path) if hasattr(made, "config") else None,
    )


@settings(max_examples=150)
@given(layouts, st.booleans())
def test_an_app_has_its_folders_where_flask_has_them(layout: Layout, is_loaded: bool) -> None:
    """Through links, in any site-packages, in zips and namespaces; by a rule and by comparison."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder).resolve()
        entry, import_name, root = layout.build(base, f"project{next(numbers)}")
        with importable(base, entry):
            if is_loaded:
                import_name = importlib.import_module(import_name).here
            given = {"root_path": layout.root_path, "template_folder": "templates/"}
            ours = dewar.Dewar(import_name, **given)
            theirs = flask.Flask(import_name, **given)
            assert folders(ours) == folders(theirs)
            assert find_package(import_name) == flask.sansio.scaffold.find_package(import_name)
            assert ours.instance_path == layout.instance(base, import_name, entry)
            if layout.root_path is None and layout.form != "dots":
                assert ours.root_path == str(root)
            blueprint = {**given, "static_folder": "s"}
            assert folders(dewar.Blueprint("b", import_name, **blueprint)) == folders(
                flask.Blueprint("b", import_name, **blueprint)
            )


def outcome(framework: Any, cls: str, *args: Any, **options: Any) -> Any:
    try:
        made = getattr(framework, cls)(*args, **options)
    except Exception as error:
        return next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
    return folders(made) if cls != "Blueprint" else made.root_path


UNLOADED = ["sys", "_thread", "zipimport", "no_such", "no.such.module", "json.nothing", "__main__"]


@pytest.mark.parametrize(
    "import_name", [*UNLOADED, "project_namespace", ".a", "a..b", "json", "os"]
)
@pytest.mark.parametrize("root_path", [None, "/srv/app"])
def test_a_name_without_a_file_is_what_it_is_on_flask(
    folder: Path, monkeypatch: pytest.MonkeyPatch, import_name: str, root_path: str | None
) -> None:
    """The working directory, or the same error."""
    (folder / "project_namespace").mkdir()
    monkeypatch.syspath_prepend(str(folder))
    for cls, args in (("Dewar", (import_name,)), ("Blueprint", ("b", import_name))):
        theirs = "Flask" if cls == "Dewar" else cls
        expected = outcome(flask, theirs, *args, root_path=root_path)
        assert outcome(dewar, cls, *args, root_path=root_path) == expected


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize("is_loaded", [False, True])
@pytest.mark.parametrize("import_name", ["a", "a.web", "b", "b.web", "module", "missing"])
def test_a_namespace_in_two_folders_is_taken_apart(
    folder: Path, monkeypatch: pytest.MonkeyPatch, import_name: str, is_loaded: bool
) -> None:
    """A package has the instance folder of its own part, a module that of the first (PEP 420)."""
    namespace = f"projects{next(numbers)}"
    for file in ("one/{0}/a/__init__.py", "one/{0}/a/web.py", "two/{0}/b/__init__.py",
                 "two/{0}/b/web.py", "two/{0}/module.py"):  # fmt: skip
        (folder / file.format(namespace)).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.format(namespace)).touch()
    for part in ("two", "one"):
        monkeypatch.syspath_prepend(str(folder / part))
    name = f"{namespace}.{import_name}"
    if is_loaded and import_name != "missing":
        importlib.import_module(name)
    expected = "two" if import_name == "b" else "one"
    ours = dewar.Dewar(name)
    assert folders(ours) == folders(flask.Flask(name))
    assert ours.instance_path == str(folder / expected / "instance")


MAIN = """\
import sys
from dewar import Blueprint, Dewar
from flask import Blueprint as FlaskBlueprint, Flask
for app, blueprint in (Dewar, Blueprint), (Flask, FlaskBlueprint):
    made = app(__name__)
    print(made.name, made.root_path, made.instance_path, blueprint("b", __name__).root_path)
"""
STARTS = {
    "script": (["script.py"], "script {0} {0}/instance"),
    "script in a folder": (["pack/web.py"], "web {0}/pack {0}/instance"),
    "linked script": (["linked/named.py"], "named {0}/linked {0}/instance"),
    "module": (["-m", "script"], "script {0} {0}/instance"),
    "module of a package": (["-m", "pack.web"], "web {0}/pack {0}/pack/instance"),
    "package": (["-m", "pack"], "__main__ {0}/pack {0}/pack/instance"),
    "folder": (["pack"], "__main__ {0}/pack {0}/pack/instance"),
    "zip": (["app.pyz"], "__main__ {0}/app.pyz {0}/app.pyz/instance"),
    "code": (["-c", MAIN], "__main__ {0} {0}/instance"),
    "standard input": (["-"], "<stdin> {0} {0}/instance"),
    "executed": (["-c", "exec(open('script.py').read(), {'__name__': 'odd'})"],
                 "odd {0} {0}/instance"),
    "run by path": (["-c", "import runpy; runpy.run_path('pack/web.py', run_name='__main__')"],
                    "web {0}/pack {0}/instance"),
}  # fmt: skip


@pytest.mark.parametrize("start", STARTS)
def test_a_main_module_has_the_folders_that_it_has_on_flask(tmp_path: Path, start: str) -> None:
    """However the program is started."""
    for file in ("script.py", "pack/__init__.py", "pack/web.py", "pack/__main__.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(MAIN if file != "pack/__init__.py" else "")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/named.py").symlink_to(tmp_path / "script.py")
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", MAIN)
    arguments, expected = STARTS[start]
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path, input=MAIN, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    ours, theirs = ended.stdout.splitlines()
    assert ours == theirs
    root = expected.format(tmp_path).split(" ")[1]
    assert ours == f"{expected.format(tmp_path)} {root}"
