"""The stream of a job's events: through the test client, and through a real server."""

import gc
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import create_environ

from dewar import Dewar
from dewar.tasks.ledger.records import JobState
from dewar.tasks.progress import Progress
from dewar.tasks.status import JobStatus
from dewar.tasks_http.blueprint import tasks_blueprint
from jobtools import ID, Jobs
from polling import eventually
from servertools import Client, Serve, Served

SOON = 20.0
STREAMS = 60
HEAD = b"GET /tasks/%s/events HTTP/1.1\r\nHost: x\r\n%s\r\n"


def app_of(jobs: Jobs, **options: Any) -> Dewar:
    app = Dewar("shop")
    app.register_blueprint(tasks_blueprint(jobs, access=lambda job, action: True, **options))
    return app


def ask_head(client: Client, fields: bytes = b"") -> bytes:
    client.send(HEAD % (ID.encode(), fields))
    return client._until(b"\r\n\r\n")


def streaming(served: Served) -> Client | None:
    """Return a new client that is told events, or None where there is no place for it."""
    client = served.client()
    return client if b" 200 " in ask_head(client) else None


def ask(client: Client, fields: bytes = b"") -> Iterator[bytes]:
    """Ask for the events and return the chunks as they come."""
    head = ask_head(client, fields)
    assert b" 200 " in head, head
    return client.chunks()


def test_a_job_that_has_ended_is_told_at_once(jobs: Jobs) -> None:
    """One event with all there is, which no proxy keeps back or keeps for later."""
    client = app_of(jobs).test_client()
    answer = client.get(f"/tasks/{jobs.put(state=JobState.DONE, result=7)}/events")
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    retry, event, rest = answer.text.split("\n\n")
    name, number, data = event.split("\n")
    assert (retry, name, rest) == ("retry: 2000", "event: done", "")
    assert number.startswith("id: done-")
    assert json.loads(data.removeprefix("data: "))["result"] == 7


@pytest.mark.parametrize("show_errors", [False, True])
def test_an_event_shows_an_error_as_the_page_does(jobs: Jobs, show_errors: bool) -> None:
    """Only where the app says so."""
    jobs.show_errors = show_errors
    client = app_of(jobs).test_client()
    error = {"type": "m:E", "text": "no ink", "traceback": ""}
    text = client.get(f"/tasks/{jobs.put(state=JobState.FAILED, error=error)}/events").text
    assert ("no ink" in text, "m:E" in text) == (show_errors, show_errors)


def test_who_has_the_end_does_not_come_back(jobs: Jobs) -> None:
    """204 is what an ``EventSource`` takes for the last word."""
    client = app_of(jobs).test_client()
    url = f"/tasks/{jobs.put(state=JobState.DONE, result=7)}/events"
    last = client.get(url).text.split("id: ")[1].split("\n")[0]
    answer = client.get(url, headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.data) == (204, b"")
    assert client.get(url, headers={"Last-Event-ID": "x"}).text.startswith("retry")


def test_events_come_as_they_happen(jobs: Jobs, serve: Serve) -> None:
    """Each is sent when it is recorded, and the response ends with the job."""
    jobs.put()
    chunks = ask(serve(app_of(jobs)).client())
    assert next(chunks) == b"retry: 2000\n\n"
    assert b"event: state\n" in next(chunks)
    jobs.put(state=JobState.RUNNING, attempts=1)
    assert b'"running"' in next(chunks)
    jobs.put(progress=Progress(0.5, "half"))
    assert next(chunks).startswith(b"event: progress\n")
    jobs.put(state=JobState.FAILED, error={"type": "m:E", "text": "no"})
    assert next(chunks).startswith(b"event: failed\n")
    assert list(chunks) == []


def test_past_the_limit_clients_are_sent_to_the_page(jobs: Jobs, serve: Serve) -> None:
    """503 and when to ask again; a place that gets free is for the next."""
    jobs.put()
    served = serve(app_of(jobs, max_streams=1))
    chunks = ask(served.client())
    assert next(chunks)
    status, fields, body = served.client().get(f"/tasks/{ID}/events")
    assert status.startswith(b"HTTP/1.1 503")
    assert (fields[b"retry-after"], b'"error"' in body) == (b"5", True)
    assert served.client().get(f"/tasks/{ID}")[0] == b"HTTP/1.1 200 OK"
    jobs.put(state=JobState.CANCELLED)
    list(chunks)
    assert served.client().get(f"/tasks/{ID}/events")[0] == b"HTTP/1.1 200 OK"


