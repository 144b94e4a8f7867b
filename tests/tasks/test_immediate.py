"""In `Tasks.immediate`, each job runs when it is submitted, and takes the way of all jobs."""

import asyncio
import json
import os
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier, Thread
from urllib.request import urlopen

import pytest

from dewar import Dewar, Tasks, chain, current_job, request, session, tasks_blueprint
from dewar.server import Server, Settings
from dewar.tasks.errors import NotSupported, SoftTimeLimitExceeded, Unserializable
from dewar.tasks.ledger.records import JobState

pytestmark = pytest.mark.usefixtures("folder")


@dataclass
class Parcel:
    """Has no JSON form of its own."""

    order: int


@pytest.fixture
def app():
    app = Dewar("immediate")
    app.secret_key = "key"
    return app


@pytest.fixture
def tasks(app):
    return Tasks(app)


def test_a_job_has_run_when_submit_returns(tasks):
    """It ran in this thread, it is done, and its status says how it went."""
    seen = []

    @tasks.task()
    def ship(order):
        current_job.progress(0.5, "half")
        seen.append((threading.current_thread(), current_job.id))
        return {"order": order}

    with tasks.immediate():
        job = ship.submit(7)
        assert seen == [(threading.current_thread(), job.id)]
        assert job.done()
        status = tasks.status(job.id)
        assert (status.state, status.attempts) == (JobState.DONE, 1)
        assert status.progress is not None
        assert status.progress.message == "half"
        assert tasks.get(job.id).result() == {"order": 7}
    assert job.result() == {"order": 7}


def test_no_thread_is_started_and_nothing_is_stored(tasks, folder):
    """A test leaves neither behind."""

    @tasks.task(soft_timeout=None)
    def work():
        return 1

    before = threading.active_count()
    with tasks.immediate():
        work.submit()
        assert threading.active_count() == before
    assert list(folder.iterdir()) == []


def test_arguments_and_results_are_json_on_the_way(tasks):
    """What could not be sent to another process is refused here, too."""
    given = [1, 2]

    @tasks.task()
    def keep(value):
        return value is given, value

    @tasks.task()
    def bad():
        return object()

    with tasks.immediate():
        assert keep.submit(given).result() == (False, [1, 2])
        assert keep.submit(Parcel(3)).result() == (False, Parcel(3))
        with pytest.raises(Unserializable):
            keep.submit(object())
        with pytest.raises(Unserializable, match="result"):
            bad.submit().result()


def test_the_context_travels_and_nothing_else_does(app, tasks):
    """The job sees the request and the session of the view, and a job inside sees its own."""

    @tasks.task()
    def look():
        return request.path, session["user"], current_job.task

    @tasks.task()
    def outer():
        return look.submit().result(), current_job.task

    @app.get("/here")
    def view():
        session["user"] = "ada"
        return {"seen": outer.submit().result()}

    with tasks.immediate():
        seen = app.test_client().get("/here").json
    assert seen == {"seen": [["/here", "ada", "look"], "outer"]}


def test_retries_run_without_their_pauses(tasks):
    """The job has all its attempts before submit returns."""
    attempts = []

    @tasks.task(retries=2, backoff=3600)
    def flaky(good):
        attempts.append(current_job.attempt)
        if current_job.attempt < good:
            raise OSError("away")
        return "sent"

    with tasks.immediate():
        assert flaky.submit(3).result() == "sent"
        failed = flaky.submit(4)
        assert isinstance(failed.exception(), OSError)
        assert failed.status().state is JobState.FAILED
    assert attempts == [1, 2, 3, 1, 2, 3]


def test_a_job_for_later_runs_at_once(tasks):
    """Nobody waits for its time, nor for a rate."""

    @tasks.task(rate="1/h")
    def remind(who):
        return who

    with tasks.immediate():
        assert remind.submit_later("ada", delay=86400).result() == "ada"
        assert [job.result() for job in remind.map(["bob", "eve"])] == ["bob", "eve"]


