"""Telling the application that a process begins to serve it, and that it has ended.

WSGI (PEP 3333) has no word for that. An application, or one inside middleware that keeps it as
``app``, may have two methods: ``begin_serving()`` is called in each process that serves, before the
first request; ``end_serving(timeout)`` after the last, with the seconds that are left.
"""

import logging
from collections.abc import Iterator

__all__ = ["begin_serving", "end_serving"]

_logger = logging.getLogger("dewar.server")
# More layers of middleware than anybody has; keeps a circle of them from holding the start up.
_DEPTH = 50


def begin_serving(app: object) -> None:
    """Call ``begin_serving()`` of the application, if it has one; what that raises is raised."""
    for layer in _layers(app):
        begin = getattr(layer, "begin_serving", None)
        if callable(begin):
            begin()
            return


def end_serving(app: object, timeout: float) -> None:
    """Call ``end_serving(timeout)`` of the application, if it has one.

    What it raises is logged: the process ends in any case.

    Args:
        app: The WSGI callable.
        timeout: The seconds until the process ends.
    """
    for layer in _layers(app):
        end = getattr(layer, "end_serving", None)
        if callable(end):
            try:
                end(max(0.0, timeout))
            except Exception:
                _logger.exception("%r failed to end its work", layer)
            return


def _layers(app: object) -> Iterator[object]:
    """Yield the application and what it is middleware for, from the outside in."""
    for _ in range(_DEPTH):
        yield app
        app = getattr(app, "app", None)
        if app is None:
            return
