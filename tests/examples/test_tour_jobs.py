import io
import threading
import time

import pytest
from examples.tour import jobs

from dewar.server import Server, Settings
from dewar.tasks.webhooks.signing import read_secret, sign
from polling import eventually

SOON = 20.0


@pytest.fixture
def ledger(app, monkeypatch, tmp_path):
    """A ledger for the test, and the app's part in it ended afterwards."""
    monkeypatch.setitem(app.config, "TASKS_LEDGER", tmp_path / "jobs.sqlite3")
    monkeypatch.setitem(app.config, "TASKS_POLL", 0.02)
    monkeypatch.setattr(app, "instance_path", str(tmp_path))
    yield
    jobs.tasks.stop(SOON)


def upload(client, text=b"one two two", name="words.txt"):
    return client.post("/api/jobs", data={"text": (io.BytesIO(text), name)})


def test_an_upload_becomes_a_job_that_counts_its_words(app, client, ledger, waits):
    """202 with an address; there the state, the progress and at last the result."""
    answer = upload(client)
    assert answer.status_code == 202
    assert answer.headers["Location"] == answer.json["links"]["self"]
    assert jobs.tasks.get(answer.json["id"]).result(SOON)["words"] == 3
    seen = client.get(answer.headers["Location"]).json
    assert seen["state"] == "done"
    assert seen["result"] == {
        "name": "words.txt",
        "words": 3,
        "most_common": [["two", 2], ["one", 1]],
    }
    assert seen["progress"] == {"fraction": 1.0, "message": "3 words so far"}
    assert len(waits) == jobs.STEPS


def test_only_the_browser_that_sent_the_file_sees_its_job(app, client, ledger):
    """To another one it is not there, whether it looks or cancels."""
    location = upload(client).headers["Location"]
    assert client.get(location).status_code == 200
    other = app.test_client()
    assert other.get(location).status_code == 404
    assert other.delete(location).status_code == 404


def test_a_job_is_cancelled_before_it_begins(app, client, ledger, hold):
    """The threads are busy; the job that waits is taken back from the page."""
    gate = threading.Event()
    hold(lambda _: gate.wait(SOON))
    locations = [upload(client).headers["Location"] for _ in range(5)]
    assert client.delete(locations[-1]).json["state"] == "cancelled"
    gate.set()
    assert client.get(locations[-1]).json["state"] == "cancelled"


def test_without_a_file_there_is_no_job(client, ledger):
    """The answer is 400, and says what to do."""
    assert client.post("/api/jobs").status_code == 400
    assert upload(client, name="").status_code == 400


def test_a_callback_is_believed_only_with_its_signature(app, client, ledger):
    """Whoever knows the address and not the secret is turned away."""
    body = b'{"id": "1", "task": "count_words", "state": "done", "result": 3}'
    assert client.post("/api/callbacks", data=body).status_code == 400
    assert client.get("/api/callbacks/1").status_code == 404
    headers = sign([read_secret(jobs.callback_secret())], "msg_1", int(time.time()), body)
    assert client.post("/api/callbacks", data=body, headers=headers).status_code == 204
    assert client.get("/api/callbacks/1").json["webhook_id"] == "msg_1"
    assert client.get("/api/callbacks/2").status_code == 404
    assert client.get("/api/callbacks/..").status_code == 404


def test_callbacks_are_kept_where_each_process_finds_them(app, ledger, tmp_path):
    """Not in memory, so it does not matter which process the server asks; the newest 100."""
    with app.app_context():
        for number in range(102):
            jobs.keep_callback(f"job{number:03}", {"id": number})
    kept = sorted(path.stem for path in (tmp_path / "callbacks").iterdir())
    assert kept == [f"job{number:03}" for number in range(2, 102)]


def test_served_the_tour_hears_of_its_own_job(app, client, ledger):
    """The whole way: a job, its end, and the callback over a real connection."""
    server = Server(app, Settings(bind="127.0.0.1:0", threads=4))
    server.start()
    try:
        answer = client.post(
            "/api/jobs",
            data={"text": (io.BytesIO(b"to be or not to be"), "hamlet.txt")},
            base_url=server.addresses[0],
        )
        assert answer.status_code == 202
        callback = f"/api/callbacks/{answer.json['id']}"
        eventually(lambda: client.get(callback).status_code != 404)
        assert client.get(callback).json["state"] == "done"
    finally:
        server.stop(SOON)


def test_a_running_job_is_cancelled(app, client, ledger, hold):
    """It learns of it between two of its steps, and ends."""
    runs, cancelled = threading.Event(), threading.Event()

    def wait(_):
        runs.set()
        assert cancelled.wait(SOON)

    hold(wait)
    location = upload(client).headers["Location"]
    assert runs.wait(SOON)
    assert client.delete(location).status_code == 202
    cancelled.set()
    eventually(lambda: client.get(location).json["state"] == "cancelled")


def test_what_is_hidden_is_not_shown(client):
    """The button for cancelling has a style of its own, which must not show it."""
    assert 'id="cancel" hidden' in client.get("/jobs").text
    with client.get("/static/tour.css") as style:
        assert "[hidden] { display: none !important; }" in style.text
