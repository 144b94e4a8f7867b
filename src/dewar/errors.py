"""The base class of the errors that Dewar raises, and errors that several packages use.

A message says what went wrong, names the object, and shows how to fix it. Each class also inherits
from the built-in error that Flask raises, so that existing ``except`` clauses keep working.
"""

from typing import Any


class DewarError(Exception):
    """The base class of every error that Dewar raises itself."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Most constructors take the parts of a message, and `args` has the whole message. So
        # pickling and copying must not call the constructor.
        return _without_constructor, (type(self), self.args), vars(self) or None


def _without_constructor(cls: type[DewarError], args: tuple[Any, ...]) -> DewarError:
    made = cls.__new__(cls, *args)
    made.args = args  # OSError sets it in its constructor only
    return made


class UnboundError(DewarError, RuntimeError):
    """Raised when a proxy has no object in the current thread, greenlet or task.

    It is a `RuntimeError`, as Flask's "Working outside of request context" is.
    """


class ContextOrderError(DewarError, AssertionError):
    """Raised when the popped context is not the current one.

    It is an `AssertionError`, as Flask's "Popped wrong request context" is.
    """


class SetupFinishedError(DewarError, AssertionError):
    """Raised when a route or hook is registered after the first request."""
