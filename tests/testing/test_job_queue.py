"""In a `JobQueue`, jobs wait until the test runs them, and the time is the test's."""

import time
from datetime import datetime, timedelta
from itertools import pairwise
from threading import Event, Thread
from zoneinfo import ZoneInfo

import pytest

from dewar import Dewar, Tasks, chord, current_job
from dewar.tasks.errors import JobNotRun, QueueFull
from dewar.tasks.ledger.records import JobState
from dewar.testing.job_queue import hold_jobs

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def tasks():
    return Tasks(Dewar("queued"))


@pytest.fixture
def queue(tasks):
    with hold_jobs(tasks) as queue:
        yield queue


def test_jobs_run_when_the_queue_is_drained(tasks, queue):
    """Not before; in the order of submission, with the jobs that they submit, in this thread."""
    ran = []

    @tasks.task()
    def count(number):
        ran.append(number)
        if number == 1:
            count.submit(10)

    jobs = [count.submit(0), *count.map([1, 2, 3])]
    assert ran == []
    assert jobs[0].status().state is JobState.QUEUED
    assert queue.drain() == 5
    assert ran == [0, 1, 2, 3, 10]
    assert queue.drain() == 0


def test_priorities_and_limits_decide_what_runs(tasks, queue):
    """As between processes: the claim is the same one."""
    ran = []

    @tasks.task(max_running=1)
    def work(name):
        ran.append(name)

    @tasks.task(rate="2/m")
    def rare(name):
        ran.append(name)

    work.submit("later")
    work.options_for(priority=5).submit("urgent")
    rare.map(["a", "b"])
    queue.drain()
    assert sorted(ran) == ["a", "later", "urgent"]
    assert ran.index("urgent") < ran.index("later")
    queue.clock.advance(timedelta(seconds=30))
    queue.drain()
    assert ran[3:] == ["b"]


def test_time_makes_delayed_jobs_and_retries_due(tasks, queue):
    """It passes as the test says."""
    attempts = []

    @tasks.task(retries=3, backoff=[10, 60, 60])
    def flaky():
        attempts.append(current_job.attempt)
        if current_job.attempt < 3:
            raise OSError("away")

    job = flaky.submit_later(delay=timedelta(days=1))
    before = queue.clock.now()
    assert queue.drain() == 0
    for pause, expected in ((86390, 0), (11, 1), (9, 0), (2, 1), (61, 1)):
        queue.clock.advance(pause)
        assert queue.drain() == expected
    assert attempts == [1, 2, 3]
    assert job.status().state is JobState.DONE
    assert (job.status().finished - before).total_seconds() == pytest.approx(86473, abs=60)
    with pytest.raises(ValueError, match="forward"):
        queue.clock.advance(-1)


def test_to_wait_for_a_job_runs_it(tasks, queue):
    """A view that needs the result has it; a wait that would never end is an error at once."""

    @tasks.task()
    def add(number):
        return number + 1

    @tasks.task()
    def twice(number):
        return add.submit(number).result(timeout=30) + add.submit(number).result()

    assert twice.submit(1).result() == 4
    later = add.options_for(delay=60).submit(1)
    with pytest.raises(JobNotRun, match=r"job_clock.advance"):
        later.result()
    with pytest.raises(JobNotRun):
        later.exception(timeout=1e9)
    queue.clock.advance(60)
    assert later.result() == 2


def test_failures_are_raised_once_if_asked(tasks, queue):
    """The first error of those that have ended in this call."""

    @tasks.task()
    def fail(text):
        raise KeyError(text)

    first = fail.submit("one")
    queue.drain()
    assert isinstance(first.exception(), KeyError)
    fail.submit("two")
    with pytest.raises(KeyError, match="two"):
        queue.drain(propagate=True)
    queue.drain(propagate=True)


def test_a_full_queue_and_unique_keys_are_real(tasks, queue):
    """What waits counts; what was not accepted was not submitted."""

    @tasks.task(max_queue=2, unique=True)
    def work(number):
        return number

    assert work.submit(1).id == work.submit(1).id
    work.submit(2)
    with pytest.raises(QueueFull):
        work.submit(3)
    assert [one.args for one in queue.submitted] == [(1,), (2,)]
    queue.drain()
    work.submit(3)


def test_cancelled_jobs_do_not_run(tasks, queue):
    """One that waits is cancelled; one that runs learns it, from another thread."""
    runs, cancelled, seen = Event(), Event(), []

    @tasks.task()
    def work():
        runs.set()
        assert cancelled.wait(20)
        seen.append(current_job.is_cancelled)

    def cancel(id):
        assert runs.wait(20)
        assert tasks.cancel(id, running=True)
        cancelled.set()

    waiting, running = work.submit(), work.submit()
    assert waiting.cancel()
    thread = Thread(target=cancel, args=(running.id,))
    thread.start()
    assert queue.drain() == 1
    thread.join()
    assert seen == [True]
    assert waiting.cancelled()


def test_what_was_submitted_is_told(tasks, queue):
    """With the arguments as the function gets them, and all options of the job."""

    @tasks.task(queue="mail", priority=3)
    def send(to, *, subject="", when=None):
        return to

    send.options_for(delay=60, priority=9).submit("ada", subject="Hi", when={"a": (1, 2)})
    [told] = queue.submitted
    assert (told.task, told.args, told.queue, told.priority) == ("send", ("ada",), "mail", 9)
    assert told.kwargs["subject"] == "Hi"
    assert told.due.timestamp() == pytest.approx(time.time() + 60, abs=30)
    assert told.callback is None
    assert told.job.task == "send"


