"""Messages on a stream of bytes, and when a process is started again."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.engines.processes.backoff import StartupBackoff
from dewar.tasks.engines.processes.frames import FrameKind, Frames, frame

messages = st.lists(st.tuples(st.sampled_from(FrameKind), st.binary(max_size=50)), max_size=8)


@given(messages, st.lists(st.integers(0, 400), max_size=10))
def test_messages_arrive_however_the_stream_is_cut(
    sent: list[tuple[FrameKind, bytes]], cuts: list[int]
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
    backoff = StartupBackoff()
    pauses = []
    for now in (10.0, 20.0, 30.0):
        backoff.note_failure(now)
        assert not backoff.is_exhausted
        pauses.append(backoff.until - now)
    assert pauses == sorted(pauses)
    assert pauses[0] > 0
    backoff.note_failure(40.0)
    assert backoff.is_exhausted
    assert repr(backoff) == "<StartupBackoff, 4 failures in a row>"


def test_one_that_gets_ready_begins_the_count_anew() -> None:
    """What was wrong is right again."""
    backoff = StartupBackoff()
    for _ in range(10):
        backoff.note_failure(1.0)
        backoff.note_success()
    assert not backoff.is_exhausted
    assert backoff.until == 0.0
