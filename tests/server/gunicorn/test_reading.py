"""A configuration file of gunicorn is executed, and says what it can."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from certificates import Certificates
from dewar.server.errors import SettingsError
from dewar.server.gunicorn.config_file import GunicornFile
from dewar.server.gunicorn.logs import LOGGERS
from dewar.server.gunicorn.names import GUNICORN, Fate
from dewar.server.gunicorn.reading import is_gunicorn_file, read_gunicorn_file
from dewar.server.settings.settings import Settings
from dewar.server.settings.sources import Configuration

Write = Callable[[str, str], Path]
NAME = "gunicorn.conf.py"


@pytest.fixture
def read(write: Write) -> Callable[..., GunicornFile]:
    """Return what writes a file and reads it."""

    def read_text(text: str, **environ: str) -> GunicornFile:
        write(NAME, text)
        return read_gunicorn_file(NAME, environ)

    return read_text


@pytest.fixture
def same_logging() -> Iterator[None]:
    """Take back what a file does to the loggers."""
    loggers = [logging.getLogger(name) for name in (*LOGGERS, *LOGGERS.values())]
    kept = [(each, [*each.handlers], each.level, each.propagate) for each in loggers]
    yield
    for logger, handlers, level, propagate in kept:
        for handler in logger.handlers:
            if handler not in handlers:
                handler.close()
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


Read = Callable[..., GunicornFile]

#: Writes a configuration of logs with a class for its handler, and names it.
WRITE = """
from pathlib import Path
logconfig = "logs.ini"
Path(logconfig).write_text('''
[loggers]
keys=root
[handlers]
keys=one
[formatters]
keys=
[logger_root]
handlers=one
[handler_one]
args=()
class={}
''')
"""


def settings_of(file: GunicornFile) -> Settings:
    return Configuration(file.values()).settings()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("gunicorn.conf.py", True),
        ("/etc/shop/settings.py", True),
        ("python:shop.gunicorn", True),
        ("dewar.toml", False),
        ("pyproject.toml", False),
    ],
)
def test_a_file_of_gunicorn_is_known_by_its_name(path: str, expected: bool) -> None:
    """A Python file is one, and so is a module."""
    assert is_gunicorn_file(path) is expected


def test_a_file_is_a_program_whose_names_are_settings(read: Read) -> None:
    """It knows where it is, and may have names that are no settings."""
    file = read(
        "import os\nhere = os.path.basename(__file__)\n"
        "proc_name = here\nworkers = 2 + 1\nhelper = object()\nwsgi_app = 'shop:app'\n"
    )
    assert (file.name, file.target) == (NAME, "shop:app")
    assert settings_of(file).processes == 3
    assert file.warnings() == []


def test_a_module_is_a_file_too(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its import name."""
    folder = write("served_by.py", "workers = 7\n").parent
    monkeypatch.syspath_prepend(folder)
    file = read_gunicorn_file("python:served_by", {})
    monkeypatch.delitem(sys.modules, "served_by")
    assert settings_of(file).processes == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workers = (", f"{NAME}, line 1: SyntaxError"),
        ("x = 1\nworkers = 1 / 0\n", f"{NAME}, line 2: ZeroDivisionError"),
        ("import no_such_module_here\n", f"{NAME}, line 1: ModuleNotFoundError"),
        ("bind = 'a:b:c'\n", f"{NAME}: bind='a:b:c'"),
        (
            "post_fork = 3\n",
            f"{NAME}: post_fork=3 cannot be called with (server, worker). Write: def post_fork",
        ),
        ("def post_fork(worker): pass\n", "def post_fork(server, worker)"),
        (
            "def post_request(worker): pass\n",
            "def post_request(worker, request, environ, response)",
        ),
        (
            "on_exit = 'no_such_module_here.f'\n",
            "on_exit='no_such_module_here.f' cannot be imported",
        ),
        ("user = 'nobody-has-this-name'\n", "user='nobody-has-this-name' is not a user"),
        ("group = 'nobody-has-this-name'\n", "group='nobody-has-this-name' is not a group"),
        ("forwarded_allow_ips = 'shop'\n", "forwarded_allow_ips: "),
        ("worker_class = 'uvicorn.workers.UvicornWorker'\n", "serves WSGI"),
    ],
)
def test_an_error_names_the_file_and_the_place(text: str, message: str, read: Read) -> None:
    """Of the file's own code, and of what it says."""
    with pytest.raises(SettingsError) as error:
        read(text)
    assert message in str(error.value)
    assert NAME in str(error.value)


