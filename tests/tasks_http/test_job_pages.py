"""The pages of a job: what they say, and to whom."""

import logging
import re
from typing import Any

import pytest
from werkzeug.test import Client

from dewar import Blueprint, Dewar, session
from dewar.json.provider import DefaultJSONProvider
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.tasks.directory import TaskDirectory
from dewar.tasks.errors import LedgerError, TasksError
from dewar.tasks.ledger.records import JobState
from dewar.tasks.progress import Progress
from dewar.tasks.status import JobStatus
from dewar.tasks.stored_job import StoredJob
from dewar.tasks_http.blueprint import tasks_blueprint
from dewar.testing.client import DewarClient
from jobtools import ID, NOON, Jobs


def everybody(job: JobStatus, action: str) -> bool:
    return True


def client_of(jobs: Jobs, access: Any = everybody, **options: Any) -> DewarClient:
    app = Dewar("shop")
    app.secret_key = "k"
    app.register_blueprint(tasks_blueprint(jobs, access=access, **options))
    return app.test_client()


def test_a_job_that_waits_is_shown(jobs: Jobs) -> None:
    """What the ledger knows, where to go on, and when to ask again; nobody keeps it."""
    client = client_of(jobs)
    answer = client.get(f"/tasks/{jobs.put()}")
    assert answer.status_code == 200
    assert answer.json == {
        "id": ID,
        "task": "resize",
        "state": "queued",
        "progress": None,
        "attempts": 0,
        "created": NOON.isoformat(),
        "started": None,
        "finished": None,
        "links": {
            "self": f"/tasks/{ID}",
            "events": f"/tasks/{ID}/events",
            "cancel": f"/tasks/{ID}",
        },
    }
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Cache-Control"] == "no-store"


def test_progress_is_shown(jobs: Jobs) -> None:
    """As the job told it."""
    client = client_of(jobs)
    jobs.put(state=JobState.RUNNING, attempts=1, started=NOON, progress=Progress(0.4, "half"))
    shown: Any = client.get(f"/tasks/{ID}").json
    assert shown["state"] == "running"
    assert shown["progress"] == {"fraction": 0.4, "message": "half"}


def test_a_result_is_shown_and_final(jobs: Jobs) -> None:
    """Nothing needs to be asked again."""
    client = client_of(jobs)
    answer = client.get(f"/tasks/{jobs.put(state=JobState.DONE, result={'at': NOON})}")
    shown: Any = answer.json
    assert shown["result"] == {"at": NOON.isoformat()}
    assert "Retry-After" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


ERROR = {"type": "m:E", "text": "no ink", "traceback": "File secret.py", "args": ["secret"]}


def test_an_error_is_hidden_unless_the_app_shows_it(jobs: Jobs) -> None:
    """Its text may name hosts, files and data of others."""
    answer = client_of(jobs).get(f"/tasks/{jobs.put(state=JobState.FAILED, error=ERROR)}")
    shown: Any = answer.json
    assert shown["error"] == {"type": None, "message": "The job ended without a result."}
    assert not {"secret", "ink", "m:E"} & set(re.findall(r"[\w:]+", answer.text))


def test_an_error_is_shown_without_its_traceback(jobs: Jobs) -> None:
    """The type and the message, and nothing of the code."""
    jobs.show_errors = True
    answer = client_of(jobs).get(f"/tasks/{jobs.put(state=JobState.FAILED, error=ERROR)}")
    shown: Any = answer.json
    assert shown["error"] == {"type": "m:E", "message": "no ink"}
    assert "secret" not in answer.text


