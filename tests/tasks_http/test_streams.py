"""A stream tells what is new, and comes to an end."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import pytest

from dewar.loop.async_body import AsyncBody
from dewar.tasks.ledger.records import JobState
from dewar.tasks_http.job_event import JobEvent
from dewar.tasks_http.streams import (
    Streams,
    StreamSettings,
    StreamsStatistics,
    WatchedJob,
    events_of,
)
from dewar.tasks_http.watcher import Subscriber
from eventtools import VirtualLoop
from jobtools import ID, Jobs

QUEUED = JobEvent(JobState.QUEUED, "0")


class Story:
    """A watcher whose jobs change when the test says; None is for a job that is gone."""

    def __init__(self, later: dict[float, JobEvent | None]) -> None:
        self.later = later
        self.followers = 0

    @contextmanager
    def subscribed(self, subscriber: Subscriber) -> Iterator[None]:
        self.followers += 1
        for when, event in self.later.items():
            asyncio.get_running_loop().call_at(when, subscriber.tell, event)
        yield
        self.followers -= 1


def watched(**changed: Any) -> WatchedJob:
    return WatchedJob(**{"id": ID, "first": QUEUED, "tell": lambda event: event, **changed})


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    made = VirtualLoop()
    yield made
    made.close()
    assert made.complaints == []


def told(
    loop: VirtualLoop, later: dict[float, JobEvent | None], life: float = 300.0, **changed: Any
) -> list[tuple[float, str]]:
    """Return the names of the events, and when they came."""
    story = Story(later)

    async def listen() -> list[tuple[float, str]]:
        found = []
        async with aclosing(events_of(watched(**changed), story, life)) as texts:  # type: ignore[arg-type]
            async for text in texts:
                name = text.partition("\n")[0].removeprefix("event: ")
                found.append((loop.time(), name))
        return found

    found = loop.play(listen())
    assert story.followers == 0
    return found


def test_each_change_is_told_until_the_job_has_ended(loop: VirtualLoop) -> None:
    """States, progress, and the end, under their names."""
    later: dict[float, JobEvent | None] = {
        1: JobEvent(JobState.RUNNING, "1"),
        2: JobEvent(JobState.RUNNING, "2"),
        5: JobEvent(JobState.DONE, "3"),
        6: JobEvent(JobState.LOST, "4"),
    }
    assert told(loop, later) == [(0, "state"), (1, "state"), (2, "progress"), (5, "done")]


def test_what_is_not_new_is_not_told(loop: VirtualLoop) -> None:
    """A change of the record that the client cannot see makes no event."""
    assert told(loop, {1: QUEUED, 2: JobEvent(JobState.LOST, "1")}) == [(0, "state"), (2, "lost")]


def test_what_the_client_has_is_not_told_again(loop: VirtualLoop) -> None:
    """It says so by the id of the last event."""
    first = JobEvent(JobState.RUNNING, "1")
    later: dict[float, JobEvent | None] = {1: JobEvent(JobState.RUNNING, "2"), 3: None}
    assert told(loop, later, first=first, seen=first.id) == [(1, "progress")]


@pytest.mark.parametrize("seen", ["", "running-0123456789abcdef"])
def test_what_the_client_may_have_missed_is_told(loop: VirtualLoop, seen: str) -> None:
    """Another id than the present one, and none, have the present told."""
    first = JobEvent(JobState.RUNNING, "1")
    assert told(loop, {1: None}, first=first, seen=seen) == [(0, "state")]


def test_no_stream_lives_for_ever(loop: VirtualLoop) -> None:
    """After its longest life the client connects again, and is asked for access."""
    assert told(loop, {}, life=30) == [(0, "state")]
    assert loop.time() == 30


def test_a_job_that_is_gone_ends_its_stream(loop: VirtualLoop) -> None:
    """The client connects again, and is told then."""
    assert told(loop, {7: None, 8: JobEvent(JobState.DONE, "1")}) == [(0, "state")]
    assert loop.time() == 7


def test_a_job_that_can_not_be_told_ends_its_stream(
    loop: VirtualLoop, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is logged, and the watcher goes on with the others."""

    def fail(_: Any) -> JobEvent:
        raise ZeroDivisionError

    assert told(loop, {7: JobEvent(JobState.RUNNING, "1")}, tell=fail) == [(0, "state")]
    assert loop.time() == 7
    assert "ZeroDivisionError" in caplog.text


