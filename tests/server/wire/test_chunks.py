"""`ChunkedBody` and its short cut give the same, whatever comes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dewar.server.errors import Refusal
from dewar.server.wire.body import BodyBuffer
from dewar.server.wire.chunks import ChunkedBody, maybe_chunked
from dewar.server.wire.limits import Limits
from dewar.server.wire.storage import BodyStorage

LIMITS = Limits(header_bytes=40, header_count=3, body=30, buffered_body=20)
parts = st.sampled_from(
    [
        b"0", b"1", b"a", b"A", b"1f", b"14", b"15", b"00", b"\r\n", b"\r", b"\n", b";", b"x",
        b"0\r\n\r\n", b"1\r\nx\r\n", b"a\r\n0123456789\r\n", b";a=b", b'"', b"X: y\r\n", b" ",
    ]
)  # fmt: skip
bodies = st.lists(parts, max_size=8).map(b"".join)


def through(data: bytes, pieces: int) -> tuple[bytes, int] | str | None:
    buffer = BodyBuffer(LIMITS, BodyStorage(LIMITS))
    body = ChunkedBody(buffer, LIMITS)
    taken = 0
    try:
        for start in range(0, len(data), pieces):
            if not body.is_ended:
                taken += body.take(data[start : start + pieces], 0)
        return (buffer.take().read(), taken) if body.is_ended else None
    except Refusal as refusal:
        return refusal.status
    finally:
        buffer.discard()


@settings(max_examples=600)
@given(bodies, st.integers(1, 7))
def test_the_cut_makes_no_difference(data: bytes, size: int) -> None:
    """Content, end and refusal are those of the whole."""
    assert through(data, size) == through(data, len(data) + 1)


@settings(max_examples=600)
@given(bodies, st.binary(max_size=3))
def test_the_short_cut_gives_what_the_long_way_gives(data: bytes, before: bytes) -> None:
    """Where it gives anything, wherever the body begins."""
    right = through(data, len(data) + 1)
    found: object
    try:
        found = maybe_chunked(before + data, len(before), LIMITS)
    except Refusal as refusal:
        found = refusal.status
    if isinstance(found, tuple):
        found = found[0], found[1] - len(before)
    assert found in (None, right)


def test_a_body_of_one_chunk_takes_the_short_cut() -> None:
    """Or the two tests above would hold of nothing."""
    assert maybe_chunked(b"3\r\nabc\r\n0\r\n\r\nGET", 0, LIMITS) == (b"abc", 13)
    assert maybe_chunked(b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", 0, LIMITS) is None


@pytest.mark.parametrize(
    "line", [b"1;", b"1 ;", b"1;;a", b"1;a=", b"1; =b", b'1;a="b', b'1;a="b"c', b"1;a=b;", b"1 a"]
)
def test_an_extension_without_a_name_or_a_value_is_refused(line: bytes) -> None:
    """On each interpreter: `re` of CPython 3.11.2 has an error with possessive repeats."""
    assert through(line + b"\r\nx\r\n0\r\n\r\n", 100) == "400 Bad Request"


@pytest.mark.parametrize("line", [b"1;a", b"1 ; a = b", b'1;a="b\\"c";d', b"01"])
def test_an_extension_of_the_grammar_is_dropped(line: bytes) -> None:
    """RFC 9112 §7.1.1."""
    size = len(line) + len(b"\r\nx\r\n0\r\n\r\n")
    assert through(line + b"\r\nx\r\n0\r\n\r\n", 100) == (b"x", size)
