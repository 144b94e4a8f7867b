"""The app's logger."""

import logging
import sys
from typing import Any, Protocol, TextIO, cast

from dewar.contexts.current import maybe_current_request
from dewar.isolation.proxy import LocalProxy
from dewar.support.safe_records import add_safe_records, safe_records


class LoggingApp(Protocol):
    """What a logger needs from its app."""

    debug: bool

    @property
    def name(self) -> str:
        """The name of the logger."""


def _errors_stream() -> Any:
    """Return the server's error stream while a request is handled, else stderr."""
    request_context = maybe_current_request()
    if request_context is None:
        return sys.stderr
    return request_context._dewar_environ.get("wsgi.errors", sys.stderr)


#: Writes to the server's log during a request, and to stderr otherwise.
wsgi_errors_stream: TextIO = cast("TextIO", LocalProxy(_errors_stream))

#: The handler of apps' loggers if logging is not configured. To remove it, call
#: ``app.logger.removeHandler(default_handler)``.
default_handler = logging.StreamHandler(wsgi_errors_stream)
default_handler.setFormatter(
    logging.Formatter("[%(asctime)s] %(levelname)s in %(module)s: %(message)s")
)


# Here, because this module is imported with any part of Dewar, before that can log.
add_safe_records()


def has_level_handler(logger: logging.Logger) -> bool:
    """Return whether a handler of this logger or its parents handles the logger's level."""
    level, current = logger.getEffectiveLevel(), cast("logging.Logger | None", logger)
    while current is not None:
        if any(handler.level <= level for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


def create_logger(app: LoggingApp) -> logging.Logger:
    """Return the app's logger, with `default_handler` if logging is not configured.

    What Dewar itself logs there is safe to print; see `dewar.support.safe_records`.
    """
    logger = logging.getLogger(app.name)
    logger.addFilter(safe_records)
    if app.debug and not logger.level:
        logger.setLevel(logging.DEBUG)
    if not has_level_handler(logger):
        logger.addHandler(default_handler)
    return logger
