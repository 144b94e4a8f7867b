"""From what is typed to a module."""

import sys
from collections.abc import Callable
from pathlib import Path

import flask.cli
import pytest

from dewar.cli.errors import NoAppError
from dewar.cli.modules import import_file, prepare_import, split_target

Write = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("module", ("module", None)),
        ("module:app", ("module", "app")),
        ("pkg.module:app", ("pkg.module", "app")),
        ("module:make({'a': 1})", ("module", "make({'a': 1})")),
        ("folder/file.py:app", ("folder/file.py", "app")),
        (r"C:\folder\file.py", (r"C:\folder\file.py", None)),
        (r"C:\folder\file.py:app", (r"C:\folder\file.py", "app")),
        ("C:/folder/file.py:app", ("C:/folder/file.py", "app")),
        ("module:", ("module", "")),
    ],
)
def test_a_target_is_a_module_and_a_name(target: str, parts: tuple[str, str | None]) -> None:
    """The first colon divides, but for the one of a Windows drive."""
    assert split_target(target) == parts


@pytest.mark.parametrize(
    "path",
    [
        "one.py",
        "one",
        "one.two",
        "deep/one.py",
        "deep/pkg/one.py",
        "deep/pkg/sub/one.py",
        "deep/pkg/sub",
        "deep/pkg/__init__.py",
        "missing/file.py",
    ],
)
def test_files_are_imported_by_flask_s_names(path: str, folder: Path, write: Write) -> None:
    """A file in a package is imported as a part of it, from the folder above."""
    write("deep/pkg/__init__.py", "")
    write("deep/pkg/sub/__init__.py", "")
    before = list(sys.path)
    answers = []
    for prepare in (prepare_import, flask.cli.prepare_import):
        sys.path[:] = before
        answers.append((prepare(path), sys.path[0], len(sys.path)))
    assert answers[0] == answers[1]


def test_a_folder_is_put_on_the_path_once(folder: Path) -> None:
    """Preparing twice leaves one entry."""
    prepare_import("one")
    prepare_import("two")
    assert sys.path.count(str(folder)) == 1


@pytest.mark.parametrize("path", ["shop.py", "shop", "./shop.py", "./shop", "sub/../shop.py"])
def test_a_module_may_be_named_in_many_ways(path: str, folder: Path, write: Write) -> None:
    """With or without its ending, as a file or as a module."""
    write("shop.py", "name = 'shop'")
    (folder / "sub").mkdir()
    assert import_file(path).name == "shop"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("shpo", r"Could not import 'shpo'.* Did you mean 'shop'\?"),
        ("pkg.shpo", r"Could not import 'pkg.shpo'.* Did you mean 'pkg.shop'\?"),
        ("pgk.shop", r"there is no module 'pgk' .* Did you mean 'pkg'\?"),
        ("shop.inner", r"there is no module 'shop.inner'"),
        ("shpo.py", r"There is no file 'shpo.py'. Did you mean 'shop.py'\?"),
        ("pkg/shpo.py", r"There is no file 'pkg/shpo.py'. Did you mean 'shop.py'\?"),
        ("nowhere/zzz.py", r"There is no file 'nowhere/zzz.py'.$"),
    ],
)
def test_a_slip_is_answered_with_what_is_near(path: str, message: str, write: Write) -> None:
    """A module that does not exist is named, with the nearest that does."""
    for name in ("shop.py", "pkg/__init__.py", "pkg/shop.py"):
        write(name, "")
    with pytest.raises(NoAppError, match=message):
        import_file(path)


def test_a_missing_import_of_the_module_s_own_is_shown_in_full(write: Write) -> None:
    """The user's ImportError keeps its traceback, from the user's file on."""
    write("shop.py", "def load():\n    import nothing_like_it\nload()\n")
    with pytest.raises(NoAppError) as caught:
        import_file("shop")
    message = caught.value.message
    assert "While importing 'shop', a ModuleNotFoundError was raised" in message
    assert "import nothing_like_it" in message
    assert "ModuleNotFoundError: No module named 'nothing_like_it'" in message
    assert "modules.py" not in message
    assert "importlib" not in message
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError"),
        ("raise ImportError('no luck')", "ImportError: no luck"),
    ],
)
def test_any_error_of_the_module_is_shown_in_full(source: str, shown: str, write: Write) -> None:
    """Whatever a module raises is the user's, and shown with its place."""
    write("shop.py", source)
    with pytest.raises(NoAppError) as caught:
        import_file("shop.py")
    assert shown in caught.value.message
    assert "shop.py" in caught.value.message


def test_a_file_with_a_taken_name_is_refused(write: Write) -> None:
    """A file named like a module that is imported already cannot be imported, and says why."""
    write("dewar.py", "app = None")
    with pytest.raises(NoAppError, match=r"that module is '.*' already\. Give the file another"):
        import_file("dewar.py")
