"""The working directory by its name."""

import os
from pathlib import Path

import pytest

from dewar.server.errors import SettingsError
from dewar.server.system.working_directory import enter, loading_in, named_directory


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a release that is named by a link; return the link."""
    for name in ("1", "2"):
        (tmp_path / name / "shop").mkdir(parents=True)
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "1")
    monkeypatch.chdir(link)
    monkeypatch.setenv("PWD", str(link))
    return link


def move(link: Path, target: str) -> None:
    """Have the link name another release, as a deployment does: in one step."""
    after = link.with_name("next")
    after.symlink_to(link.parent / target)
    after.replace(link)


def test_the_directory_has_the_name_that_the_user_gave_it(release: Path) -> None:
    """The system knows the folder itself alone."""
    assert named_directory() == release
    assert Path.cwd() == release.resolve()


@pytest.mark.parametrize("name", ["", "current", "/no/such/folder", "/"])
def test_a_name_that_is_not_it_does_not_count(release: Path, monkeypatch, name: str) -> None:
    """The variable may be old, relative, or absent."""
    monkeypatch.setenv("PWD", name)
    assert named_directory() == release.resolve()


def test_each_load_enters_the_release_of_the_moment(release: Path) -> None:
    """As each worker does when it is forked."""
    load = loading_in(named_directory(), Path.cwd)
    assert load() == release.parent / "1"
    move(release, "2")
    assert load() == release.parent / "2"


def test_a_release_that_is_gone_is_told_and_the_app_is_loaded_all_the_same(
    release: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that is replaced between two releases must serve."""
    load = loading_in(named_directory(), Path.cwd)
    release.unlink()
    assert load() == release.parent / "1"
    assert "cannot be entered" in caplog.text


def test_a_folder_is_entered_by_its_name(release: Path, monkeypatch) -> None:
    """A relative one from the directory by its name."""
    monkeypatch.chdir(release.parent)
    monkeypatch.setenv("PWD", str(release.parent))
    enter(None)
    enter("current/shop")
    assert os.environ["PWD"] == str(release / "shop")
    load = loading_in(named_directory(), Path.cwd)
    move(release, "2")
    assert load() == release.parent / "2" / "shop"


def test_a_folder_that_is_not_there_is_an_error_that_names_the_setting() -> None:
    """Before anything is loaded."""
    with pytest.raises(SettingsError, match=r"chdir='/no/such'.*No such file") as caught:
        enter("/no/such")
    assert caught.value.setting == "chdir"
