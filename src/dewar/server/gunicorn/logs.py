"""gunicorn's settings for logs, for its own loggers and for the server's."""

import io
import json
import logging
import logging.config
import os
import sys
from collections.abc import Mapping
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from dewar.server.errors import SettingsError
from dewar.server.gunicorn.values import flag
from dewar.server.gunicorn.views import ERROR_LOGGER

#: For each logger of the server the one that programs know from gunicorn.
LOGGERS = {"dewar.server": ERROR_LOGGER, "dewar.server.access": "gunicorn.access"}
_ERRORS, _ACCESS = LOGGERS

_LINE = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
_TIME = "[%Y-%m-%d %H:%M:%S %z]"


def set_up_logs(given: Mapping[str, object]) -> None:
    """Give the loggers their handlers and levels.

    Raises:
        SettingsError: A file cannot be opened, or a configuration is not valid.
    """
    configured = _maybe_configured(given)
    try:
        if configured is not None:
            _configure(given, configured)
        else:
            _log_errors(given)
            if given.get("accesslog") == "-":
                _use("gunicorn.access", logging.StreamHandler(sys.stdout), "%(message)s", "INFO")
    except Exception as error:  # a file names classes and has expressions, which raise any error
        names = [configured] if configured else ["errorlog", "loglevel"]
        said = ", ".join(f"{name}={given[name]!r}" for name in names if name in given)
        raise SettingsError(f"The logs cannot be set up ({said}): {error}") from error
    for ours, theirs in LOGGERS.items():
        _share(logging.getLogger(theirs), logging.getLogger(ours))


def _maybe_configured(given: Mapping[str, object]) -> str | None:
    """Return the setting that has the configuration of logs, in the order of gunicorn."""
    names = ("logconfig_dict", "logconfig_json", "logconfig")
    return next((name for name in names if given.get(name)), None)


def _configure(given: Mapping[str, object], name: str) -> None:
    wanted: Any = given[name]
    if name == "logconfig_dict":
        logging.config.dictConfig(_with_defaults(wanted))
        return
    path = Path(str(wanted))
    # Not left to fileConfig, which on Python 3.11 says nothing of a file that is not there.
    text = path.read_text("utf-8")
    if name == "logconfig_json":
        logging.config.dictConfig(_with_defaults(json.loads(text)))
        return
    names = {"__file__": str(path), "here": str(path.parent)}
    logging.config.fileConfig(io.StringIO(text), names, disable_existing_loggers=False)


def _with_defaults(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration to which *wanted* adds; each of its keys replaces ours."""
    return {**_defaults(), **wanted}


def _defaults() -> dict[str, Any]:
    handler = {"class": "logging.StreamHandler", "formatter": "generic"}
    quiet = {"level": "INFO", "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "root": {"level": "INFO", "handlers": ["console"]},
        "loggers": {
            ERROR_LOGGER: {**quiet, "handlers": ["error_console"], "qualname": ERROR_LOGGER}
        },
        "handlers": {
            "console": {**handler, "stream": "ext://sys.stdout"},
            "error_console": {**handler, "stream": "ext://sys.stderr"},
        },
        "formatters": {
            "generic": {"format": _LINE, "datefmt": _TIME, "class": "logging.Formatter"}
        },
    }


def _log_errors(given: Mapping[str, object]) -> None:
    path = given.get("errorlog") or "-"
    level = str(given.get("loglevel") or "info").upper()
    handler = logging.StreamHandler() if path == "-" else _file_handler(str(path))
    _use(ERROR_LOGGER, handler, _LINE, level)
    if path != "-" and flag(given, "capture_output"):
        _capture_output(handler)


def _file_handler(path: str) -> WatchedFileHandler:
    # It opens a new file by itself after a rotation has renamed this one.
    return WatchedFileHandler(path, encoding="utf-8")


def _use(name: str, handler: logging.Handler, line: str, level: str) -> None:
    handler.setFormatter(logging.Formatter(line, _TIME))
    logger = logging.getLogger(name)
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def _capture_output(handler: logging.StreamHandler[Any]) -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(handler.stream.fileno(), stream.fileno())


def _share(theirs: logging.Logger, ours: logging.Logger) -> None:
    """Let our logger write what theirs does, unless the file has set it up by its own name."""
    if ours.handlers or not theirs.handlers:
        return
    ours.handlers[:] = theirs.handlers
    ours.setLevel(theirs.level)
    ours.propagate = theirs.propagate
