import json
import threading

import pytest

from callbacktools import Receiver, answer
from dewar.tasks.errors import CallbackRefused, TaskSetupError
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import AttemptStart, JobState, NewJob, Outcome
from dewar.tasks.settings import TasksSettings
from dewar.tasks.webhooks import new_secret, verify
from dewar.tasks.webhooks.records import DeliveryState
from dewar.tasks.webhooks.webhooks import Webhooks

SECRET = new_secret()


@pytest.fixture
def ledger(tmp_path):
    """A ledger in a file."""
    ledger = open_ledger(tmp_path / "jobs.sqlite")
    yield ledger
    ledger.close()


def webhooks(ledger, secrets=(SECRET,), allow=("127.0.0.1",)):
    return Webhooks(ledger, TasksSettings(callback_secrets=secrets, callback_allow=allow), "o")


def end_job(ledger, id, url):
    """Have a job end that has a callback."""
    body = json.dumps({"id": id, "state": "done", "result": 7})
    written = ledger.write(
        [
            NewJob(
                id=id,
                task="t",
                arguments="[[],{}]",
                created=1.0,
                due=1.0,
                owner="o",
                callback=url,
            ),
            AttemptStart(id=id, owner="o", attempt=1, at=2.0),
            Outcome(
                id=id,
                owner="o",
                attempt=1,
                state=JobState.DONE,
                at=3.0,
                result="7",
                callback_body=body,
            ),
        ]
    )
    assert not written.fenced


@pytest.mark.parametrize("status", [200, 410])
def test_a_job_that_ends_is_told(ledger, status):
    """The receiver can verify the callback, and can disable the URL."""
    receiver = Receiver(answer(status))
    made = webhooks(ledger)
    try:
        made.check(receiver.url())
        made.start()
        end_job(ledger, "one", receiver.url())
        made.wake()
        (came,) = receiver.wait(1)
        assert verify(came.body, came.headers, SECRET)["id"] == "one"
        assert made.stop(20)
        (kept,) = made.outbox.list()
        assert kept.job_id == "one"
        assert kept.id == came.headers["webhook-id"]
        if status == 200:
            assert kept.state is DeliveryState.DELIVERED
            made.check(receiver.url())
        else:
            assert kept.state is DeliveryState.DISABLED
            with pytest.raises(CallbackRefused, match="410 Gone"):
                made.check(receiver.url())
    finally:
        receiver.close()
        made.stop(20)


def test_without_a_secret_no_callback_is_accepted(ledger):
    """The repair is in the message, and no thread is started."""
    made = webhooks(ledger, secrets=())
    before = threading.active_count()
    made.start()
    assert threading.active_count() == before
    with pytest.raises(CallbackRefused, match=r"TASKS_CALLBACK_SECRETS=\[secret\]"):
        made.check("https://example.com/")
    assert made.statistics().state == "new"
    assert made.stop()


@pytest.mark.parametrize("url", ["http://127.0.0.2/", "ftp://127.0.0.1/", "http://localhost:1/"])
def test_what_may_not_be_called_is_refused_at_once(ledger, url):
    """Before there is a job."""
    with pytest.raises(CallbackRefused):
        webhooks(ledger, allow=()).check(url)


def test_settings_that_make_no_sense_are_refused_at_once(ledger):
    """Not when the first job ends."""
    with pytest.raises(TaskSetupError):
        webhooks(ledger, secrets=["hunter2"])
    with pytest.raises(TaskSetupError):
        webhooks(ledger, allow=["10.0.0.1/8"])


def test_it_shows_no_secret(ledger):
    """In a log or a page."""
    assert "whsec_" not in repr(webhooks(ledger))