def test_the_app_s_json_is_used(jobs: Jobs) -> None:
    """A provider of the app's own decides how JSON looks."""

    class Loud(DefaultJSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return super().dumps(obj, **kwargs).upper()

    app = Dewar("shop")
    app.json = Loud(app)
    app.register_blueprint(tasks_blueprint(jobs, access=everybody))
    for page in ("", "/events"):
        assert (
            '"RESIZE"'
            in app.test_client().get(f"/tasks/{jobs.put(state=JobState.DONE)}{page}").text
        )


@pytest.mark.parametrize("path", ["", "/events"])
def test_head_and_options_are_answered(jobs: Jobs, path: str) -> None:
    """HEAD says what GET would, and OPTIONS what may be done."""
    client = client_of(jobs)
    url = f"/tasks/{jobs.put()}{path}"
    head = client.head(url)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Cache-Control"] == "no-store"
    allowed = set(client.options(url).headers["Allow"].split(", "))
    assert allowed == {"GET", "HEAD", "OPTIONS"} | (set() if path else {"DELETE"})


UNKNOWN = {"error": "There is no such job."}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("name", ["b" * 36, "x", "a" * 65, "a%00b", "%C3%A9", "..", "a.b", "a b"])
def test_what_is_no_job_is_not_found(jobs: Jobs, method: str, name: str) -> None:
    """In JSON; what cannot be an id is not looked up."""
    client = client_of(jobs)
    jobs.put()
    answer = client.open(f"/tasks/{name}", method=method)
    assert (answer.status_code, answer.json) == (404, UNKNOWN)
    assert jobs.looks == (1 if name in ("b" * 36, "x") else 0)
    if method == "GET":
        assert client.get(f"/tasks/{name}/events").json == UNKNOWN


def test_who_may_not_gets_what_is_said_of_an_unknown_job(jobs: Jobs) -> None:
    """Nobody learns which ids there are: the answers are the same, field by field."""
    client = client_of(jobs, access=lambda job, action: False)
    jobs.put()
    for path, method in (("", "GET"), ("/events", "GET"), ("", "DELETE")):
        denied = client.open(f"/tasks/{ID}{path}", method=method)
        unknown = client.open(f"/tasks/{'b' * 36}{path}", method=method)
        assert denied.status_code == unknown.status_code == 404
        assert denied.json == unknown.json == UNKNOWN
        assert dict(denied.headers) == dict(unknown.headers)
    assert jobs.jobs[ID].state is JobState.QUEUED


def test_the_app_decides_in_the_request_what_for(jobs: Jobs) -> None:
    """The function sees the job, the action and the session."""
    asked = []

    def access(job: JobStatus, action: str) -> bool:
        asked.append((job.id, action))
        return "user" in session and action == "see"

    client = client_of(jobs, access)
    jobs.put(state=JobState.RUNNING)
    assert client.get(f"/tasks/{ID}").status_code == 404
    with client.session_transaction() as stored:
        stored["user"] = "ada"
    assert client.get(f"/tasks/{ID}").status_code == 200
    assert client.delete(f"/tasks/{ID}").status_code == 404
    assert [action for _, action in asked] == ["see", "see", "cancel"]
    assert jobs.jobs[ID].state is JobState.RUNNING


def test_an_async_function_may_decide(jobs: Jobs) -> None:
    """It is awaited; being called is no permission."""

    async def nobody(job: JobStatus, action: str) -> bool:
        return False

    assert client_of(jobs, nobody).get(f"/tasks/{jobs.put()}").status_code == 404


def test_a_coroutine_is_no_permission(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    """A function that returns one by mistake lets nobody in, and is told in the log."""

    async def check() -> bool:
        return False

    coroutines = []

    def access(job: JobStatus, action: str) -> Any:
        coroutines.append(check())
        return coroutines[-1]

    answer = client_of(jobs, access).get(f"/tasks/{jobs.put()}")
    coroutines[0].close()
    assert (answer.status_code, answer.json) == (500, {"error": "The job cannot be shown."})
    assert "access=" in caplog.text


# Cancelling.


def test_a_job_that_waits_is_cancelled(jobs: Jobs) -> None:
    """At once; asking again gives the same answer."""
    client = client_of(jobs)
    jobs.put()
    for _ in range(2):
        answer = client.delete(f"/tasks/{ID}")
        shown: Any = answer.json
        assert (answer.status_code, shown["state"]) == (200, "cancelled")
        assert "Retry-After" not in answer.headers


def test_a_job_that_runs_is_stopped(jobs: Jobs) -> None:
    """200 where it has stopped, 202 where that takes time."""
    client = client_of(jobs)
    jobs.put(state=JobState.RUNNING)
    jobs.stopped = JobState.RUNNING
    answer = client.delete(f"/tasks/{ID}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")
    jobs.stopped = JobState.CANCELLED
    assert client.delete(f"/tasks/{ID}").status_code == 200


def test_a_job_that_can_t_be_stopped_goes_on(jobs: Jobs) -> None:
    """409, with the reason."""
    client = client_of(jobs)
    jobs.put(state=JobState.RUNNING)
    jobs.can_stop = False
    answer = client.delete(f"/tasks/{ID}")
    shown: Any = answer.json
    assert answer.status_code == 409
    assert shown["state"] == "running"
    assert shown["error"] == "The engine 'threads' cannot stop a job that runs. Use processes."
    assert shown["links"]["self"] == f"/tasks/{ID}"


def test_a_job_that_is_not_cancelled_goes_on(jobs: Jobs) -> None:
    """409 too where the ledger says no, without a reason."""
    client = client_of(jobs)
    jobs.put(state=JobState.RUNNING)
    jobs.cancel = lambda id, *, running=False: False  # type: ignore[method-assign]
    answer = client.delete(f"/tasks/{ID}")
    shown: Any = answer.json
    assert (answer.status_code, shown["state"]) == (409, "running")


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.LOST])
def test_what_has_ended_is_not_cancelled(jobs: Jobs, state: JobState) -> None:
    """409 with how it ended: before the request, or while it was made."""
    client = client_of(jobs)
    jobs.put(state=state)
    for _ in range(2):
        answer = client.delete(f"/tasks/{ID}")
        shown: Any = answer.json
        assert (answer.status_code, shown["state"]) == (409, state.value)
        assert state.value in shown["error"]
        jobs.put(state=JobState.RUNNING)
        jobs.stopped = state


# Errors.


