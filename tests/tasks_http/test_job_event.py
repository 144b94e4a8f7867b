"""An event as the client parses it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.ledger.records import FINAL, JobState
from dewar.tasks_http.job_event import JobEvent
from eventtools import read_events


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_client_gets_the_data_whatever_is_in_it(data: str) -> None:
    """Line ends come through as line feeds; nothing else is changed."""
    event = JobEvent(JobState.RUNNING, data)
    expected = data.replace("\r\n", "\n").replace("\r", "\n")
    assert read_events(event.text(None)).events == [("state", expected, event.id)]


@pytest.mark.parametrize("state", JobState)
def test_an_event_is_named_after_what_is_new(state: JobState) -> None:
    """A final state has its own name; any other change is of the state or of the progress."""
    event = JobEvent(state, "{}")
    names = {event.name(None), event.name(JobState.QUEUED), event.name(JobState.RUNNING)}
    assert names == ({state.value} if state in FINAL else {"state"} | ({"progress"}))


def test_the_id_tells_whether_the_client_has_it() -> None:
    """The same data has the same id, and other data another."""
    assert JobEvent(JobState.DONE, "1").id == JobEvent(JobState.DONE, "1").id
    assert JobEvent(JobState.DONE, "1").id != JobEvent(JobState.DONE, "2").id
    assert JobEvent(JobState.DONE, "1").id != JobEvent(JobState.LOST, "1").id
