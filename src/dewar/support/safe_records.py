"""`safe_records`: makes each log record of Dewar one line of printable text.

It is a filter, so it works with the handlers and formatters of every program. It changes a record
only if Dewar's own code has made it, and only if something in it is not printable:

- The message becomes one line, with control characters escaped.
- A traceback has many lines. In the text of an exception, each further line begins with ``  | ``,
  so that no text can begin a line that looks like a record.
"""

import logging
import os
from collections.abc import Generator
from pathlib import Path
from traceback import TracebackException
from typing import Any, TypeVar

from dewar.support.printable import printable

#: Every logger of Dewar. A filter of a logger does not see the records of those below it.
LOGGERS = (
    "concurrent.futures",  # for what that module would log too
    "dewar",
    "dewar.loop",
    "dewar.server",
    "dewar.server.access",
    "dewar.tasks",
    "dewar.tasks.webhooks",
    "dewar.websocket",
)

_HERE = f"{Path(__file__).parents[1]}{os.sep}"
_CONTINUED = "  | "

T = TypeVar("T", BaseException, TracebackException)


def safe_records(record: logging.LogRecord) -> bool:
    """Make a record safe if it is Dewar's; return True, because none is refused."""
    if record.pathname.startswith(_HERE):
        _make_message_safe(record)
        # A formatter uses this text instead of its own; most have nothing to change.
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not record.exc_text:
            record.exc_text = _maybe_safe_traceback(error)
    return True


def add_safe_records() -> None:
    """Add the filter to the loggers of Dewar. Several calls are as one."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(safe_records)


def _make_message_safe(record: logging.LogRecord) -> None:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001  # an argument that cannot be shown; the handler reports it
        return
    # A text that is meant to have several lines says so.
    lines = message.split("\n") if hasattr(record, "_dewar_has_lines") else [message]
    safe = "\n".join(map(printable, lines))
    if safe != message:
        record.msg, record.args = safe, None


def _maybe_safe_traceback(error: BaseException) -> str | None:
    """Return the traceback of an error, or None if all texts in it are one printable line."""
    # PERF: nearly all errors pass, and making a traceback twice is a tenth of the request's time.
    if all(map(_is_safe, _chain(error))):
        return None
    told = TracebackException.from_exception(error)
    for each in _chain(told):
        each.__class__ = _SafeTraceback
    return "\n".join(map(printable, "".join(told.format()).rstrip("\n").split("\n")))


def _is_safe(error: BaseException) -> bool:
    if isinstance(error, SyntaxError) or hasattr(error, "__notes__"):
        return False
    try:
        return str(error).isprintable()
    except Exception:  # noqa: BLE001  # its own __str__ fails
        return False


class _SafeTraceback(TracebackException):
    """A traceback in which only the line with the type of an exception begins with any text."""

    def format_exception_only(self, **options: Any) -> Generator[str, None, None]:
        notes, self.__notes__ = self.__notes__, None
        for text in super().format_exception_only(**options):
            yield f"{_continued(text[:-1])}\n"
        for note in notes or ():
            yield f"{_CONTINUED}{_continued(str(note))}\n"
        self.__notes__ = notes


def _continued(text: str) -> str:
    return text.replace("\n", f"\n{_CONTINUED}")


def _chain(error: T) -> list[T]:
    """Return an error with its causes, its contexts and the errors of its group."""
    found: dict[int, T] = {}
    left: list[Any] = [error]
    while left:
        each: Any = left.pop()
        if each is not None and id(each) not in found:
            found[id(each)] = each
            left += [each.__cause__, each.__context__, *(getattr(each, "exceptions", None) or ())]
    return list(found.values())
