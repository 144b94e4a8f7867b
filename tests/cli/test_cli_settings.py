"""``dewar run``: settings by flag, variable and file, and what is said of wrong ones."""

import os
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from dewar.cli.main import DewarGroup, make_cli
from dewar.cli.run import run_command
from dewar.cli.setting_options import SettingOption
from dewar.server.settings.setting import SettingGroup
from dewar.server.settings.settings import SETTINGS
from dewar.tasks.settings import TasksSettings

Write = Callable[[str, str], Path]
Invoke = Callable[..., Result]
Served = list[dict[str, Any]]

SHOP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"plain"]
"""


@pytest.fixture
def served(write: Write, monkeypatch: pytest.MonkeyPatch) -> Served:
    """An app to serve, and a list of the settings that servers were started with."""
    write("shop.py", SHOP)
    calls: Served = []
    monkeypatch.setattr("dewar.cli.run.serve", lambda app=None, **kw: calls.append(kw))
    monkeypatch.setenv("DEWAR_RELOADED", "true")
    return calls


def printed(invoke: Invoke, *args: str, **kwargs: Any) -> dict[str, Any]:
    """Return what ``--print-settings`` says, as TOML reads it."""
    result = invoke("run", "--print-settings", *args, **kwargs)
    assert result.exit_code == 0, result.output
    table: dict[str, Any] = tomllib.loads(result.stdout)["server"]
    return table


def test_every_setting_has_a_flag() -> None:
    """In help as well, in the section of its group."""
    options = {p.setting.name for p in run_command.params if isinstance(p, SettingOption)}
    assert options == {setting.name for setting in SETTINGS if setting.has_text}
    help_ = run_command.get_help(click.Context(run_command, info_name="run"))
    sections = [help_.index(f"{group.value}:") for group in SettingGroup]
    assert sections == sorted(sections)
    for setting in SETTINGS:
        if setting.has_text:
            assert f"{setting.flag} " in help_ or f"{setting.flag}," in help_, setting.name


@pytest.mark.parametrize(
    ("args", "name", "value"),
    [
        (["--max-body", "512k"], "max_body", 524288),
        (["--max-body", "none"], "max_body", None),
        (["--keep-alive", "2m"], "keep_alive", 120),
        (["--body-timeout", "500ms"], "body_timeout", 0.5),
        (["--preload"], "preload", True),
        (["--no-proxy-protocol"], "proxy_protocol", False),
        (["--access-log-format", "json"], "access_log_format", "json"),
        (["--trusted-hosts", "10.0.0.0/8,unix"], "trusted_hosts", "10.0.0.0/8,unix"),
        (["--max-requests", "1000"], "max_requests", 1000),
        (["--cert", "a.pem", "--key", "a.key"], "keyfile", "a.key"),
        (["--unix-mode", "660"], "unix_mode", "660"),
        (["--access-log-file", "a.log"], "access_log", True),
        (["--access-log-file", "a.log", "--no-access-log"], "access_log", False),
    ],
)
def test_a_flag_reaches_the_server(
    args: list[str], name: str, value: object, served: Served, invoke: Invoke
) -> None:
    """As the value that it stands for."""
    result = invoke("run", "shop:app", *args)
    assert result.exit_code == 0, result.output
    assert served[0][name] == value


def test_a_variable_reaches_the_server(
    served: Served, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``DEWAR_…``, or ``DEWAR_RUN_…`` before it; a flag before both."""
    monkeypatch.setenv("DEWAR_MAX_BODY", "1M")
    monkeypatch.setenv("DEWAR_THREADS", "2")
    monkeypatch.setenv("DEWAR_QUEUE", "not ours")
    monkeypatch.setenv("DEWAR_ACCESS_LOG", "yes")
    invoke("run", "shop:app")
    monkeypatch.setenv("DEWAR_RUN_THREADS", "3")
    invoke("run", "shop:app")
    invoke("run", "shop:app", "--threads", "4")
    assert [settings["threads"] for settings in served] == [2, 3, 4]
    assert (served[0]["max_body"], served[0]["access_log"]) == (1024**2, True)


