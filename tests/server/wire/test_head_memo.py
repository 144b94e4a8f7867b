"""`HeadWriter` remembers heads for a second: what it remembers is what it would write."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.server.errors import ApplicationError
from dewar.server.wire.writer import HeadWriter

NAMES = st.sampled_from(
    ["Content-Type", "Content-Length", "content-length", "Date", "Server", "Connection", "X-A"]
)
VALUES = st.sampled_from(["3", "10", "close", "keep-alive", "text/plain", "a\r\nb", "\u20ac"])
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
CALLS = st.tuples(
    st.sampled_from(["200 OK", "204 No Content", "304 Not Modified", "500", "100 Continue"]),
    HEADERS,
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 0, 1, 3, 10]),
)


def outcome(writer: HeadWriter, call: tuple[Any, ...]) -> Any:
    """Return the head, or what was raised."""
    try:
        return writer.compose(*call)
    except (ApplicationError, TypeError, ValueError) as error:
        return type(error), str(error)


@given(st.lists(CALLS, min_size=1, max_size=8))
def test_a_remembered_head_is_the_head_that_would_be_written(calls: list[tuple[Any, ...]]) -> None:
    """Whatever was asked for before."""
    remembering = HeadWriter("Dewar", 0.0)
    for call in [*calls, *calls]:
        assert outcome(remembering, call) == outcome(HeadWriter("Dewar", 0.0), call)


def test_the_date_of_a_remembered_head_is_never_old() -> None:
    """It is forgotten when the date changes."""
    writer = HeadWriter(None, 0.0)
    assert b"00:00:00 GMT" in writer.compose("200 OK", [], True, True, 0)[0]
    writer.refresh(1.0)
    assert b"00:00:01 GMT" in writer.compose("200 OK", [], True, True, 0)[0]


def test_the_memo_is_bounded() -> None:
    """An application whose heads are all different does not fill the memory."""
    writer = HeadWriter(None, 0.0)
    for number in range(2000):
        writer.compose("200 OK", [("X-Number", str(number))], True, True, 0)
    assert len(writer._heads) == 256


@pytest.mark.parametrize("field", [["X-A", "b"], ("X-A", ["b"]), ("X-A",)])
def test_what_can_not_be_remembered_is_judged_all_the_same(field: Any) -> None:
    """A field that is no tuple of two strings is the application's mistake, and is named."""
    with pytest.raises((TypeError, ValueError, ApplicationError)):
        HeadWriter(None, 0.0).compose("200 OK", [field], True, True, 0)
