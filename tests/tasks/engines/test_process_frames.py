"""Messages on a stream of bytes, and when a process is started again."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.engines.processes.frames import Frames, Kind, frame
from dewar.tasks.engines.processes.startups import Startups

messages = st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=50)), max_size=8)


@given(messages, st.lists(st.integers(0, 400), max_size=10))
def test_messages_arrive_however_the_stream_is_cut(
    sent: list[tuple[Kind, bytes]], cuts: list[int]
) -> None:
    """Whole, in their order, and as soon as they are complete."""
    stream = b"".join(frame(kind, payload) for kind, payload in sent)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    frames = Frames()
    received = []
    for start, end in pairwise(edges):
        received += frames.feed(stream[start:end])
        whole = sum(
            len(b"".join(frame(*message) for message in sent[: count + 1])) <= end
            for count in range(len(sent))
        )
        assert len(received) == whole
    assert received == sent
    assert repr(frames) == "<Frames, 0 bytes of the next>"


def test_deaths_in_a_row_end_the_attempts() -> None:
    """Each waits longer than the one before; the fourth is the last."""
    startups = Startups()
    pauses = []
    for now in (10.0, 20.0, 30.0):
        startups.note_death(now)
        assert not startups.is_hopeless
        pauses.append(startups.until - now)
    assert pauses == sorted(pauses)
    assert pauses[0] > 0
    startups.note_death(40.0)
    assert startups.is_hopeless
    assert repr(startups) == "<Startups, 4 deaths in a row>"


def test_one_that_gets_ready_begins_the_count_anew() -> None:
    """What was wrong is right again."""
    startups = Startups()
    for _ in range(10):
        startups.note_death(1.0)
        startups.note_ready()
    assert not startups.is_hopeless
    assert startups.until == 0.0