def test_assertions_compare_calls_and_say_what_there_was(tasks, queue):
    """Named or not, the arguments are those of the function."""

    @tasks.task()
    def ship(order, gift=False):
        return order

    @tasks.task()
    def other():
        return None

    ship.submit(7, gift=True)
    jobs = queue.submitted
    assert jobs.assert_submitted(ship, order=7, gift=True) is jobs[0]
    assert jobs.of(ship) == jobs.of("ship") == list(jobs)
    jobs.assert_not_submitted(other)
    with pytest.raises(AssertionError, match=r"ship\(8\) was submitted, but ship\(7, gift=True\)"):
        jobs.assert_submitted(ship, 8)
    with pytest.raises(AssertionError, match=r"no job of ship, but ship\(7, gift=True\)"):
        jobs.assert_not_submitted(ship)
    with pytest.raises(AssertionError, match=r"no job of ship, but ship\(7, gift=True\)"):
        jobs.assert_not_submitted("ship")
    with pytest.raises(TypeError):
        jobs.assert_submitted(ship, nonsense=1)
    with pytest.raises(TypeError, match="give the task itself"):
        jobs.assert_submitted("ship", 7)


def test_callbacks_wait_in_the_queue(tasks, queue):
    """Each says where it would go, and what it would say."""
    tasks.app.config["TASKS_CALLBACK_SECRETS"] = ["whsec_" + "QUFB" * 8]

    @tasks.task()
    def work(number):
        return number

    with hold_jobs(tasks) as inner:
        work.submit(1, callback="https://example.com/done")
        assert inner.callbacks == []
        inner.drain()
        assert [one.url for one in inner.callbacks] == ["https://example.com/done"]


def test_tasks_that_stop_begin_again(tasks, queue):
    """What waited is lost, and the next job is in the queue."""

    @tasks.task()
    def work(number):
        return number

    work.submit(1)
    tasks.stop()
    assert queue.drain() == 0
    job = work.submit(2)
    assert queue.drain() == 1
    assert job.result() == 2
    assert queue.callbacks == []


def test_apps_share_a_queue(tasks, queue):
    """The tasks of a factory's apps run each in their own app."""
    names = []

    @tasks.task()
    def note():
        from dewar import current_app

        names.append(current_app.name)

    other = Dewar("other")
    tasks.init_app(other)
    with other.app_context():
        note.submit()
    with tasks.app.app_context():
        note.submit()
    queue.drain()
    assert names == ["other", "other"]


def test_a_workflow_runs_in_steps_when_the_queue_is_drained(tasks, queue):
    """Its jobs are recorded, and a step waits for those before it."""

    @tasks.task()
    def add(*numbers):
        return sum(numbers)

    @tasks.task()
    def total(numbers):
        return sum(numbers)

    workflow = chord([add.s(1, 2), add.s(3, 4)], total.s()).submit()
    assert [one.task for one in queue.submitted] == ["add", "add", "total"]
    assert workflow.status().state is JobState.QUEUED
    assert queue.drain() == 3
    assert workflow.result() == 10


@pytest.fixture
def fired(tasks):
    """The due times for which the job of a schedule has run."""
    times = []

    @tasks.task(every=timedelta(minutes=1), missed="all")
    def report(scheduled_for):
        times.append(scheduled_for)

    return times


def test_schedules_fire_when_the_clock_is_moved(fired, queue):
    """Each due time once, and no other job has to begin them."""
    for _ in range(5):
        queue.clock.advance(timedelta(minutes=1))
        queue.drain()
    assert len(fired) == 5
    assert [b - a for a, b in pairwise(fired)] == [timedelta(minutes=1)] * 4


def test_errors_of_scheduled_jobs_are_raised_too(tasks, queue):
    """Once, where the test asks for it."""

    @tasks.task(every=timedelta(hours=1))
    def fail():
        raise OSError("away")

    queue.clock.advance(timedelta(hours=1))
    with pytest.raises(OSError, match="away"):
        queue.drain(propagate=True)
    queue.drain(propagate=True)


def test_a_step_over_due_times_has_missed_them(tasks, fired, queue):
    """The policy of each schedule decides, as if no process had run meanwhile."""
    once, skipped = [], []

    @tasks.task(every=timedelta(hours=1))
    def clean():
        once.append(1)

    @tasks.task(every=timedelta(hours=1), missed="skip")
    def ping():
        skipped.append(1)

    hour = queue.clock.now().replace(minute=30, second=0) + timedelta(hours=2)
    queue.clock.advance_to(hour)
    queue.drain()
    assert (len(once), len(skipped)) == (1, 0)
    assert len(fired) in range(60, 180)


def test_the_time_of_a_due_time_is_reached_exactly(tasks, queue):
    """Then also a schedule fires that makes up for nothing."""
    dates = []

    @tasks.task(cron="30 3 24 12 *", time_zone="Europe/Berlin", missed="skip")
    def wish(scheduled_for):
        dates.append(scheduled_for)

    zone = ZoneInfo("Europe/Berlin")
    eve = datetime(queue.clock.now().year + 1, 12, 24, 3, 30, tzinfo=zone)
    queue.clock.advance_to(eve)
    assert queue.drain() == 1
    assert dates == [eve]


def test_settings_may_change_until_a_schedule_is_needed(tasks, fired, queue):
    """The fixture alone begins nothing."""
    tasks.app.config["TASKS_CREDENTIALS"] = ["pin"]
    queue.drain()
    assert tasks.runtime.directory.settings().credentials == ["pin"]
