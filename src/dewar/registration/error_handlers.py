"""Which function handles which error."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from inspect import isclass
from typing import Any

from werkzeug.exceptions import HTTPException, default_exceptions

Handler = Callable[[Any], Any]
# By blueprint name (None: the app), then status code (None: any other exception), then class.
ErrorHandlers = dict[str | None, dict[int | None, dict[type[Exception], Handler]]]


def new_error_handlers() -> ErrorHandlers:
    """Return an empty table whose inner tables are made when they are read."""
    return defaultdict(lambda: defaultdict(dict))


def class_and_code(exception: type[Exception] | int) -> tuple[type[Exception], int | None]:
    """Return the exception class and, for an HTTP error, its status code.

    Raises:
        TypeError: If an instance, or no class at all, is given.
        ValueError: For a class that is no exception, and a number that is no HTTP error status.
    """
    if isinstance(exception, int):
        if exception not in default_exceptions:
            raise ValueError(
                f"{exception!r} is not a recognized HTTP error code. Use a subclass of"
                " HTTPException with that code instead: @app.errorhandler(MyError)."
            )
        return default_exceptions[exception], exception
    if isinstance(exception, Exception):
        raise TypeError(
            f"{exception!r} is an instance, not a class. Write"
            f" @app.errorhandler({type(exception).__name__})."
        )
    refusal = _maybe_refusal(exception)
    if refusal is not None:
        raise refusal(
            f"{getattr(exception, '__name__', exception)!r} is not a subclass of Exception."
            " Give one, or an HTTP error status such as 404."
        )
    code = exception.code if issubclass(exception, HTTPException) else None
    return exception, code


def _maybe_refusal(thing: object) -> type[Exception] | None:
    if not isclass(thing):
        return TypeError
    return None if issubclass(thing, Exception) else ValueError


def find_handler(
    handlers: ErrorHandlers, error: Exception, blueprints: Iterable[str]
) -> Handler | None:
    """Return the handler for an error, or None.

    A handler for the status code goes before one for the class alone, the blueprint's (innermost
    first) before the app's, and the nearest class before its parents.
    """
    error_class = type(error)
    code = error_class.code if issubclass(error_class, HTTPException) else None
    names: tuple[str | None, ...] = (*blueprints, None)
    for wanted in (code, None) if code is not None else (None,):
        for name in names:
            # get(): looking must not make inner tables appear.
            by_class = handlers.get(name, {}).get(wanted)
            handler = _nearest(by_class, error_class) if by_class else None
            if handler is not None:
                return handler
    return None


def _nearest(
    by_class: dict[type[Exception], Handler], error_class: type[Exception]
) -> Handler | None:
    return next((by_class[cls] for cls in error_class.__mro__ if cls in by_class), None)