def test_errors_are_raised_by_the_result_or_by_submit(tasks):
    """`propagate` chooses."""

    @tasks.task()
    def fail():
        raise KeyError("gone")

    with tasks.immediate():
        assert isinstance(fail.submit().exception(), KeyError)
    with tasks.immediate(propagate=True), pytest.raises(KeyError, match="gone"):
        fail.submit()


def test_jobs_submit_jobs_and_wait_for_them(tasks):
    """As deep as they like; one that a limit holds back runs after the one that holds it."""
    order = []

    @tasks.task()
    def factorial(number):
        return 1 if number < 2 else number * factorial.submit(number - 1).result(timeout=5)

    @tasks.task(max_running=1)
    def countdown(number):
        if number:
            countdown.submit(number - 1)
        order.append(number)

    with tasks.immediate():
        assert factorial.submit(8).result() == 40320
        countdown.submit(2)
    assert order == [2, 1, 0]


def test_coroutines_run_from_anywhere(app, tasks):
    """From a thread, a coroutine view, and an event loop of the test's own."""

    @tasks.task()
    async def double(number):
        await asyncio.sleep(0)
        return 2 * number

    standalone = Tasks()

    @standalone.task()
    async def triple(number):
        await asyncio.sleep(0)
        return 3 * number

    @app.get("/<int:number>")
    async def view(number):
        return {"result": double.submit(number).result()}

    async def on_a_loop():
        return double.submit(4).result(), triple.submit(4).result()

    with tasks.immediate(), standalone.immediate():
        assert double.submit(2).result() == 4
        assert app.test_client().get("/3").json == {"result": 6}
        assert asyncio.run(on_a_loop()) == (8, 12)


def test_limits_and_unique_keys_hold(tasks):
    """A soft limit is raised in the function; what threads cannot do is refused as there."""

    @tasks.task(soft_timeout=0.05)
    def endless():
        while True:
            pass

    @tasks.task(timeout=5)
    def killed():
        return 1

    @tasks.task(unique=True, on_duplicate="return")
    def once(number):
        return number and once.submit(number).id == current_job.id

    with tasks.immediate():
        assert isinstance(endless.submit().exception(), SoftTimeLimitExceeded)
        assert once.submit(1).result() is True
        with pytest.raises(NotSupported):
            killed.submit()


def test_a_soft_limit_does_not_reach_into_another_job(tasks):
    """It is raised after the job that was submitted has ended, and is recorded."""

    @tasks.task()
    def inner():
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            pass
        return "ended"

    @tasks.task(soft_timeout=0.05)
    def outer():
        inner.submit()
        while True:
            pass

    with tasks.immediate():
        job = outer.submit()
        assert isinstance(job.exception(), SoftTimeLimitExceeded)
        states = {one.task: one.state for one in tasks.ledger.list()}
        assert states == {"inner": JobState.DONE, "outer": JobState.FAILED}


def test_the_settings_of_the_engine_do_not_matter(app):
    """Tasks that have processes and queues run here, with their timeouts."""
    tasks = Tasks(app, processes=2, queues=["other"], run_jobs=False, max_jobs_per_worker=1)

    @tasks.task(timeout=60, queue="mail")
    def work():
        return os.getpid()

    with tasks.immediate():
        assert work.submit().result() == os.getpid()


def test_a_job_can_be_cancelled_by_itself(tasks):
    """Its state is cancelled, and the result raises that."""

    @tasks.task()
    def work():
        assert tasks.cancel(current_job.id, running=True)
        current_job.raise_if_cancelled()

    with tasks.immediate():
        job = work.submit()
        assert job.status().state is JobState.CANCELLED
        with pytest.raises(CancelledError):
            job.result()


