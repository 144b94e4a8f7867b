"""The root of every error that Dewar raises on its own account.

An error says what went wrong, names the object, and shows the repair. Each class here also
inherits the built-in that a Flask user would catch today, so that existing ``except`` clauses
keep working.
"""

from typing import Any


class DewarError(Exception):
    """Raised, through its subclasses, for a mistake that Dewar itself found."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the constructor: that of most subclasses takes the parts of the text, and `args`
        # holds the whole text. So each can be pickled, as between processes, and copied.
        return _without_constructor, (type(self), self.args), vars(self) or None


def _without_constructor(cls: type[DewarError], args: tuple[Any, ...]) -> DewarError:
    made = cls.__new__(cls, *args)
    made.args = args  # an OSError leaves that to its constructor
    return made


class UnboundError(DewarError, RuntimeError):
    """Raised when a proxy is used and nothing stands behind it in this owner.

    It is a `RuntimeError`, as Flask's "Working outside of request context" is.
    """


class ContextOrderError(DewarError, AssertionError):
    """Raised when a context is popped that is not the one on top.

    It is an `AssertionError`, as Flask's "Popped wrong request context" is.
    """


class SetupFinishedError(DewarError, AssertionError):
    """Raised when a route or hook is registered after the first request was served."""
