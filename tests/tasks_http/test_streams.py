"""A stream tells what is new, and comes to an end."""

import gc
from collections.abc import Callable
from typing import Any

import pytest

from dewar.tasks.errors import UnknownJob
from dewar.tasks.ledger.records import JobState
from dewar.tasks_http.event import HEARTBEAT, Event
from dewar.tasks_http.streams import Pace, Streams, StreamsStatistics, Watched, narrate


class Story:
    """A job, a clock that only waiting moves, and what happens at which time."""

    def __init__(self, *events: Event) -> None:
        self.now = 0.0
        self.event = events[0] if events else Event(JobState.QUEUED, "0")
        self.number = 0
        self.looks = 0
        self.later: dict[float, Callable[[], Any]] = {}
        self.is_over = False

    def tell(self, state: JobState, data: str) -> None:
        self.event = Event(state, data)
        self.number += 1

    def changes(self) -> int:
        return self.number

    def look(self) -> Event:
        self.looks += 1
        return self.event

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        happens = self.later.pop(self.now, None)
        return happens is not None and happens() is True

    def pieces(self, seen: str = "", **pace: float) -> list[str]:
        watched = Watched(
            changes=self.changes,
            look=self.look,
            poll=1.0,
            seen=seen,
            is_over=lambda: self.is_over,
        )
        return list(narrate(watched, Pace(**pace), self.wait, lambda: self.now))


def names(pieces: list[str]) -> list[str]:
    return [piece.split("\n")[0].removeprefix("event: ") for piece in pieces]


def test_each_change_is_told_until_the_job_has_ended() -> None:
    """States, progress, and the end, under their names."""
    story = Story()
    story.later = {
        1: lambda: story.tell(JobState.RUNNING, "1"),
        2: lambda: story.tell(JobState.RUNNING, "2"),
        5: lambda: story.tell(JobState.DONE, "3"),
    }
    assert names(story.pieces()) == ["retry: 2000", "state", "state", "progress", "done"]
    assert story.now == 5


def test_a_job_is_looked_up_only_after_a_change() -> None:
    """While nobody writes, the ledger is asked for nothing but that."""
    story = Story()
    story.later = {60: lambda: story.tell(JobState.FAILED, "1")}
    story.pieces()
    assert (story.looks, story.now) == (2, 60)


def test_what_others_write_is_not_told() -> None:
    """A change of the ledger that is none of the job makes no event."""
    story = Story()
    story.later = {
        1: lambda: story.tell(JobState.QUEUED, "0"),
        2: lambda: story.tell(JobState.LOST, "1"),
    }
    assert names(story.pieces()) == ["retry: 2000", "state", "lost"]


def test_silence_is_broken_by_comments() -> None:
    """One after each 15 seconds without an event."""
    story = Story()
    story.later = {
        20: lambda: story.tell(JobState.RUNNING, "1"),
        36: lambda: story.tell(JobState.DONE, "2"),
    }
    pieces = story.pieces()
    assert names(pieces) == [
        "retry: 2000",
        "state",
        ": still here",
        "state",
        ": still here",
        "done",
    ]
    assert pieces.count(HEARTBEAT) == 2


def test_what_the_client_has_is_not_told_again() -> None:
    """It says so by the id of the last event."""
    story = Story(Event(JobState.RUNNING, "1"))
    story.later = {1: lambda: story.tell(JobState.RUNNING, "2"), 3: lambda: True}
    assert names(story.pieces(seen=story.event.id)) == ["retry: 2000", "progress"]


@pytest.mark.parametrize("seen", ["", "running-0123456789abcdef"])
def test_what_the_client_may_have_missed_is_told(seen: str) -> None:
    """Another id than the present one, and none, have the present told."""
    story = Story(Event(JobState.RUNNING, "1"))
    story.later = {1: lambda: True}
    assert names(story.pieces(seen=seen)) == ["retry: 2000", "state"]


def test_no_stream_lives_for_ever() -> None:
    """After its longest life its thread is free again."""
    story = Story()
    story.pieces(life=30)
    assert story.now == 30


def test_a_stream_ends_with_its_process() -> None:
    """At once where the app is told, and at the next look where only the server knows."""
    story = Story()
    story.later = {3: lambda: True}
    story.pieces()
    assert story.now == 3
    story.later = {4: lambda: setattr(story, "is_over", True)}
    story.pieces()
    assert story.now == 4


def opened(streams: Streams, look: Callable[[], Event] | None = None) -> Any:
    story = Story()
    return streams.maybe_open(Watched(changes=story.changes, look=look or story.look, poll=0.001))


def test_there_are_so_many_places_and_no_more() -> None:
    """A place is free again when its stream is closed, once."""
    streams = Streams(2, Pace())
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
        assert next(stream) == "retry: 2000\n\n"
        stream.close()
    assert streams.statistics().open == 0


def test_a_stream_that_has_ended_gives_its_place_back() -> None:
    """Before its client can know of the end."""
    streams = Streams(1, Pace())
    stream = opened(streams, lambda: Event(JobState.DONE, "1"))
    assert names(list(stream)) == ["retry: 2000", "done"]
    assert streams.statistics().open == 0
    stream.close()
    assert streams.statistics().open == 0


def test_a_stream_that_is_dropped_gives_its_place_back() -> None:
    """Also one that nobody ever read or closed."""
    streams = Streams(1, Pace())
    for _ in range(3):
        assert opened(streams) is not None
        gc.collect()
    assert streams.statistics().open == 0


def test_the_end_wakes_and_forbids() -> None:
    """What is open ends, nothing new is opened, and serving again begins anew."""
    streams = Streams(1, Pace())
    stream = opened(streams)
    streams.end(30.0)
    assert names(list(stream)) == ["retry: 2000", "state"]
    stream.close()
    assert opened(streams) is None
    streams.begin()
    again = opened(streams)
    assert again is not None
    again.close()


def test_a_stream_from_before_does_not_count_in_the_next_season() -> None:
    """Its place belongs to the process, or the time, in which it was opened."""
    streams = Streams(1, Pace())
    old = opened(streams)
    streams.begin()
    new = opened(streams)
    old.close()
    assert streams.statistics().open == 1
    new.close()
    assert streams.statistics().open == 0


def test_a_job_that_is_purged_ends_its_stream() -> None:
    """The client connects again, and is told then."""

    def look() -> Event:
        raise UnknownJob("gone")

    stream = opened(Streams(1, Pace()), look)
    assert list(stream) == ["retry: 2000\n\n"]
    stream.close()