def test_a_client_that_goes_away_gives_its_place_back(jobs: Jobs, serve: Serve) -> None:
    """Also where there is nothing to tell."""
    jobs.put()
    served = serve(app_of(jobs, max_streams=1, heartbeat=0.01))
    for _ in range(3):
        client = eventually(lambda: streaming(served))
        assert next(client.chunks())
        client.close()


def test_streams_hold_no_threads(jobs: Jobs, serve: Serve) -> None:
    """Far more are open than the server has threads; all hear of the change, from one look."""
    jobs.put()
    served = serve(app_of(jobs, max_streams=STREAMS), threads=2)
    streams = [ask(served.client()) for _ in range(STREAMS)]
    for chunks in streams:
        assert next(chunks) == b"retry: 2000\n\n"
        assert next(chunks).startswith(b"event: state\n")
    assert served.client().get(f"/tasks/{ID}")[0] == b"HTTP/1.1 200 OK"
    jobs.put(state=JobState.DONE)
    for chunks in streams:
        assert next(chunks).startswith(b"event: done\n")
        assert list(chunks) == []
    assert set(jobs.ledger.asked) <= {0, 1}


def test_a_server_that_stops_does_not_wait_for_the_job(jobs: Jobs, serve: Serve) -> None:
    """Streams end, complete, well before the server would cut them."""
    jobs.put()
    served = serve(app_of(jobs), graceful_timeout=60)
    streams = [ask(served.client()) for _ in range(3)]
    for chunks in streams:
        next(chunks)
    stopping = threading.Thread(target=served.server.stop, args=(60,))
    stopping.start()
    for chunks in streams:
        list(chunks)  # to the last chunk, not to a broken connection
    stopping.join(10)
    assert not stopping.is_alive()


def test_a_process_can_serve_again(jobs: Jobs) -> None:
    """What the end of serving forbids, its begin allows."""
    app = app_of(jobs)
    url = f"/tasks/{jobs.put(state=JobState.DONE)}/events"
    client = app.test_client()
    app.begin_serving()
    app.end_serving(1.0)
    assert client.get(url).status_code == 503
    app.begin_serving()
    assert client.get(url).text.startswith("retry")
    app.end_serving(1.0)


@pytest.mark.parametrize("ending", ["drop", "close"])
def test_a_response_that_is_not_read_takes_no_place(jobs: Jobs, ending: str) -> None:
    """Closed or dropped before its first piece, it is as if it had not been."""
    app = app_of(jobs, max_streams=1)
    environ = create_environ(f"/tasks/{jobs.put()}/events")
    answers: list[str] = []
    for _ in range(3):
        body: Any = app(dict(environ), lambda status, *_: answers.append(status))
        if ending == "close":
            body.close()
        del body
    assert answers == ["200 OK"] * 3


def test_a_hook_that_fails_takes_no_place(jobs: Jobs) -> None:
    """The stream that was opened before it is closed, once nobody has it any more."""
    app = app_of(jobs, max_streams=1)
    app.logger.disabled = True  # a record would keep the traceback, and that the stream
    fails = True

    @app.after_request
    def fail(response: Any) -> Any:
        if fails:
            raise ZeroDivisionError
        return response

    jobs.put(state=JobState.DONE)
    client = app.test_client()
    assert client.get(f"/tasks/{ID}/events").status_code == 500
    gc.collect()
    fails = False
    assert client.get(f"/tasks/{ID}/events").text.startswith("retry")


def test_access_is_asked_once_for_a_stream(jobs: Jobs) -> None:
    """Who was let in stays; a new connection is asked anew."""
    asked: list[JobStatus] = []

    def access(job: JobStatus, action: str) -> bool:
        asked.append(job)
        return True

    app = Dewar("shop")
    app.register_blueprint(tasks_blueprint(jobs, access=access))
    jobs.put(state=JobState.DONE)
    for count in (1, 2):
        app.test_client().get(f"/tasks/{ID}/events").close()
        assert len(asked) == count
