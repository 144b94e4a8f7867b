"""Messages on a stream of bytes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.engines.processes.messages import FrameKind, Frames, frame

messages = st.lists(st.tuples(st.sampled_from(FrameKind), st.binary(max_size=50)), max_size=8)


@given(messages, st.lists(st.integers(0, 400), max_size=10))
def test_messages_arrive_however_the_stream_is_cut(
    sent: list[tuple[FrameKind, bytes]], cuts: list[int]
) -> None:
    """They are whole, in order, and there as soon as they are complete."""
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
