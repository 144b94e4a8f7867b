"""Which interpreters `make test-all` and `make second` run on."""

import sys
from pathlib import Path

import pytest

import interpreters
from interpreters import Interpreter, candidates, choose_second, find


def program(folder: Path, name: str, *lines: str) -> Path:
    """Make a program that prints what a Python answers when it is asked what it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + "\n".join(lines))
    path.chmod(0o755)
    return path


def made(*version: int, implementation: str = "cpython") -> Interpreter:
    return Interpreter((version[0], version[1], version[2]), Path("p"), "/usr", implementation)


def test_an_interpreter_is_found_and_tells_its_version() -> None:
    """The one that runs the tests."""
    (found,) = find([Path(sys.executable)])
    assert found.version == sys.version_info[:3]
    assert found.label == f"{sys.implementation.name}-{'.'.join(map(str, found.version))}"


def test_each_version_is_taken_once_the_oldest_first(tmp_path: Path) -> None:
    """Whatever a name promises: ``python3`` is often a link."""
    newer = program(tmp_path, "python3", "echo 'cpython|3|13|0|/usr'")
    older = program(tmp_path, "python3.9", "echo 'cpython|3|11|2|/opt'")
    again = program(tmp_path, "python3.13", "echo 'cpython|3|13|0|/usr'")
    assert [each.path for each in find([newer, older, again])] == [older, newer]


@pytest.mark.parametrize(
    "lines",
    [
        ["echo 'cpython|3|10|13|/usr'"],
        ["echo 'version not set'; exit 127"],
        ["echo nothing"],
        ["echo 'cpython|3|x|1|/usr'"],
    ],
    ids=["too old", "fails", "another program", "no number"],
)
def test_what_is_no_supported_python_is_left_out(tmp_path: Path, lines: list[str]) -> None:
    """Without an error."""
    assert find([program(tmp_path, "python3", *lines)]) == []


def test_programs_that_only_look_like_one_are_not_run(tmp_path: Path) -> None:
    """``python3-config`` ends with an error for each argument."""
    path = program(tmp_path, "python3-config", f"touch {tmp_path / 'ran'}")
    assert find([path, tmp_path / "absent"]) == []
    assert not (tmp_path / "ran").exists()


def test_the_search_path_and_pyenv_are_looked_through(tmp_path: Path, monkeypatch) -> None:
    """An empty part of the path is no folder."""
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    one = program(tmp_path / "bin", "python3.12")
    two = program(tmp_path / ".pyenv" / "versions" / "3.13.0" / "bin", "python3")
    found = list(candidates(f"{tmp_path / 'bin'}:", tmp_path))
    assert one in found
    assert two in found


def test_the_second_is_the_oldest_of_another_version() -> None:
    """Old ones have the faults that were mended since."""
    found = [made(3, 11, 2), made(3, 11, 7), made(3, 13, 0)]
    assert choose_second(found, (3, 11, 7)) == found[0]
    assert choose_second(found, (3, 11, 2)) == found[1]
    assert choose_second(found[:1], (3, 11, 2)) is None


def test_it_is_said_when_there_is_no_second(monkeypatch, capsys) -> None:
    """A run that looks like two and is one would mislead."""
    monkeypatch.setattr(interpreters, "candidates", lambda *_: [Path(sys.executable)])
    interpreters.run_second("2")
    assert "NO SECOND INTERPRETER" in capsys.readouterr().out
