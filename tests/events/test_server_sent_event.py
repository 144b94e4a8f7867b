"""An event as the client reads it."""

import json
import math
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dewar import DewarError, ServerSentEvent
from dewar.events.event import KEEP_ALIVE_COMMENT, event_text
from eventtools import Received, read_events

_ANY = st.text(st.characters(exclude_categories=["Cs"]))
_LINES = st.lists(
    st.sampled_from(["", " ", "a", ":", "data: x", "\r", "\n", "\r\n", "\0", "\ufeff"])
)
_TEXT = _ANY | _LINES.map("".join)
_LINE = _TEXT.map(lambda text: re.sub("[\r\n]", "", text))
_ID = _LINE.map(lambda text: text.replace("\0", ""))


def text(event: ServerSentEvent) -> str:
    return event_text(event, json.dumps)


def normal(data: str) -> str:
    """Return a text with the line ends that all of them become."""
    return re.sub("\r\n|\r", "\n", data)


@given(data=_TEXT, event=st.none() | _LINE, id=st.none() | _ID, comment=st.none() | _TEXT)
@example(data="", event=None, id=None, comment=None)
@example(data="\n", event="", id="", comment="\r\n")
@example(data=" a\r\r\nb\n", event=" e", id=" 1", comment="")
def test_the_client_gets_what_was_sent(
    data: str, event: str | None, id: str | None, comment: str | None
) -> None:
    """Line ends become line feeds, and all else comes through as it is, in one event."""
    sent = ServerSentEvent(data, event=event, id=id, comment=comment)
    read = read_events(text(sent))
    assert read.events == [Received(event or "message", normal(data), id or "")]
    assert read.comments == (
        [] if comment is None else [f" {c}" for c in normal(comment).split("\n")]
    )


@given(st.lists(st.builds(ServerSentEvent, _TEXT, event=st.none() | _LINE, id=st.none() | _ID)))
def test_events_do_not_run_into_each_other(events: list[ServerSentEvent]) -> None:
    """Each is one for the client, and an id stays until there is another."""
    read = read_events("".join(text(event) for event in events))
    last, expected = "", []
    for event in events:
        last = last if event.id is None else str(event.id)
        expected.append(Received(event.event or "message", normal(event.data), last))
    assert read.events == expected


@pytest.mark.parametrize("data", [{"a": [1, None]}, [1, 2], 7, 1.5, True, {}, []])
def test_what_is_no_text_is_sent_as_json(data: Any) -> None:
    """By what writes the app's JSON."""
    (event,) = read_events(text(ServerSentEvent(data))).events
    assert json.loads(event.data) == data


def test_json_may_have_lines() -> None:
    """As with an indenting provider."""
    sent = event_text(ServerSentEvent({"a": 1}), lambda data: json.dumps(data, indent=1))
    (event,) = read_events(sent).events
    assert json.loads(event.data) == {"a": 1}


@pytest.mark.parametrize(("seconds", "told"), [(0, 0), (2.5, 2500), (1.001, 1001), (0.0004, 0)])
def test_the_pause_is_in_seconds_here_and_in_milliseconds_there(seconds: float, told: int) -> None:
    """Clients take nothing but digits."""
    read = read_events(text(ServerSentEvent("x", retry=seconds)))
    assert (read.retry, len(read.events)) == (told, 1)


def test_an_event_without_data_is_none_for_the_page() -> None:
    """But the id, the pause and the comment are taken."""
    read = read_events(text(ServerSentEvent(id=7, retry=1, comment="hello")))
    assert (read.events, read.last_id, read.retry, read.comments) == ([], "7", 1000, [" hello"])
    assert read_events(KEEP_ALIVE_COMMENT).events == []


def test_a_line_break_is_one_of_three() -> None:
    """What Python takes for one besides them is a character like any other."""
    data = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g"
    assert text(ServerSentEvent(data, event="e\u2028", id="\x85")).count("\n") == 4
    assert read_events(text(ServerSentEvent(data))).events[0].data == data


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"data": "x", "event": "a\nb"}, "event='a\\nb' has a line break"),
        ({"data": "x", "event": "a\r"}, "line break"),
        ({"data": "x", "id": "\r\n"}, "id='\\r\\n' has a line break"),
        ({"data": "x", "id": "1\0"}, "id='1\\x00' has a NUL"),
        ({"data": "x", "retry": -1}, "retry=-1 should be seconds"),
        ({"data": "x", "retry": math.nan}, "retry=nan should be seconds"),
        ({"data": "x", "retry": math.inf}, "retry=inf should be seconds"),
        ({"event": "x"}, "ServerSentEvent('', event='x')"),
        ({}, "The event says nothing"),
    ],
)
def test_what_the_client_would_not_get_is_refused(fields: dict[str, Any], said: str) -> None:
    """Where it is written, with what is wrong and how it is right."""
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        ServerSentEvent(**fields)
    assert isinstance(caught.value, DewarError)


def test_an_event_does_not_change() -> None:
    """It may be kept, compared and sent to many."""
    event = ServerSentEvent("x", id=1)
    with pytest.raises(AttributeError):
        event.data = "y"  # type: ignore[misc]
    assert event == ServerSentEvent("x", id=1)
    assert not hasattr(event, "__dict__")
