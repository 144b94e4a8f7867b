"""Jobs as lines, as a whole and as JSON."""

import json
from dataclasses import replace

import click
import pytest

from dewar.cli.job_texts import counts_text, details, header, job_json, job_line
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.webhooks.records import Delivery, DeliveryState

ID = "a" * 36
JOB = JobRecord(
    id=ID,
    task="resize",
    state=JobState.QUEUED,
    arguments='[["a.png"], {"width": 800}]',
    context="secret",
    owner=None,
    attempts=0,
    idempotent=True,
    created=0.0,
    due=60.0,
    started=None,
    finished=None,
    fraction=None,
    message=None,
    result=None,
    error=None,
    callback=None,
)
FAILED = replace(
    JOB,
    state=JobState.FAILED,
    attempts=2,
    started=60.0,
    finished=62.5,
    fraction=0.4,
    message="half",
    callback="https://example.com/done",
    error=json.dumps(
        {
            "type": "shop:NoInk",
            "text": "no\nink",
            "traceback": 'Traceback:\n  File "\x1b[2J"\nNoInk',
        }
    ),
)


def test_a_line_has_columns_without_spaces() -> None:
    """``awk`` and ``cut`` find what they look for; the task and its arguments come last."""
    cells = click.unstyle(job_line(FAILED)).split()
    assert cells == [ID, "failed", "40%", "2", "1970-01-01T00:00:00Z", "default", "resize"]
    names = ["ID", "STATE", "PROGRESS", "TRIES", "CREATED", "QUEUE", "TASK", "ARGUMENTS"]
    assert header().split() == names


@pytest.mark.parametrize("state", JobState)
def test_columns_stand_below_their_names(state: JobState) -> None:
    """Whatever the state is; the colour takes no room."""
    line = click.unstyle(job_line(replace(JOB, state=state)))
    for name, value in (("STATE", state.value), ("PROGRESS", "-"), ("TASK", "resize")):
        assert line[header().index(name) :].startswith(value)


def test_a_job_of_an_unknown_task_is_marked() -> None:
    """It waits for ever, unless its task comes back."""
    assert job_line(JOB, is_known=False).endswith("  resize (unknown task)")
    assert job_line(JOB).endswith("  resize")


def test_what_a_job_says_does_not_move_the_cursor() -> None:
    """Control characters are shown as Python writes them."""
    assert "\x1b[2J" not in details(FAILED)
    assert "\x1b" not in click.unstyle(job_line(replace(JOB, task="\x1b]0;x\x07")))


def test_all_there_is_of_a_job_is_shown() -> None:
    """What there is not is left out, and so is what belongs to the app: the context."""
    assert details(JOB) == "\n".join(
        [
            f"id         {ID}",
            "task       resize",
            "state      queued",
            "queue      default",
            "tries      0",
            "repeatable yes",
            "created    1970-01-01T00:00:00Z",
            "due        1970-01-01T00:01:00Z",
            'arguments  [["a.png"], {"width": 800}]',
        ]
    )


def test_the_place_of_a_job_is_shown() -> None:
    """Its queue, its priority and its key, on lines and in JSON."""
    job = replace(JOB, queue="mail", priority=-5, unique_key="user/7")
    assert "queue      mail\npriority   -5\nunique key user/7\n" in details(job)
    assert click.unstyle(job_line(job)).split()[-2:] == ["mail", "resize"]
    shown = json.loads(job_json(job))
    assert (shown["queue"], shown["priority"], shown["unique_key"]) == ("mail", -5, "user/7")


def test_an_error_is_shown_with_its_traceback() -> None:
    """The message in one line, and below all the traceback."""
    shown = details(FAILED)
    assert "error      shop:NoInk: no\\nink\n\nTraceback:\n" in shown
    assert "progress   40% half\n" in shown
    assert "finished   1970-01-01T00:01:02Z (2.5 s)\n" in shown
    assert "callback   https://example.com/done\n" in shown


def test_a_job_that_never_began_took_no_time() -> None:
    """It may have been cancelled before."""
    assert "finished   1970-01-01T00:00:05Z\n" in details(replace(JOB, finished=5.0))


def test_a_callback_is_shown_with_its_last_answer() -> None:
    """One line for each time that the job has ended."""
    delivery = Delivery(
        id="msg_1",
        job_id=ID,
        url="https://example.com/done",
        body="{}",
        created=0.0,
        due=0.0,
        attempts=2,
        state=DeliveryState.FAILED,
        owner=None,
        last_status=503,
        last_error="try\nlater",
    )
    shown = details(replace(FAILED, error=None), [delivery, delivery])
    line = "posted     failed, 2 attempts, last answer 503, try\\nlater"
    assert shown.endswith(f"\n{line}\n{line}")


def test_json_is_one_line() -> None:
    """With the arguments and the error as JSON, and times as ISO 8601 writes them."""
    line = job_json(FAILED)
    shown = json.loads(line)
    assert "\n" not in line
    assert shown["arguments"] == [["a.png"], {"width": 800}]
    assert shown["error"]["text"] == "no\nink"
    assert (shown["state"], shown["started"]) == ("failed", "1970-01-01T00:01:00+00:00")
    assert "context" not in shown


def test_states_are_counted_in_words() -> None:
    """Those that no job is in are left out."""
    assert (
        counts_text({JobState.QUEUED: 2, JobState.DONE: 0, JobState.LOST: 1}) == "2 queued, 1 lost"
    )
    assert counts_text(dict.fromkeys(JobState, 0)) == "no jobs"
