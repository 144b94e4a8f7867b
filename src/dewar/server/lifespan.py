"""The lifespan of an application in a process: calls before the first and after the last request.

WSGI (PEP 3333) does not define them. An application, or one inside middleware (see `dewar.layers`),
may have two methods. ``begin_serving()`` is called in each process that serves, before the first
request; ``end_serving(timeout)`` after the last, with the seconds until the process ends.
"""

import logging

from dewar.layers import maybe_layer_with, maybe_method

_logger = logging.getLogger("dewar.server")


def begin_serving(app: object) -> None:
    """Call ``begin_serving()`` of the application, if it has one, and raise its errors."""
    layer = maybe_layer_with(app, "begin_serving")
    if layer is not None:
        maybe_method(layer, "begin_serving")()


def end_serving(app: object, timeout: float) -> None:
    """Call ``end_serving(timeout)`` of the application, if it has one.

    Its errors are logged: the process ends in any case.

    Args:
        app: The WSGI callable.
        timeout: The seconds until the process ends.
    """
    layer = maybe_layer_with(app, "end_serving")
    if layer is not None:
        try:
            maybe_method(layer, "end_serving")(max(0.0, timeout))
        except Exception:
            _logger.exception("%r failed to end its work", layer)
