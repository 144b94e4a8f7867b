"""Which file is read, and what it may say."""

from pathlib import Path

import pytest

from dewar.server.settings.sources import ConfigurationError
from dewar.server.settings.toml_file import read_file


def named(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_named_file_goes_before_the_one_that_is_there(tmp_path: Path) -> None:
    """``--config``, else ``dewar.toml``, else ``pyproject.toml``, else nothing."""
    assert read_file(None, tmp_path) == {}
    project = "[project]\nname = 'x'\n[tool.dewar.server]\nthreads = 3\n[tool.other]\n"
    named(tmp_path, "pyproject.toml", project)
    assert read_file(None, tmp_path)["threads"].raw == 3
    named(tmp_path, "dewar.toml", "[server]\nthreads = 2\n")
    given = read_file(None, tmp_path)["threads"]
    assert (given.raw, given.place) == (2, "dewar.toml")
    path = named(tmp_path, "other.toml", "[server]\nthreads = 1\n")
    given = read_file(path, tmp_path)["threads"]
    assert (given.raw, given.place) == (1, path)


@pytest.mark.parametrize("text", ["", "[tool]\n", "[tool.dewar]\n", "tool = 1\n"])
def test_a_project_need_not_say_anything(text: str, tmp_path: Path) -> None:
    """Most have no table of ours."""
    named(tmp_path, "pyproject.toml", text)
    assert read_file(None, tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "[server]\nthread = 1", "there is no setting 'thread'. Did you mean 'threads'?"),
        ("a.toml", "[server]\nkeep-alive = 1", "'keep-alive'. Did you mean 'keep_alive'?"),
        ("a.toml", "[server]\nlimits = 1", "there is no setting 'limits'."),
        ("a.toml", "[server]\nssl_context = 'x'", "run(app, ssl_context=...)"),
        ("a.toml", "[sever]\nthreads = 1", "'sever' is not known here. Did you mean 'server'?"),
        ("a.toml", "threads = 1", "'threads' is not known here. Settings belong in [server]."),
        ("a.toml", "server = 1", "'server' must be a table: [server]"),
        ("pyproject.toml", "[tool]\ndewar = 1", "'tool.dewar' must be a table"),
        ("pyproject.toml", "[tool.dewar]\nthreads = 1", "'tool.dewar.threads' is not known here"),
        ("a.toml", "[server", "it is not valid TOML"),
        ("a.toml", "[server]\nthreads = 1\nthreads = 2", "it is not valid TOML"),
    ],
)
def test_what_means_nothing_is_an_error(name: str, text: str, message: str, tmp_path: Path) -> None:
    """It names the file and the nearest name there is."""
    path = named(tmp_path, name, text)
    with pytest.raises(ConfigurationError) as raised:
        read_file(path, tmp_path)
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """And so is one that is no text."""
    with pytest.raises(ConfigurationError, match=r"no\.toml: it cannot be read: No such file"):
        read_file(str(tmp_path / "no.toml"), tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="it is not valid TOML"):
        read_file(str(tmp_path / "binary.toml"), tmp_path)