def test_where_the_ledger_fails_the_client_asks_again(
    jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    """503 in JSON; the reason is for the log alone."""
    client = client_of(jobs)
    jobs.failing = LedgerError("/var/secret.sqlite", "disk I/O error")
    answer = client.get(f"/tasks/{jobs.put()}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "secret" not in answer.text
    assert "secret" in caplog.text


def test_what_goes_wrong_stays_in_the_house(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    """500 in JSON, and the traceback in the log."""
    client = client_of(jobs)
    jobs.failing = TasksError("secret")
    with caplog.at_level(logging.ERROR, "dewar.tasks"):
        answer = client.get(f"/tasks/{jobs.put()}")
    assert (answer.status_code, answer.json) == (500, {"error": "The job cannot be shown."})
    assert "secret" in caplog.text


# Where the pages are.


class Links:
    """A backend that knows only the URLs of jobs."""

    wait_for = None

    def __init__(self, app: Dewar) -> None:
        self.directory = TaskDirectory({})
        self.directory.app = app


def accepting(app: Dewar, jobs: Jobs, owner: Dewar | None = None) -> Dewar:
    """Give an app a view that accepts a job of this app, or of another."""

    @app.post("/pictures")
    def add() -> Any:
        return StoredJob(jobs.put(), "resize", Links(owner or app)).accepted()  # type: ignore[arg-type]

    return app


@pytest.mark.parametrize(
    ("options", "prefix"),
    [
        ({}, "/tasks"),
        ({"url_prefix": "/jobs"}, "/jobs"),
        ({"url_prefix": "/a/b", "name": "work"}, "/a/b"),
    ],
)
def test_an_accepted_job_leads_to_its_page(
    jobs: Jobs, options: dict[str, str], prefix: str
) -> None:
    """202 with ``Location``; the page is there, and leads to itself."""
    app = accepting(Dewar("shop"), jobs)
    app.register_blueprint(tasks_blueprint(jobs, access=everybody, **options))  # type: ignore[arg-type]
    client = app.test_client()
    accepted = client.post("/pictures")
    told: Any = accepted.json
    assert (accepted.status_code, accepted.location) == (202, f"{prefix}/{ID}")
    shown: Any = client.get(accepted.location).json
    assert shown["links"] == told["links"]


def test_a_nested_and_renamed_blueprint_is_found(jobs: Jobs) -> None:
    """Links go by the name and the prefix of the registration."""
    app = accepting(Dewar("shop"), jobs)
    outer = Blueprint("api", __name__, url_prefix="/api")
    inner = tasks_blueprint(jobs, access=everybody)
    outer.register_blueprint(inner, name="jobs", url_prefix="/j")
    app.register_blueprint(outer)
    location = app.test_client().post("/pictures").location
    assert location == f"/api/j/{ID}"
    shown: Any = app.test_client().get(f"{location}").json
    assert shown["links"]["events"] == f"/api/j/{ID}/events"


def test_links_lead_below_where_the_app_is_mounted(jobs: Jobs) -> None:
    """``SCRIPT_NAME`` goes before them, from each page and on the stream."""
    app = accepting(Dewar("shop"), jobs)
    app.register_blueprint(tasks_blueprint(jobs, access=everybody))
    outer = Dewar("outer")
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/shop": app})  # type: ignore[method-assign]
    client = outer.test_client()
    location = client.post("/shop/pictures").location
    assert location == f"/shop/tasks/{ID}"
    jobs.put(state=JobState.DONE)
    assert f'"self":"{location}"' in client.get(f"{location}/events").text.replace(" ", "")


def test_links_lead_to_the_job_s_app_from_a_request_of_another(jobs: Jobs) -> None:
    """An app may hand work to one that is mounted beside it; that one has the pages."""
    worker = Dewar("worker")
    shop = accepting(Dewar("shop"), jobs, worker)
    worker.register_blueprint(tasks_blueprint(jobs, access=everybody))
    shop.register_blueprint(tasks_blueprint(Jobs(), access=everybody, url_prefix="/own"))
    shop.mount("/worker", worker)
    outer = DispatcherMiddleware(Dewar("outer"), {"/shop": shop})
    accepted = Client(outer).post("/shop/pictures")
    assert accepted.location == f"/shop/worker/tasks/{ID}"
    shown: Any = Client(outer).get(accepted.location).json
    assert shown["links"]["self"] == accepted.location


def test_what_the_function_does_not_raise_is_its_own(jobs: Jobs) -> None:
    """An error of the app's in `access` is an error of the app, and no 404."""

    def access(job: JobStatus, action: str) -> bool:
        raise ZeroDivisionError

    app = Dewar("shop")
    app.register_blueprint(tasks_blueprint(jobs, access=access))
    app.testing = True
    with pytest.raises(ZeroDivisionError):
        app.test_client().get(f"/tasks/{jobs.put()}")


def test_access_has_to_be_said(jobs: Jobs) -> None:
    """There is no default by which strangers see jobs."""
    with pytest.raises(TypeError, match="access"):
        tasks_blueprint(jobs)  # type: ignore[call-arg]
