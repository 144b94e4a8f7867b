"""An application that is asked what a call of it would do, and fails: it is called all the same."""

from dewar.support.bounded_log import BoundedLog
from dewar.support.error_place import place_of


def warn_of_question(
    bounded_log: BoundedLog, app: object, method: str, error: BaseException
) -> None:
    """Log that a method of the application has failed; each request may cause that.

    Args:
        bounded_log: Where to.
        app: The application.
        method: Its method. A failure changes only on which thread, or how soon, it is called.
        error: What the method has raised.
    """
    bounded_log.warn(
        f"%r: {method}() failed, and the application is called without it: %r in %s",
        app, error, place_of(error),
    )  # fmt: skip