# What is not read as the file is, or means something whatever the type is.
_ANY = {"wsgi_app", "proc_name", "errorlog", "loglevel", "capture_output"}


@pytest.mark.parametrize("value", [7.5, "no such", [None], object(), -3])
@pytest.mark.parametrize(
    "name",
    [
        known.name
        for known in GUNICORN.values()
        if known.fate not in (Fate.NEEDLESS, Fate.MISSING) and known.name not in _ANY
    ],
)
def test_a_value_that_makes_no_sense_is_an_error_that_names_the_setting(
    name: str, value: object, certificates: Certificates
) -> None:
    """And never one of the code that reads it."""
    both = str(certificates.folder / "both.pem")
    try:
        settings_of(GunicornFile(NAME, {"certfile": both, name: value}))
    except SettingsError as error:
        assert name in str(error)  # noqa: PT017 - many of the values are good ones


def test_a_file_or_module_that_is_not_there_is_an_error() -> None:
    """With its name."""
    with pytest.raises(SettingsError, match=r"no/such\.py: it cannot be read"):
        read_gunicorn_file("no/such.py", {})
    with pytest.raises(SettingsError, match="python:no_such_module_here: ModuleNotFoundError"):
        read_gunicorn_file("python:no_such_module_here", {})


def test_a_value_out_of_range_is_named_as_in_the_file(read: Read) -> None:
    """And as it is here."""
    with pytest.raises(SettingsError, match=rf"{NAME}, workers: processes=0 must be"):
        settings_of(read("workers = 0\n"))


def test_the_variables_of_gunicorn_count_where_the_file_says_nothing(read: Read) -> None:
    """As those of a platform that starts the program."""
    environ = {"WEB_CONCURRENCY": "3", "PORT": "5005", "SCRIPT_NAME": "/shop/"}
    settings = settings_of(read("", **environ))
    assert (settings.processes, settings.bind) == (3, "0.0.0.0:5005")
    assert settings.script_name == "/shop"
    settings = settings_of(
        read("workers = 2\nbind = 'a:1'\nraw_env = ['SCRIPT_NAME=/b']\n", **environ)
    )
    assert (settings.processes, settings.bind, settings.script_name) == (2, "a:1", "/b")


def test_what_has_no_counterpart_is_named_once_with_the_reason(read: Read) -> None:
    """A default that does nothing is not."""
    file = read(
        "statsd_host = 'localhost:8125'\nstatsd_prefix = 'shop'\nspew = False\n"
        "def pre_exec(server): pass\nworker_class = 'gevent'\nworker_tmp_dir = '/dev/shm'\n"
        "access_log_format = '%(h)s'\n",
        GUNICORN_CMD_ARGS="--bind=:1",
    )
    missing, threads, log_format, command = file.warnings()
    assert "statsd_host, statsd_prefix (--metrics serves" in missing
    assert "pre_exec (" in missing
    assert "spew" not in missing
    assert "worker_tmp_dir" not in missing
    assert "worker_class='gevent': requests run on 64 threads" in threads
    assert "'combined'" in log_format
    assert command.startswith("GUNICORN_CMD_ARGS is not read")


@pytest.mark.parametrize("taken", [2, 3, 4])
def test_post_request_may_take_fewer_arguments(taken: int, read: Read) -> None:
    """The response, and the environ before it, may be left out."""
    names = ", ".join("abcd"[:taken])
    file = read(f"def post_request({names}): raise RuntimeError(({names}))\n")
    with pytest.raises(RuntimeError) as error:
        file._functions["post_request"](1, 2, 3, 4)
    assert error.value.args[0] == (1, 2, 3, 4)[:taken]


