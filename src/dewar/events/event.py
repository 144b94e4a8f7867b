"""`ServerSentEvent`: one event, and how it is written (WHATWG HTML, section 9.2).

A stream is lines of UTF-8, which end with LF, CR or CRLF. A line is a field, ``name: value``, or
a comment, which begins with a colon; an empty line ends the event. One space after the colon is
not part of the value, so one is always written.
"""

import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from dewar.events.errors import EventError

Dumps = Callable[[Any], str]

# The line ends of the format, which are fewer than those of str.splitlines().
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """An event with more than a text, for `event_stream`.

    ::

        ServerSentEvent({"price": 7}, event="price", id="1024")

    Args:
        data: A `str` is sent as it is, line by line; anything else as JSON, by the app's
            provider. None sends no event, but an `id`, `retry` or `comment` alone.
        event: Its name, for ``addEventListener``; ``message`` if there is none.
        id: Clients send it as ``Last-Event-ID`` when they connect again. An empty one resets it.
        retry: The seconds that a client waits before it connects again, from now on.
        comment: A text for people who read the stream; clients ignore it.

    Raises:
        EventError: For an event that clients would drop or cut.
    """

    data: Any = None
    _: KW_ONLY
    event: str | None = None
    id: str | int | None = None
    retry: float | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        _check_line("event", self.event)
        _check_line("id", None if self.id is None else str(self.id))
        if "\0" in str(self.id):
            raise EventError(f"id={self.id!r} has a NUL in it, so clients would ignore it.")
        if self.retry is not None and not 0 <= self.retry < float("inf"):
            raise EventError(f"retry={self.retry!r} should be seconds: 0 or more.")
        if self.data is None and self.event is not None:
            raise EventError(
                f"Clients drop the event {self.event!r}, which has no data. Give it some, even"
                f" empty: ServerSentEvent('', event={self.event!r})."
            )
        if all(told is None for told in (self.data, self.id, self.retry, self.comment)):
            raise EventError("The event says nothing. Give it data: ServerSentEvent('text').")


def event_text(event: ServerSentEvent, dumps: Dumps) -> str:
    """Return the text of an event.

    Args:
        event: The event.
        dumps: Writes JSON.
    """
    fields: list[tuple[str, str]] = []
    if event.comment is not None:
        fields += [("", line) for line in _LINE_END.split(event.comment)]
    if event.event is not None:
        fields.append(("event", event.event))
    if event.id is not None:
        fields.append(("id", str(event.id)))
    if event.retry is not None:
        fields.append(("retry", str(round(event.retry * 1000))))  # in milliseconds
    if event.data is not None:
        data = event.data if isinstance(event.data, str) else dumps(event.data)
        fields += [("data", line) for line in _LINE_END.split(data)]
    return "".join(f"{name}: {value}\n" for name, value in fields) + "\n"


def _check_line(name: str, value: str | None) -> None:
    if value is not None and _LINE_END.search(value):
        raise EventError(
            f"{name}={value!r} has a line break in it, which would end it there. Only data and"
            " comments may have more than one line."
        )


#: It keeps proxies from closing a silent stream, and shows when the client has left.
KEEP_ALIVE_COMMENT = event_text(ServerSentEvent(comment="still here"), str)
