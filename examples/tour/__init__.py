"""A tour of Dewar: ten small pages that each show one feature you can try.

In the project's root folder: ``make run``, or ``dewar run examples.tour:app``.
"""

from examples.tour import (  # noqa: F401 - importing a page registers its views
    chat,
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
