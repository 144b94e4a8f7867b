"""The app's logger."""

import logging
import sys
from typing import Any, Protocol, TextIO, cast

from dewar.contexts.current import maybe_current
from dewar.isolation.proxy import LocalProxy


class LoggingApp(Protocol):
    """What a logger takes of the app."""

    debug: bool

    @property
    def name(self) -> str:
        """The name of the logger."""


def _errors_stream() -> Any:
    """Return the server's error stream while a request is handled, else stderr."""
    context = maybe_current()
    carrier = None if context is None else context.request_context
    return sys.stderr if carrier is None else carrier.environ.get("wsgi.errors", sys.stderr)


#: Writes to the server's log during a request, and to stderr otherwise.
wsgi_errors_stream: TextIO = cast("TextIO", LocalProxy(_errors_stream))

#: What apps' loggers write through where logging is not configured; remove it from a logger with
#: ``app.logger.removeHandler(default_handler)``.
default_handler = logging.StreamHandler(wsgi_errors_stream)
default_handler.setFormatter(
    logging.Formatter("[%(asctime)s] %(levelname)s in %(module)s: %(message)s")
)


def has_level_handler(logger: logging.Logger) -> bool:
    """Whether some handler up the chain would write what this logger lets through."""
    level, current = logger.getEffectiveLevel(), cast("logging.Logger | None", logger)
    while current is not None:
        if any(handler.level <= level for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


def create_logger(app: LoggingApp) -> logging.Logger:
    """Return the logger with the app's name, with a handler where logging is not configured."""
    logger = logging.getLogger(app.name)
    if app.debug and not logger.level:
        logger.setLevel(logging.DEBUG)
    if not has_level_handler(logger):
        logger.addHandler(default_handler)
    return logger
