"""An event as the client parses it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.ledger.records import FINAL, JobState
from dewar.tasks_http.event import HEARTBEAT, Event, retry_text


def parsed(text: str) -> list[tuple[str, str, str]]:
    """Return the events of a stream as name, id and data (WHATWG HTML, 9.2.6)."""
    found, fields = [], {"event": "message", "id": "", "data": ""}
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if fields["data"]:
                found.append((fields["event"], fields["id"], fields["data"].removesuffix("\n")))
            fields = {**fields, "event": "message", "data": ""}
        elif name == "data":
            fields["data"] += value + "\n"
        elif name in ("event", "id"):
            fields[name] = value
    return found


@given(st.text(min_size=1).filter(lambda text: not set(text) <= set("\r\n")))
def test_the_client_gets_the_data_whatever_is_in_it(data: str) -> None:
    """Line ends come through as line feeds; nothing else is changed."""
    event = Event(JobState.RUNNING, data)
    expected = data.replace("\r\n", "\n").replace("\r", "\n")
    assert parsed(event.text(None)) == [("state", event.id, expected)]


@pytest.mark.parametrize("state", JobState)
def test_an_event_is_named_after_what_is_new(state: JobState) -> None:
    """A final state has its own name; any other change is of the state or of the progress."""
    event = Event(state, "{}")
    names = {event.name(None), event.name(JobState.QUEUED), event.name(JobState.RUNNING)}
    assert names == ({state.value} if state in FINAL else {"state"} | ({"progress"}))


def test_the_id_tells_whether_the_client_has_it() -> None:
    """The same data has the same id, and other data another."""
    assert Event(JobState.DONE, "1").id == Event(JobState.DONE, "1").id
    assert Event(JobState.DONE, "1").id != Event(JobState.DONE, "2").id
    assert Event(JobState.DONE, "1").id != Event(JobState.LOST, "1").id


def test_what_is_no_event_is_none_for_the_client() -> None:
    """A heartbeat is a comment; the pause is in whole milliseconds."""
    assert parsed(HEARTBEAT + retry_text(2.5)) == []
    assert retry_text(2.5) == "retry: 2500\n\n"