def test_a_file_reaches_the_server(
    served: Served, invoke: Invoke, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``dewar.toml`` of the working directory, or the one that is named, by a variable too."""
    write("dewar.toml", '[server]\nthreads = 2\nkeep_alive = "1m"\nbind = ["a:1", "b:2"]\n')
    write("other.toml", "[server]\nthreads = 5\n")
    invoke("run", "shop:app")
    invoke("run", "shop:app", "--config", "other.toml")
    monkeypatch.setenv("DEWAR_CONFIG", "other.toml")
    invoke("run", "shop:app")
    assert [settings["threads"] for settings in served] == [2, 5, 5]
    assert (served[0]["keep_alive"], served[0]["bind"]) == (60, "a:1,b:2")


@pytest.mark.parametrize(
    ("args", "variables", "bind"),
    [
        ([], {}, "file:1"),
        ([], {"DEWAR_RUN_HOST": "host"}, "host:8000"),
        ([], {"DEWAR_RUN_HOST": "host", "DEWAR_BIND": "whole:1"}, "whole:1"),
        ([], {"DEWAR_RUN_BIND": "auto:1", "DEWAR_BIND": "whole:1"}, "auto:1"),
        (["-p", "5"], {"DEWAR_BIND": "whole:1"}, "127.0.0.1:5"),
        (["-p", "5"], {"DEWAR_RUN_HOST": "host"}, "host:5"),
        (["-b", "flag:1"], {"DEWAR_RUN_HOST": "host", "DEWAR_BIND": "whole:1"}, "flag:1"),
    ],
)
def test_the_address_comes_from_the_loudest_source(
    args: list[str],
    variables: dict[str, str],
    bind: str,
    served: Served,
    invoke: Invoke,
    write: Write,
) -> None:
    """As a whole or in parts; a whole one goes before parts of the same source."""
    write("dewar.toml", '[server]\nbind = "file:1"\n')
    result = invoke("run", "shop:app", *args, env=variables)
    assert result.exit_code == 0, result.output
    assert served[0]["bind"] == bind


@pytest.mark.parametrize(
    ("args", "variables", "message"),
    [
        (["--threads", "x"], {}, "Invalid value for '--threads': threads='x' must be a whole"),
        (["--max-body", "5MB"], {}, "such as 65536, 512k or 1GiB, or 'none'."),
        (["--key", "a.key"], {}, "Invalid value for '--keyfile': keyfile='a.key' needs certfile"),
        (["--script-name", "a/"], {}, "Invalid value for '--script-name'"),
        ([], {"DEWAR_THREADS": "0"}, "Error: DEWAR_THREADS: threads=0 must be"),
        ([], {"DEWAR_RUN_THREADS": "0"}, "Error: DEWAR_RUN_THREADS: threads=0 must be"),
        (["--config", "no.toml"], {}, "Error: no.toml: it cannot be read"),
        (["--config", "bad.toml"], {}, "bad.toml: there is no setting 'thread'. Did you mean"),
    ],
)
def test_a_wrong_setting_is_a_usage_error(
    args: list[str],
    variables: dict[str, str],
    message: str,
    served: Served,
    invoke: Invoke,
    write: Write,
) -> None:
    """It names where the value was given; the app is not even loaded."""
    write("bad.toml", "[server]\nthread = 4\n")
    result = invoke("run", "no_such_app", *args, env=variables)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert not served


def test_settings_can_be_printed(served: Served, invoke: Invoke, write: Write) -> None:
    """As TOML, with the source of each, without the app, and nothing is served."""
    write("dewar.toml", "[server]\nthreads = 2\n")
    result = invoke("run", "no_such_app", "--print-settings", "--max-body", "1k", "--no-preload")
    assert (result.exit_code, served) == (0, [])
    for line in (
        "threads = 2  # file dewar.toml",
        "max_body = 1024  # flag --max-body",
        "preload = false  # flag --no-preload",
        'pid_file = "none"  # default',
    ):
        assert f"\n{line}\n" in result.stdout


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("--debug",),
        ("-b", "[::1]:1", "-b", "unix:/x", "--max-body", "none", "--server-name", "none"),
        ("--port", "0", "--without-threads", "--access-log-file", "a b.log", "--metrics", "a:1"),
        ("--trusted-hosts", "*", "--script-name", "/a", "--unix-mode", "660", "--min-rate", "0"),
    ],
)
def test_what_is_printed_can_be_fed_back(
    args: tuple[str, ...], invoke: Invoke, write: Write
) -> None:
    """The same settings come out."""
    result = invoke("run", "--print-settings", *args)
    write("again.toml", result.stdout)
    os.environ.pop("DEWAR_DEBUG", None)
    assert printed(invoke, "--config", "again.toml") == tomllib.loads(result.stdout)["server"]


def test_debug_mode_says_that_it_logs(invoke: Invoke, folder: Path) -> None:
    """A value that follows from another one says so."""
    output = invoke("run", "--print-settings", "--debug").stdout
    assert "access_log = true  # default in debug mode" in output


def test_a_misspelt_variable_is_warned_of(
    served: Served, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the app may read itself, and what is ours, is not."""
    monkeypatch.setenv("DEWAR_THREAD", "4")
    monkeypatch.setenv("DEWAR_RUN_HOTS", "x")
    tasks = [f"TASKS_{one.name.upper()}" for one in fields(TasksSettings)]
    for name in ("SERVER_NAME", "TRUSTED_HOSTS", "PAGE_SIZE", "SKIP_DOTENV", *tasks):
        monkeypatch.setenv(f"DEWAR_{name}", "1")
    result = invoke("run", "shop:app")
    warnings = [line for line in result.stderr.splitlines() if line.startswith("Warning")]
    assert warnings == [
        "Warning: DEWAR_RUN_HOTS is not a setting and has no effect. Did you mean DEWAR_RUN_HOST?",
        "Warning: DEWAR_THREAD is not a setting and has no effect. Did you mean DEWAR_THREADS?",
    ]
    assert (result.exit_code, served[0]["server_name"]) == (0, "Dewar")


def test_a_project_has_its_own_defaults_and_variables(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of its command line: below all other sources, and under its own prefix."""
    settings = {"auto_envvar_prefix": "SHOP", "default_map": {"run": {"threads": 3, "backlog": 3}}}
    group = DewarGroup(name="shop", context_settings=settings)
    monkeypatch.setenv("SHOP_RUN_BACKLOG", "4")
    group.main(["run", "shop:app"], standalone_mode=False)
    assert (served[0]["threads"], served[0]["backlog"]) == (3, 4)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["shop:app", "-b", "nowhere"], 1, "Cannot listen on 'nowhere': it is not an address."),
        (["shop:app", "-b", f"{'a' * 70}:1"], 1, "the host is not known"),
        (["shop:app", "-b", "unix:/no/such/x"], 1, "the folder does not exist"),
        (["shop:app", "--access-log-file", "/no/such/a.log"], 1, "Cannot write the access log"),
        (["note.txt"], 2, "'note.txt' is not a Python file."),
        (["shop:number"], 2, "it is 3. An app is called with"),
        (["shop:Thing"], 2, "It is a class"),
        (["shop:asgi"], 2, "It looks like an ASGI app"),
        (["shpo"], 2, "Did you mean 'shop'?"),
    ],
)
def test_a_server_that_can_not_start_says_why(
    args: list[str], code: int, message: str, invoke: Invoke, write: Write
) -> None:
    """In one line, without a traceback."""
    write("note.txt", "hello")
    write("shop.py", SHOP + "number = 3\nclass Thing: pass\nasync def asgi(a, b, c): pass\n")
    result = invoke("run", *args)
    assert (result.exit_code, isinstance(result.exception, SystemExit)) == (code, True)
    errors = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert message in errors[0]


def test_copies_of_the_command_keep_their_sections() -> None:
    """``dewar run`` has an option more, and the same help."""
    run = make_cli().commands["run"]
    assert "Where to listen:" in run.get_help(click.Context(run, info_name="run"))
