"""A client for event streams, and an event loop whose time only waiting moves."""

import asyncio
import re
import selectors
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

R = TypeVar("R")


class Received(NamedTuple):
    """An event as a browser hands it to a page."""

    type: str
    data: str
    last_id: str


@dataclass
class Reader:
    """What a client makes of a stream (WHATWG HTML, 9.2.6)."""

    events: list[Received] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    retry: int | None = None
    last_id: str = ""

    def __post_init__(self) -> None:
        self._type = self._data = ""
        self._id = ""

    def line(self, line: str) -> None:
        """Process one line."""
        if not line:
            self._dispatch()
        elif line.startswith(":"):
            self.comments.append(line[1:])
        else:
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "))

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            self._type = value
        elif name == "data":
            self._data += value + "\n"
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self.retry = int(value)

    def _dispatch(self) -> None:
        self.last_id = self._id
        kind, data = self._type or "message", self._data
        self._type = self._data = ""
        if data:
            self.events.append(Received(kind, data.removesuffix("\n"), self.last_id))


def read_events(stream: bytes | str | Iterable[bytes]) -> Reader:
    """Return what a client makes of a whole stream."""
    if isinstance(stream, str):
        stream = stream.encode()
    data = stream if isinstance(stream, bytes) else b"".join(stream)
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    reader = Reader()
    # What follows the last line end is no line.
    for line in re.split(r"\r\n|\r|\n", text)[:-1]:
        reader.line(line)
    return reader


class _Jumping(selectors.DefaultSelector):
    """Waits for no time to pass: it moves the time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while anything runs."""

    def __init__(self) -> None:
        self._clock = _Jumping()
        super().__init__(self._clock)
        #: What asyncio found wrong: tasks destroyed, exceptions that nobody retrieved.
        self.complaints: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.complaints.append(context))

    def time(self) -> float:
        return self._clock.now

    def play(self, work: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine to its end."""
        return self.run_until_complete(work)

    @classmethod
    def play_alone(cls, work: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Run a coroutine function on a loop of its own; nothing may go wrong."""
        loop = cls()
        try:
            result = loop.play(work())
            assert loop.complaints == []
        finally:
            loop.close()
        return result
