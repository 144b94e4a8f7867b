"""The examples have one secret key, in all processes and after a restart."""

import io
import stat
import subprocess
import sys
from pathlib import Path
from threading import Barrier, Thread

import pytest
from examples.secret_key import secret_key

from deploymenttools import Process, ask, free_port
from polling import eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch):
    monkeypatch.delenv("SECRET_KEY", raising=False)


def test_it_is_made_once_and_kept_for_this_user(tmp_path):
    """Also if several begin at the same time."""
    folder, meet, keys = tmp_path / "instance", Barrier(8), []

    def begin():
        meet.wait(20)
        keys.append(secret_key(folder))

    threads = [Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert len(keys) == 8
    assert len(keys[0]) == 64
    assert secret_key(folder) == keys[0]
    [file] = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_environment_goes_first(tmp_path, monkeypatch):
    """Then nothing is written."""
    monkeypatch.setenv("SECRET_KEY", "given")
    assert secret_key(tmp_path / "instance") == "given"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("example", ["examples/tour/application.py", "examples/several/shop.py"])
def test_no_example_makes_a_key_of_its_own(example):
    """Each asks for the one that is kept."""
    text = (ROOT / example).read_text(encoding="utf-8")
    assert "secret_key(app.instance_path)" in text
    assert "or secrets." not in text


def test_the_tour_knows_a_browser_after_a_restart(tmp_path):
    """Its job is still there, and its own: the server was killed and started again."""
    copied = tmp_path / "examples"
    subprocess.run(["cp", "-r", ROOT / "examples", copied], check=True)
    port = free_port()
    bind = ("--bind", f"127.0.0.1:{port}", "--processes", "2")
    command = [sys.executable, "-m", "dewar", "run", "examples.tour:app", *bind]
    server = Process(command, port, tmp_path)
    try:
        body, kind = _form()
        answer = ask(port, "POST", "/api/jobs", body=body, headers={"content-type": kind})
        assert answer.status == 202, answer.body
        fields = dict(answer.fields)
        cookie = {"cookie": fields["set-cookie"].partition(";")[0]}
        server.kill()
        server = Process(command, port, tmp_path)
        eventually(lambda: _answers(port), server.log)
        assert ask(port, "GET", fields["location"], headers=cookie).status == 200
        assert ask(port, "GET", fields["location"]).status == 404
        assert "different secret keys" not in server.log()
    finally:
        server.kill()


def _answers(port):
    """Whether the new server answers: a process of the killed one may have been there still."""
    try:
        return ask(port, "GET", "/jobs").status == 200
    except OSError:
        return False


def _form():
    file = io.BytesIO()
    file.write(b'--b\r\nContent-Disposition: form-data; name="text"; filename="a.txt"\r\n\r\n')
    file.write(b"one two two\r\n--b--\r\n")
    return file.getvalue(), "multipart/form-data; boundary=b"