@pytest.mark.usefixtures("same_process", "same_logging")
def test_the_process_that_serves_is_prepared(read: Read, tmp_path: Path) -> None:
    """Environment, import path, umask, and logs in a file that is opened anew after a rotation."""
    path = tmp_path / "errors.log"
    file = read(
        "raw_env = ['COLOUR=red=blue', 'EMPTY=']\npythonpath = 'lib, more'\numask = 0o27\n"
        f"errorlog = {str(path)!r}\nloglevel = 'warning'\n"
    )
    former = os.umask(0o22)
    try:
        file.prepare()
        assert os.umask(former) == 0o27
    finally:
        os.umask(former)
    assert (os.environ["COLOUR"], os.environ["EMPTY"]) == ("red=blue", "")
    assert sys.path[:2] == ["lib", "more"]
    for name in ("gunicorn.error", "dewar.server"):
        logging.getLogger(name).info("%s is quiet", name)
        logging.getLogger(name).warning("%s is not", name)
    path.rename(tmp_path / "rotated")
    logging.getLogger("gunicorn.error").error("after the rotation")
    written = (tmp_path / "rotated").read_text()
    assert "[WARNING] gunicorn.error is not" in written
    assert "[WARNING] dewar.server is not" in written
    assert "quiet" not in written
    assert "after the rotation" in path.read_text()


@pytest.mark.usefixtures("same_process", "same_logging")
def test_a_configuration_of_logging_is_applied(read: Read, tmp_path: Path) -> None:
    """It may use gunicorn's handlers and formatters, and is for our loggers as well."""
    path = tmp_path / "access.log"
    file = read(
        "logconfig_dict = {'handlers': {'access': {'class': 'logging.FileHandler',"
        f" 'filename': {str(path)!r}, 'formatter': 'generic'}}}},"
        " 'root': {'level': 'INFO', 'handlers': []}, 'loggers': {"
        "'gunicorn.access': {'level': 'INFO', 'handlers': ['access'], 'propagate': False}}}\n"
    )
    file.prepare()
    logging.getLogger("dewar.server.access").info("a line")
    assert path.read_text().endswith("[INFO] a line\n")


@pytest.mark.usefixtures("same_process", "same_logging")
@pytest.mark.parametrize(
    "text",
    [
        "errorlog = '/no/such/folder/errors.log'\n",
        "loglevel = 'loudest'\n",
        "logconfig = '/no/such/file.ini'\n",
        "logconfig_json = '/no/such/file.json'\n",
        "logconfig_dict = {'version': 2}\n",
        "logconfig = __file__\n",
        WRITE.format("no.such.Handler"),
        WRITE.format("StreamHandler("),
        "logconfig_dict = {'handlers': {'a': {'class': 'no.such.Handler'}}}\n",
    ],
)
def test_logs_that_cannot_be_set_up_are_an_error(text: str, read: Read) -> None:
    """Of the settings."""
    with pytest.raises(SettingsError, match="logs cannot be set up"):
        read(text).prepare()


def test_hooks_see_the_settings(read: Read) -> None:
    """Those of the file, and those that count."""
    file = read("workers = 2\ncustom = 1\ntimeout = 5\nkeepalive = 9\n")
    hooks = file.hooks(settings_of(file), "shop")
    cfg: Any = hooks._server.cfg
    assert (cfg.workers, cfg.timeout, cfg.keepalive, cfg.proc_name) == (2, 5, 9, "shop")


def test_a_system_that_cannot_fork_is_told_what_to_do(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file can still be translated there."""
    file = read("workers = 1\n")
    monkeypatch.delattr(os, "fork")
    assert settings_of(file).processes == 1
    with pytest.raises(SettingsError, match="--print-settings"):
        file.prepare()


@pytest.mark.parametrize(
    "text",
    [
        "raw_env = ['COLOUR']\n",
        "raw_env = '=red'\n",
        "raw_env = {'COLOUR': 'red'}\n",
        "raw_env = ['COLOUR=a\\0b']\n",
        "secure_scheme_headers = {1: 'https'}\n",
        "secure_scheme_headers = {'X-FORWARDED-PROTO': True}\n",
    ],
)
def test_a_value_that_would_count_for_nothing_is_refused(text: str, read: Read) -> None:
    """It names the setting."""
    with pytest.raises(SettingsError, match=text.partition(" ")[0]):
        read(text)
