"""`Streams`: the event streams that one process has open, none of which holds a thread.

Which thread does what:

- The thread of a request opens a stream.
- The thread of the event loop makes its text, and closes it.
- The watcher's thread reads the jobs of all streams at once.
- The thread that stops serving the app calls `end`, which ends all streams.

A stream ends by itself after the final state, after its longest life (an ``EventSource`` connects
again, and `access` is asked again), when the process stops, and when its client has left.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from dewar.events.event import ServerSentEvent, event_text
from dewar.events.keep_alive import KeepAlive, with_keep_alive
from dewar.tasks_http.interface import ServedTasks
from dewar.tasks_http.job_event import JobEvent
from dewar.tasks_http.watcher import Subscriber, Watcher

_logger = logging.getLogger("dewar.tasks")


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSettings:
    """The times of a stream, in seconds."""

    #: How long no event is sent before a comment is. Proxies give up after 60 seconds or more.
    heartbeat: float = 15.0
    #: The longest that a stream lasts.
    life: float = 300.0
    #: How long the client waits before it connects again.
    retry: float = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchedJob:
    """A job, and how a stream tells of it.

    Attributes:
        id: The job's id.
        first: The event for the job as it is when the stream is opened.
        tell: Returns the event for a record of the ledger.
        seen: The id of the last event that the client has; empty if it has none.
        is_over: Returns whether the server is about to stop.
    """

    id: str
    first: JobEvent
    tell: Callable[[Any], JobEvent]
    seen: str = ""
    is_over: Callable[[], bool] = bool


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamsStatistics:
    """How many streams are open in this process, and how many may be."""

    open: int
    most: int


class Stream:
    """The text of one stream, in pieces. The response that has it calls `aclose` or `close`.

    Args:
        pieces: The text.
        release: Called once, when the stream is closed.
    """

    def __init__(self, pieces: AsyncIterator[str], release: Callable[[], object]) -> None:
        self._pieces = pieces
        self._release = release
        self._closing = threading.Lock()  # locked by the first call that closes, and never released

    def __repr__(self) -> str:
        return f"<Stream {'closed' if self._closing.locked() else 'open'}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            # Now, and not when the response is closed: the client sees the end before that, and
            # may open another stream in its place.
            self.close()
            raise

    async def aclose(self) -> None:
        """End the stream and free its place. It may be called more than once."""
        try:
            await self._pieces.aclose()  # type: ignore[attr-defined]  # a generator
        finally:
            self.close()

    def close(self) -> None:
        """Free the place of a stream that has ended, or that nobody has begun to read."""
        if self._closing.acquire(blocking=False):
            self._release()

    # If a hook of the app fails, the response is dropped and nobody closes it.
    __del__ = close


class _Generation:
    """The streams from one start of serving to its end: their number, and their watcher."""

    def __init__(self, tasks: ServedTasks) -> None:
        self._counting = threading.Lock()
        self.open = 0
        self.has_ended = False
        self.watcher = Watcher(tasks)

    def enter(self, most: int) -> bool:
        """Take a place; return whether one was free."""
        with self._counting:
            if self.open >= most or self.has_ended:
                return False
            self.open += 1
            return True

    def leave(self) -> None:
        """Free a place."""
        with self._counting:
            self.open -= 1

    def end(self) -> None:
        """End all streams."""
        self.has_ended = True
        self.watcher.end()


class Streams:
    """Opens streams, up to a number at a time.

    Args:
        tasks: The tasks whose jobs they tell of.
        most: How many streams may be open in one process.
        settings: The times of each.
    """

    def __init__(self, tasks: ServedTasks, most: int, settings: StreamSettings) -> None:
        self._tasks = tasks
        self._most = most
        self._settings = settings
        self._generation = _Generation(tasks)

    def __repr__(self) -> str:
        return f"<Streams, {self._generation.open} of {self._most} open>"

    def statistics(self) -> StreamsStatistics:
        """Return how many are open."""
        return StreamsStatistics(open=self._generation.open, most=self._most)

    def begin(self) -> None:
        """Begin to serve in this process, and drop the streams that a fork has inherited."""
        self._generation = _Generation(self._tasks)

    def end(self, timeout: float = 0.0) -> None:  # noqa: ARG002  # as app.on_stop calls it
        """End all streams now, and open no more."""
        self._generation.end()

    def maybe_open(self, watched: WatchedJob) -> Stream | None:
        """Return a stream about a job, or None if too many are open."""
        generation, settings = self._generation, self._settings
        if not generation.enter(self._most):
            return None
        keep_alive = KeepAlive(
            opening=event_text(ServerSentEvent(retry=settings.retry), str),
            ping=settings.heartbeat,
            is_over=watched.is_over,
        )
        events = events_of(watched, generation.watcher, settings.life)
        return Stream(with_keep_alive(events, keep_alive), generation.leave)


async def events_of(
    watched: WatchedJob, watcher: Watcher, life: float
) -> AsyncGenerator[str, None]:
    """Yield the text of a stream: each change of a job.

    Args:
        watched: The job.
        watcher: What reads its record.
        life: The seconds after which the stream ends.
    """
    loop, queue = asyncio.get_running_loop(), _LatestEvent()
    seen, before = watched.seen, None
    event: JobEvent | None = watched.first

    def tell(record: Any) -> None:
        event = None if record is None else _maybe_event(watched, record)
        with suppress(RuntimeError):  # the loop is closed, and nobody listens
            loop.call_soon_threadsafe(queue.put, event)

    with _ended_after(life, queue), watcher.subscribed(Subscriber(watched.id, tell)):
        while event is not None:
            if event.id != seen:
                yield event.text(before)
            seen, before = event.id, event.state
            if event.state.is_final:
                return
            event = await queue.get()


@contextmanager
def _ended_after(seconds: float, queue: "_LatestEvent") -> Iterator[None]:
    """End the news after so many seconds, if the ``with`` block has not ended by then."""
    end = asyncio.get_running_loop().call_later(seconds, queue.put, None)
    try:
        yield
    finally:
        end.cancel()


def _maybe_event(watched: WatchedJob, record: Any) -> JobEvent | None:
    try:
        return watched.tell(record)
    except Exception:
        # The client connects again, and the page answers with the error.
        _logger.exception("The event of a job could not be made")
        return None


class _LatestEvent:
    """The latest event that was not sent yet. Only the loop's thread uses it."""

    def __init__(self) -> None:
        self._came = asyncio.Event()
        self._latest: JobEvent | None = None
        self._is_over = False

    def put(self, event: JobEvent | None) -> None:
        """Set the latest event; None for the end."""
        if event is None:
            self._is_over = True
        else:
            self._latest = event
        self._came.set()

    async def get(self) -> JobEvent | None:
        """Wait for an event; None at the end."""
        if not self._is_over:
            await self._came.wait()
            self._came.clear()
        latest, self._latest = self._latest, None
        return latest
