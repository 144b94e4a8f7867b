"""``dewar run`` with a file of gunicorn, and with options of other servers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from dewar.cli.foreign_options import maybe_foreign_hint
from dewar.cli.run import run_command
from dewar.cli.uwsgi_options import UWSGI
from dewar.server.gunicorn.hooks import GunicornHooks
from dewar.server.gunicorn.names import GUNICORN

Write = Callable[[str, str], Path]
Invoke = Callable[..., Result]
Served = list[dict[str, Any]]

SHOP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"plain"]

other = app
"""
FILE = """
wsgi_app = "shop:app"
workers = 3
timeout = 7
spew = True
loglevel = "info"
def post_fork(server, worker): pass
"""


@pytest.fixture
def served(write: Write, monkeypatch: pytest.MonkeyPatch) -> Served:
    """An app and a file, and a list of what servers were started with."""
    write("shop.py", SHOP)
    write("gunicorn.conf.py", FILE)
    calls: Served = []
    monkeypatch.setattr("dewar.cli.run.serve", lambda app=None, **given: calls.append(given))
    # The loggers of this process are left alone.
    monkeypatch.setattr("dewar.server.gunicorn.config_file.set_up_logs", lambda given: None)
    return calls


def test_a_file_gives_the_app_the_settings_and_the_hooks(served: Served, invoke: Invoke) -> None:
    """And what has no counterpart is named on one line."""
    result = invoke("run", "-c", "gunicorn.conf.py")
    assert result.exit_code == 0, result.output
    (given,) = served
    assert (given["processes"], given["worker_timeout"], given["threads"]) == (3, 7, 1)
    assert isinstance(given["hooks"], GunicornHooks)
    assert given["name"] == "shop:app"
    assert given["load"]() is not None
    assert result.stderr.count("Warning:") == 1
    assert "spew" in result.stderr


def test_flags_variables_and_the_argument_override_the_file(
    served: Served, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they override a file of ours; the variable of the file works too."""
    monkeypatch.setenv("DEWAR_CONFIG", "gunicorn.conf.py")
    monkeypatch.setenv("DEWAR_WORKER_TIMEOUT", "8")
    invoke("run", "shop:other", "--workers", "2")
    (given,) = served
    assert (given["name"], given["processes"], given["worker_timeout"]) == ("shop:other", 2, 8)


def test_a_file_may_ask_for_the_reloader(
    served: Served, invoke: Invoke, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag has the last word, and the file's own files are watched."""
    watched: list[Any] = []
    monkeypatch.setattr(
        "dewar.cli.run.run_with_reload", lambda settings, **given: watched.append(given)
    )
    write("gunicorn.conf.py", f"{FILE}\nreload = True\nreload_extra_files = ['a.ini']\n")
    invoke("run", "-c", "gunicorn.conf.py", "--no-reload")
    assert (watched, len(served)) == ([], 1)
    invoke("run", "-c", "gunicorn.conf.py")
    assert watched == [{"extra_files": ["a.ini"]}]


@pytest.mark.parametrize("text", ["workers = 0\n", "1 / 0\n", "bind = 7\n", "post_fork = 7\n"])
def test_a_file_with_a_mistake_is_a_usage_error(
    text: str, served: Served, invoke: Invoke, write: Write
) -> None:
    """In one line that names the file."""
    write("gunicorn.conf.py", text)
    result = invoke("run", "-c", "gunicorn.conf.py", "shop:app")
    assert result.exit_code == 2, result.output
    assert "Error: gunicorn.conf.py" in result.stderr
    assert "Traceback" not in result.stderr
    assert served == []


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (
            ["--timeout", "60"],
            "'--timeout' is an option of gunicorn. Here it is '--worker-timeout'.",
        ),
        (
            ["-k", "gevent"],
            "'-k' is an option of gunicorn. Here it is '--threads' (requests run on",
        ),
        (["--access-logfile=-"], "Here it is '--access-log-file' ('-' is --access-log)."),
        (["--user", "shop"], "Here 'user' works in a file alone, named with '-c gunicorn.conf.py'"),
        (["--statsd-host", "x"], "with nothing to give here (--metrics serves statistics"),
        (["--http", ":8000"], "'--http' is an option of uWSGI. Here it is '--bind'"),
        (["--master"], "'--master' is an option of uWSGI, with nothing to give here (always so"),
        (["--enable-threads"], "with nothing to give here (always so)."),
        (["--thread", "4"], "No such option"),
    ],
)
def test_an_option_of_another_server_is_answered_with_ours(
    options: list[str], hint: str, served: Served, invoke: Invoke
) -> None:
    """Not with the nearest name, which means something else."""
    result = invoke("run", "shop:app", *options)
    assert result.exit_code == 2
    assert hint in " ".join(result.stderr.split())
    assert served == []


def test_every_option_of_another_server_that_is_none_here_has_a_hint() -> None:
    """Of gunicorn all, of uWSGI those that are listed."""
    ours = {option for param in run_command.params for option in param.opts}
    theirs = {flag for known in GUNICORN.values() for flag in known.flags}
    theirs |= {f"--{name}" for name in UWSGI}
    for flag in theirs - ours:
        assert flag in (maybe_foreign_hint(flag) or ""), flag
    assert maybe_foreign_hint("--no-such-thing") is None
    assert maybe_foreign_hint("-http") is None


def test_a_hint_keeps_the_kind_of_the_error() -> None:
    """A program that catches it finds the option."""
    with pytest.raises(click.NoSuchOption) as error:
        run_command.make_context("run", ["--harakiri", "60"])
    assert error.value.option_name == "--harakiri"
