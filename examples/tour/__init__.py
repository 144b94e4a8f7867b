"""A tour of Dewar: nine small pages, each showing one thing you can check for yourself.

From the project's root: ``make run``, or ``dewar run examples.tour:app``.
"""

from examples.tour import (  # noqa: F401 - importing a page registers its views
    clock,
    counter,
    errors,
    guestbook,
    home,
    jobs,
    selfcheck,
    slow,
    stream,
    whoami,
)
from examples.tour.application import app

__all__ = ["app"]