def test_callbacks_are_kept_and_not_sent(app, tasks):
    """The outbox has them; the address is never asked."""
    app.config["TASKS_CALLBACK_SECRETS"] = ["whsec_" + "QUFB" * 8]

    @tasks.task()
    def work():
        return 1

    with tasks.immediate():
        job = work.submit(callback="https://example.com/done")
        [sent] = tasks.runtime.webhooks.outbox.of_job(job.id)
        assert (sent.url, sent.attempts) == ("https://example.com/done", 0)
        assert '"result": 1' in sent.body or '"result":1' in sent.body


def test_the_pages_of_jobs_answer(app, tasks):
    """The view accepts it, and the page and the stream say that it is done."""
    app.register_blueprint(tasks_blueprint(tasks, access=lambda job, action: True))

    @tasks.task()
    def work():
        return 5

    @app.post("/")
    def view():
        return work.submit().accepted()

    with tasks.immediate():
        client = app.test_client()
        answer = client.post("/")
        assert answer.status_code == 202
        assert client.get(answer.headers["Location"]).json["result"] == 5
        assert "event: done" in client.get(answer.json["links"]["events"]).text


def test_it_holds_for_all_threads_each_with_its_own_jobs(tasks):
    """Threads that submit at the same time run their own jobs, and none waits for another."""
    meet = Barrier(4)
    seen = []

    @tasks.task(idempotent=False)
    def work(name):
        meet.wait(20)
        return name, threading.current_thread().name

    def submit(name):
        seen.append(work.submit(name).result())

    with tasks.immediate():
        threads = [Thread(target=submit, args=(f"t{i}",), name=f"t{i}") for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(seen) == [(f"t{i}", f"t{i}") for i in range(4)]


def test_a_served_app_runs_its_jobs_in_its_own_threads(app, tasks):
    """The view's thread runs the job; the start and the stop of the server change nothing."""

    @tasks.task()
    def where():
        return threading.get_ident()

    @app.get("/")
    def view():
        return {"same": where.submit().result() == threading.get_ident()}

    with tasks.immediate():
        server = Server(app, Settings(bind="127.0.0.1:0", threads=2))
        server.start()
        try:
            with urlopen(server.addresses[0], timeout=30) as answer:
                assert json.load(answer) == {"same": True}
        finally:
            server.stop(20)
        assert where.submit().result() == threading.get_ident()


def test_after_it_everything_is_as_before(tasks, tmp_path):
    """Also for apps that are attached in the block, and with one block in another."""
    ran = []

    @tasks.task()
    def work(number):
        ran.append(threading.current_thread() is threading.main_thread())
        return number

    with tasks.immediate():
        other = Dewar("other", instance_path=str(tmp_path / "instance"))
        tasks.init_app(other)
        with other.app_context(), tasks.immediate(propagate=True):
            work.submit(1)
        work.submit(2)
    with other.app_context():
        assert work.submit(3).result(timeout=20) == 3
    tasks.stop()
    assert ran == [True, True, False]
    assert Path(tmp_path / "instance" / "other.tasks.sqlite3").exists()


def test_a_workflow_has_run_when_it_is_submitted(tasks):
    """Each step with the results of those before it."""

    @tasks.task()
    def add(one, other):
        return one + other

    with tasks.immediate():
        assert chain(add.s(1, 2), add.s(10), add.s(100)).submit().result() == 113
        after = add.options_for(after=[first := add.submit(1, 1)]).submit(first, 3)
        assert after.result() == 5


def test_a_workflow_that_fails_says_so_at_once(tasks):
    """Or where its result is asked for, unless errors are propagated."""

    @tasks.task()
    def fail():
        raise LookupError("nothing there")

    @tasks.task()
    def never(found):
        raise AssertionError(found)

    with tasks.immediate():
        workflow = chain(fail.s(), never.s()).submit()
        with pytest.raises(LookupError, match="nothing there"):
            workflow.result()
    with tasks.immediate(propagate=True), pytest.raises(LookupError, match="nothing there"):
        chain(fail.s(), never.s()).submit()
