"""`Streams`: the event streams that one process has open, each of which holds a thread.

Who does what, on which thread:

- The thread of a request opens a stream, makes its pieces, and closes it.
- The thread that ends the app's serving calls `end`, which wakes all that wait.

A stream ends by itself: after the final state, after its longest life (so that the thread comes
back; an ``EventSource`` connects again), when the process stops, and at the first piece that the
client is not there to take. Between two looks at the ledger it holds nothing of it.
"""

import logging
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Self

from dewar.tasks.errors import TasksError
from dewar.tasks.ledger.records import JobState
from dewar.tasks_http.event import HEARTBEAT, Event, retry_text

__all__ = ["Pace", "Stream", "Streams", "StreamsStatistics", "Watched", "narrate"]

_logger = logging.getLogger("dewar.tasks")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How often something happens on a stream; all in seconds."""

    #: Without an event before a comment is sent. Proxies give up after 60 and more.
    heartbeat: float = 15.0
    #: The longest that a stream lasts.
    life: float = 300.0
    #: What the client waits before it connects again.
    retry: float = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """One job as a stream sees it.

    Attributes:
        changes: Returns another value once anything was committed to the ledger.
        look: Returns the event that tells how the job is now.
        poll: How long to wait between two looks whether anything has changed, in seconds.
        seen: The id of the last event that the client has, or nothing.
        is_over: Whether the process is about to stop, as far as its server tells.
    """

    changes: Callable[[], object]
    look: Callable[[], Event]
    poll: float
    seen: str = ""
    is_over: Callable[[], bool] = lambda: False


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamsStatistics:
    """How many streams are open in this process, and how many there may be."""

    open: int
    most: int


class Stream:
    """The text of one stream, piece by piece. Whoever has it calls `close`.

    Args:
        pieces: The text.
        release: Called once, when the stream is closed.
    """

    def __init__(self, pieces: Generator[str, None, None], release: Callable[[], object]) -> None:
        self._pieces = pieces
        self._release = release
        self._closing = threading.Lock()  # locked for good by the first that closes

    def __repr__(self) -> str:
        return f"<Stream {'closed' if self._closing.locked() else 'open'}>"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        piece = self._maybe_next()
        if piece is None:
            # Now, and not when the response is closed: the client sees the end in between, and
            # may want the place that it believes is free.
            self.close()
            raise StopIteration
        return piece

    def _maybe_next(self) -> str | None:
        try:
            return next(self._pieces, None)
        except TasksError as error:
            # The job was purged, or the ledger fails; the client asks again and is told which.
            _logger.info("A stream of events ends early: %s", error)
            return None

    def close(self) -> None:
        """End the stream and give its place back; more than once does no harm."""
        if self._closing.acquire(blocking=False):
            try:
                self._pieces.close()
            finally:
                self._release()

    # Where a hook of the app fails, the response is dropped and nobody closes it.
    __del__ = close


class _Season:
    """One time of serving: how many streams are open, and whether it has ended."""

    def __init__(self) -> None:
        self._counting = threading.Lock()
        self.open = 0
        self.ended = threading.Event()

    def enter(self, most: int) -> bool:
        """Take a place, if there is one; return whether there was."""
        with self._counting:
            if self.open >= most or self.ended.is_set():
                return False
            self.open += 1
            return True

    def leave(self) -> None:
        """Give a place back."""
        with self._counting:
            self.open -= 1


class Streams:
    """Opens streams, no more at a time than there are places.

    Args:
        most: How many places there are in one process.
        pace: How often something happens on each.
        clock: Seconds that only grow.
    """

    def __init__(self, most: int, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._pace = pace
        self._clock = clock
        self._season = _Season()

    def __repr__(self) -> str:
        return f"<Streams, {self._season.open} of {self._most} open>"

    def statistics(self) -> StreamsStatistics:
        """Return how many are open."""
        return StreamsStatistics(open=self._season.open, most=self._most)

    def begin(self) -> None:
        """Begin to serve in this process; what a fork took along of another's is dropped."""
        self._season = _Season()

    def end(self, timeout: float = 0.0) -> None:  # noqa: ARG002  # as app.on_stop calls it
        """Have all streams end now, and open no more."""
        self._season.ended.set()

    def maybe_open(self, watched: Watched) -> Stream | None:
        """Return a stream about a job, or None where all places are taken."""
        season = self._season
        if not season.enter(self._most):
            return None
        pieces = narrate(watched, self._pace, season.ended.wait, self._clock)
        return Stream(pieces, season.leave)


def narrate(
    watched: Watched, pace: Pace, wait: Callable[[float], bool], clock: Callable[[], float]
) -> Generator[str, None, None]:
    """Yield the text of a stream.

    Args:
        watched: The job.
        pace: How often something happens.
        wait: Waits so many seconds; returns at once, and true, where the process stops.
        clock: Seconds that only grow.
    """
    yield retry_text(pace.retry)
    end, quiet = clock() + pace.life, clock() + pace.heartbeat
    known: object = None
    before: JobState | None = None
    seen = watched.seen
    while not watched.is_over() and clock() < end:
        changes = watched.changes()  # before the look: what comes after it is seen the next time
        if changes != known:
            known, event = changes, watched.look()
            if event.id != seen:
                yield event.text(before)
                quiet = clock() + pace.heartbeat
            seen, before = event.id, event.state
            if event.state.is_final:
                return
        if clock() >= quiet:
            yield HEARTBEAT
            quiet = clock() + pace.heartbeat
        if wait(watched.poll):
            return