def test_a_slow_client_is_told_the_latest(loop: VirtualLoop) -> None:
    """What came in between is old by then, and waits nowhere."""
    later: dict[float, JobEvent | None] = {
        n: JobEvent(JobState.RUNNING, str(n)) for n in range(1, 9)
    }

    async def listen() -> list[str]:
        found = []
        texts = events_of(watched(), Story({**later, 9: None}), 300)  # type: ignore[arg-type]
        async with aclosing(texts):
            async for text in texts:
                found.append(text[-3])
                await asyncio.sleep(5.5)
        return found

    assert loop.play(listen()) == ["0", "5", "8"]


# Places.


def opened(streams: Streams) -> Any:
    return streams.maybe_open(watched(is_over=lambda: True))


def read(stream: Any) -> list[str]:
    return [piece.decode().split("\n")[0] for piece in AsyncBody(encoded(stream))]


async def encoded(stream: Any) -> Any:
    async with aclosing(stream):
        async for piece in stream:
            yield piece.encode()


@pytest.fixture
def tasks() -> Jobs:
    jobs = Jobs()
    jobs.put()
    return jobs


def test_there_are_so_many_places_and_no_more(tasks: Jobs) -> None:
    """A place is free again when its stream is closed, once."""
    streams = Streams(tasks, 2, StreamSettings())
    first, second = opened(streams), opened(streams)
    assert opened(streams) is None
    assert streams.statistics() == StreamsStatistics(open=2, most=2)
    assert (repr(streams), repr(first)) == ("<Streams, 2 of 2 open>", "<Stream open>")
    first.close()
    first.close()
    assert repr(first) == "<Stream closed>"
    assert streams.statistics().open == 1
    third = opened(streams)
    assert opened(streams) is None
    for stream in (second, third):
        assert read(stream)[0] == "retry: 2000"
    assert streams.statistics().open == 0


def test_a_stream_that_has_ended_gives_its_place_back(tasks: Jobs) -> None:
    """Before its client can know of the end."""
    streams = Streams(tasks, 1, StreamSettings())
    stream: Any = streams.maybe_open(watched(first=JobEvent(JobState.DONE, "1")))
    pieces = iter(AsyncBody(encoded(stream)))
    assert next(pieces) == b"retry: 2000\n\n"
    assert b"event: done" in next(pieces)
    assert streams.statistics().open == 1
    assert list(pieces) == []
    assert streams.statistics().open == 0
    stream.close()
    assert streams.statistics().open == 0


def test_a_stream_that_is_dropped_gives_its_place_back(tasks: Jobs) -> None:
    """Also one that nobody ever read or closed."""
    streams = Streams(tasks, 1, StreamSettings())
    for _ in range(3):
        assert opened(streams) is not None
        gc.collect()
    assert streams.statistics().open == 0


def test_the_end_wakes_and_forbids(tasks: Jobs) -> None:
    """What is open ends, nothing new is opened, and serving again begins anew."""
    streams = Streams(tasks, 1, StreamSettings())
    stream: Any = streams.maybe_open(watched(tell=lambda _: QUEUED))
    pieces = AsyncBody(encoded(stream))
    assert [next(pieces).split(b"\n")[0] for _ in range(2)] == [b"retry: 2000", b"event: state"]
    streams.end(30.0)
    assert list(pieces) == []
    assert opened(streams) is None
    streams.begin()
    again = opened(streams)
    assert again is not None
    again.close()


def test_a_stream_from_before_does_not_count_in_the_next_season(tasks: Jobs) -> None:
    """Its place belongs to the process, or the time, in which it was opened."""
    streams = Streams(tasks, 1, StreamSettings())
    old = opened(streams)
    streams.begin()
    new = opened(streams)
    old.close()
    assert streams.statistics().open == 1
    new.close()
    assert streams.statistics().open == 0
