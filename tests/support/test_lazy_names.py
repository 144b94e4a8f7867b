"""`lazy_names`: a name is imported when it is first asked for, and is then like any other."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FACE = """
from dewar.support.lazy_names import lazy_names

here = "eager"
__getattr__, __dir__ = lazy_names(
    __name__,
    {"Thing": "facetest.things", "things": "facetest.things", "lost": "facetest.things"},
)
__all__ = ["Thing", "here", "things"]
"""


@pytest.fixture
def face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package with two lazy names, and one that its module does not have."""
    folder = tmp_path / "facetest"
    folder.mkdir()
    (folder / "__init__.py").write_text(FACE)
    (folder / "things.py").write_text("class Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("facetest")
    for name in ("facetest", "facetest.things"):
        sys.modules.pop(name, None)


def test_a_name_is_imported_when_it_is_asked_for(face: ModuleType) -> None:
    """Not before; and then it is the very object."""
    assert "facetest.things" not in sys.modules
    assert face.Thing is sys.modules["facetest.things"].Thing


def test_a_name_that_was_asked_for_stays_in_the_package(face: ModuleType) -> None:
    """The second time it is a plain attribute."""
    assert "Thing" not in vars(face)
    thing = face.Thing
    assert vars(face)["Thing"] is thing


def test_a_submodule_stands_for_itself(face: ModuleType) -> None:
    """It need not be imported before it is used."""
    assert face.things is sys.modules["facetest.things"]


def test_names_are_listed_before_they_are_imported(face: ModuleType) -> None:
    """``dir`` knows them, and `hasattr` finds them."""
    assert {"Thing", "things", "here", "__all__"} <= set(dir(face))
    assert "facetest.things" not in sys.modules
    assert hasattr(face, "Thing")


def test_all_names_are_imported_with_a_star(face: ModuleType) -> None:
    """``__all__`` may have lazy names in it."""
    names: dict[str, object] = {}
    exec("from facetest import *", names)
    assert names["Thing"] is face.Thing
    assert names["here"] == "eager"


def test_a_name_can_be_replaced(face: ModuleType) -> None:
    """Before it was asked for and afterwards; a test that does so gets it back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("facetest.Thing", 1)
        assert face.Thing == 1
    assert face.Thing is sys.modules["facetest.things"].Thing
    face.things = 2
    assert face.things == 2


def test_an_unknown_name_is_an_attribute_error_with_a_hint(face: ModuleType) -> None:
    """As a module's own: Python names what is near."""
    with pytest.raises(AttributeError, match="module 'facetest' has no attribute 'Thin'") as caught:
        _ = face.Thin
    assert (caught.value.name, caught.value.obj) == ("Thin", face)
    assert not hasattr(face, "Thin")


def test_a_name_that_its_module_does_not_have_is_an_attribute_error(face: ModuleType) -> None:
    """The table is wrong, and the message names the module."""
    with pytest.raises(AttributeError, match=r"module 'facetest\.things' has no attribute 'lost'"):
        _ = face.lost
