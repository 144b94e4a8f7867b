"""Child processes of a program that runs on Dewar."""

import os
import subprocess
import sys
from pathlib import Path

PARENT = """\
import multiprocessing, subprocess, sys

def name():
    import flask
    return flask.Flask.__module__

def run(code):
    return subprocess.run([sys.executable, "-c", code], text=True, stdout=-1).stdout.strip()

if __name__ == "__main__":
    print(run("import flask; print(flask.Flask.__module__)"))
    print(run("from werkzeug.serving import run_simple; print(run_simple.__module__)"))
    print(run("import sys; print('dewar' in sys.modules)"))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(name))
"""


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        text=True,
        capture_output=True,
        timeout=60,
    )


def test_children_run_on_dewar_too(tmp_path: Path) -> None:
    """Those that ask for Flask or Werkzeug, however they are started; others load nothing."""
    (tmp_path / "parent.py").write_text(PARENT)
    result = run(tmp_path, "-m", "dewar.compat", "parent.py")
    assert result.stderr == ""
    assert result.stdout.split() == ["dewar.app", "dewar.running", "False", "dewar.app"]


def test_the_users_own_sitecustomize_still_runs(tmp_path: Path) -> None:
    """And the folder is gone from the path when it does."""
    (tmp_path / "sitecustomize.py").write_text("import sys; print([*sys.path][0][-7:])")
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'])"
    result = run(tmp_path, "-m", "dewar.compat", "-c", code, PYTHONPATH=str(tmp_path))
    assert result.stderr == ""
    assert result.stdout.count(str(tmp_path)[-7:]) == 2
    assert "startup" not in result.stdout


def test_the_flask_command_runs_on_dewar(tmp_path: Path) -> None:
    """Flask's own console script."""
    command = Path(sys.executable).with_name("flask")
    code = f"import subprocess; subprocess.run([{str(command)!r}, '--version'])"
    result = run(tmp_path, "-m", "dewar.compat", "-c", code)
    assert "on Dewar" in result.stdout
