"""Tasks of an app, from the view that submits to the result that any process has."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed, wait
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.ledger.ledgertools import owners

from dewar import Dewar, current_app, g, group, request, session
from dewar.cli.job_texts import details, job_json, job_line
from dewar.tasks.errors import (
    JobFailed,
    NotSupported,
    QueueFull,
    TaskSetupError,
    UnknownJob,
    UnknownTask,
    Unserializable,
)
from dewar.tasks.ledger.ids import new_id
from dewar.tasks.ledger.records import JobState, NewJob, Outcome
from dewar.tasks.progress import current_job
from dewar.tasks.tasks import Tasks
from dewar.tasks.workflows.workflow import Workflow
from polling import eventually

MakeTasks = Callable[..., Tasks]
_SOON = 20.0


@pytest.fixture
def app(tmp_path: Path) -> Dewar:
    app = Dewar(__name__, instance_path=str(tmp_path / "instance"))
    app.secret_key = "for tests"
    return app


@pytest.fixture
def make_tasks(app: Dewar) -> Iterator[MakeTasks]:
    made: list[Tasks] = []

    def make(**settings: Any) -> Tasks:
        tasks = Tasks(app, **{"poll": 0.02, **settings})
        made.append(tasks)
        return tasks

    yield make
    for tasks in made:
        tasks.stop(_SOON)


class Gate:
    """Holds a task's function until the test lets it go."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.open = threading.Event()

    def __call__(self) -> str:
        self.began.release()
        assert self.open.wait(_SOON)
        return "through"


def test_a_task_is_called_plainly_or_submitted(make_tasks: MakeTasks) -> None:
    """The decorated function stays what it is; a job of it has its result."""
    tasks = make_tasks()

    @tasks.task()
    def add(a: int, b: int = 2) -> int:
        """Add two numbers."""
        return a + b

    assert add(1) == 3
    assert add.__doc__ == "Add two numbers."
    job = add.submit(1, b=4)
    assert job.result(_SOON) == 5
    assert job.done()
    assert not job.cancelled()
    assert job.exception() is None
    status = job.status()
    assert status.state is JobState.DONE
    assert status.attempts == 1
    assert status.started is not None
    assert status.finished is not None
    assert status.created <= status.started <= status.finished


def test_the_ledger_is_a_file_in_the_instance_folder(make_tasks: MakeTasks, app: Dewar) -> None:
    """It is not there before it is needed."""
    tasks = make_tasks()

    @tasks.task()
    def nothing() -> None:
        pass

    assert not Path(app.instance_path).exists()
    nothing.submit().result(_SOON)
    assert (Path(app.instance_path) / f"{app.name}.tasks.sqlite3").is_file()


def test_twenty_submissions_of_one_view_see_each_their_own_request(
    make_tasks: MakeTasks, app: Dewar
) -> None:
    """At the same time, after the requests have ended, and with `g` and session."""
    tasks = make_tasks(threads=20)
    barrier = threading.Barrier(20)

    @tasks.task()
    def look() -> list[str]:
        barrier.wait(_SOON)
        return [request.path, request.args["q"], g.n, session["n"], current_app.name]

    ended: list[str] = []
    app.teardown_request(lambda _exc: ended.append("request"))

    @app.get("/look/<n>")
    def view(n: str) -> dict[str, str]:
        g.n = session["n"] = n
        return {"id": look.submit().id}

    ids = {n: app.test_client().get(f"/look/{n}?q=q{n}").get_json()["id"] for n in range(20)}
    for n, id in ids.items():
        assert tasks.get(id).result(_SOON) == [f"/look/{n}", f"q{n}", f"{n}", f"{n}", app.name]
    assert len(ended) == 20  # the requests' own, and none for the jobs


def test_outside_of_a_request_a_job_has_its_app(make_tasks: MakeTasks, app: Dewar) -> None:
    """As a script or the shell submits it."""
    tasks = make_tasks()

    @tasks.task()
    def name() -> tuple[str, bool]:
        return current_app.name, bool(request)

    assert name.submit().result(_SOON) == (app.name, False)


def test_an_async_task_runs_to_its_end(make_tasks: MakeTasks) -> None:
    """A coroutine function is a task like any other."""
    tasks = make_tasks()

    @tasks.task()
    async def double(value: int) -> int:
        return 2 * value

    assert double.submit(4).result(_SOON) == 8


def test_tasks_without_an_app(tmp_path: Path) -> None:
    """A program that serves nothing has tasks as well."""
    tasks = Tasks(ledger=tmp_path / "jobs.sqlite3")

    @tasks.task()
    def add(a: int, b: int) -> int:
        return a + b

    @tasks.task()
    async def double(value: int) -> int:
        return 2 * value

    try:
        assert add.submit(1, 2).result(_SOON) == 3
        assert double.submit(2).result(_SOON) == 4
    finally:
        tasks.stop(_SOON)


def test_an_error_is_the_jobs_with_its_traceback(make_tasks: MakeTasks) -> None:
    """It is of its own class where that is known, with the remote traceback as its cause."""
    tasks = make_tasks()

    @tasks.task()
    def fail() -> None:
        raise LookupError("no such picture")

    @tasks.task()
    def leave() -> None:
        raise SystemExit(3)

    job = fail.submit()
    with pytest.raises(LookupError, match="no such picture") as caught:
        job.result(_SOON)
    assert "in fail" in str(caught.value.__cause__)
    assert job.status().state is JobState.FAILED
    with pytest.raises(JobFailed, match="SystemExit"):
        leave.submit().result(_SOON)


def test_a_job_is_run_again_as_often_as_its_task_says(make_tasks: MakeTasks) -> None:
    """The attempts are counted; what waits between them is in the ledger."""
    tasks = make_tasks()

    @tasks.task(retries=3, backoff=0)
    def third() -> int:
        if current_job.attempt < 3:
            raise OSError("not yet")
        return current_job.attempt

    @tasks.task(retries=1, backoff=[0])
    def never() -> None:
        raise OSError(f"attempt {current_job.attempt}")

    job = third.submit()
    assert job.result(_SOON) == 3
    assert job.status().attempts == 3
    with pytest.raises(OSError, match="attempt 2"):
        never.submit().result(_SOON)


def test_progress_is_seen_while_it_runs_and_after(make_tasks: MakeTasks) -> None:
    """Whoever asks the ledger sees the last that was told."""
    tasks = make_tasks()
    gate = Gate()

    @tasks.task()
    def work() -> None:
        current_job.progress(0.25, "reading")
        gate()
        current_job.progress(2, "written")

    job = work.submit()

    def message() -> str | None:
        told = job.status().progress
        return None if told is None else told.message

    eventually(lambda: message() == "reading")
    assert job.running()
    gate.open.set()
    job.result(_SOON)
    told = job.status().progress
    assert told is not None
    assert (told.fraction, told.message) == (1.0, "written")


def test_a_later_job_waits_for_its_time(make_tasks: MakeTasks) -> None:
    """By a delay or at a time; what is said twice or not at all is refused."""
    tasks = make_tasks()

    @tasks.task()
    def now() -> float:
        return time.time()

    begun = time.time()
    jobs = [
        now.submit_later(delay=0.2),
        now.submit_later(delay=timedelta(seconds=0.2)),
        now.submit_later(at=datetime.now(UTC) + timedelta(seconds=0.2)),
        now.options_for(delay=0.2).submit(),
    ]
    for job in jobs:
        assert job.result(_SOON) - begun >= 0.19
    for wrong in ({}, {"delay": 1, "at": datetime.now(UTC)}):
        with pytest.raises(TaskSetupError, match="one of delay and at"):
            now.submit_later(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "when",
    [
        {"delay": float("nan")},
        {"delay": float("inf")},
        {"delay": 1e300},
        {"delay": -1e12},
        {"delay": 10**400},
        {"delay": timedelta.max},
        {"delay": "soon"},
        {"at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))},
        {"at": datetime.min.replace(tzinfo=timezone(timedelta(hours=12)))},
        {"at": "2030-01-01"},
        {"at": 2_000_000_000},
    ],
    ids=repr,
)
def test_a_time_outside_of_the_calendar_is_refused_at_once(
    make_tasks: MakeTasks, when: dict[str, Any]
) -> None:
    """The error has what was given. Nothing is accepted."""
    task = make_tasks().task("never")(lambda: None)
    with pytest.raises(TaskSetupError, match=f"{next(iter(when))}=.* is no time of the calendar"):
        task.submit_later(**when)


def test_jobs_for_later_leave_room_in_the_queue(make_tasks: MakeTasks) -> None:
    """A limit is for jobs that could run now; a time that has passed is now."""
    task = make_tasks(run_jobs=False).task("one", max_queue=2)(lambda: 1)
    for _ in range(5):
        task.submit_later(delay=3600)
    task.submit()
    task.submit_later(delay=0)
    for submit in (task.submit, lambda: task.submit_later(delay=-1)):
        with pytest.raises(QueueFull):
            submit()
    task.submit_later(delay=3600)


@pytest.mark.parametrize("due", [1e300, -1e300, float("inf")])
def test_a_time_that_is_none_breaks_no_list(make_tasks: MakeTasks, due: float) -> None:
    """A row of an earlier version is shown with the nearest time."""
    tasks = make_tasks(run_jobs=False)
    job = NewJob(id=new_id(1.0), task="old", arguments="[[],{}]", created=1.0, due=due)
    tasks.ledger.write([job])
    record = tasks.ledger.get(job.id)
    assert record is not None
    assert tasks.status(job.id).due.year == (9999 if due > 0 else 1)
    assert job.id in job_line(record)
    assert job.id in job_json(record)
    assert job.id in details(record)


def test_arguments_and_results_keep_their_types(make_tasks: MakeTasks) -> None:
    """What goes into the ledger comes out of it as it was."""
    tasks = make_tasks()
    values = [datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), b"\0\xff", (1, {2}), timedelta(1)]

    @tasks.task()
    def same(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    assert same.submit(*values, key=values).result(_SOON) == (tuple(values), {"key": values})


def test_dicts_keep_their_order(make_tasks: MakeTasks) -> None:
    """The app's provider sorts keys in answers, and not here."""
    tasks = make_tasks()

    @tasks.task()
    def keys(values: dict[str, int]) -> list[Any]:
        return [list(values), values]

    order, values = keys.submit({"b": 1, "a": 2}).result(_SOON)
    assert order == list(values) == ["b", "a"]


def test_what_has_no_json_form_is_named_by_its_path(make_tasks: MakeTasks) -> None:
    """An argument is refused at once; a result fails its job."""
    tasks = make_tasks()

    @tasks.task()
    def make(value: Any = None) -> Any:
        return {"rows": [1, threading.Lock()]}

    with pytest.raises(Unserializable, match=r"value"):
        make.submit(value={"lock": threading.Lock()})
    with pytest.raises(Unserializable, match=r"rows"):
        make.submit().result(_SOON)


def test_a_call_that_does_not_fit_is_the_callers_mistake(make_tasks: MakeTasks) -> None:
    """Nothing is accepted that could only fail."""
    tasks = make_tasks()

    @tasks.task()
    def one(a: int) -> int:
        return a

    for args, kwargs in (((), {}), ((1, 2), {}), ((1,), {"b": 2})):
        with pytest.raises(TypeError):
            one.submit(*args, **kwargs)


@pytest.mark.parametrize("name", ["get", "status", "cancel", "get_workflow"])
def test_a_job_in_the_place_of_its_id_is_refused(make_tasks: MakeTasks, name: str) -> None:
    """The error says that the id is asked for, and the ledger is not."""
    tasks = make_tasks(run_jobs=False)
    job = tasks.task("resize")(lambda: None).submit()
    for given in (job, None, 5):
        with pytest.raises(UnknownJob, match=r"tasks\.get\(job\.id\)"):
            getattr(tasks, name)(given)


def test_an_id_in_the_place_of_a_time_is_refused(make_tasks: MakeTasks) -> None:
    """Who wants to stop one job does not stop all of them."""
    tasks = make_tasks(run_jobs=False)
    job = tasks.task("resize")(lambda: None).submit()
    with pytest.raises(TaskSetupError, match=r"tasks\.cancel\(id, running=True\)"):
        tasks.stop(job.id)  # type: ignore[arg-type]  # that is the mistake
    assert tasks.cancel(job.id)


def test_many_jobs_are_accepted_with_options(make_tasks: MakeTasks) -> None:
    """As by `map`, but in another queue, after other jobs, or later."""
    tasks = make_tasks()
    double = tasks.task("double")(lambda n: 2 * n)
    jobs = double.options_for(queue="bulk", priority=3).map(iter([1, 2, 3]))
    assert [job.result(_SOON) for job in jobs] == [2, 4, 6]
    assert {(job.status().queue, job.status().priority) for job in jobs} == {("bulk", 3)}
    after = double.options_for(after=jobs).map(jobs)
    assert [job.result(_SOON) for job in after] == [4, 8, 12]
    with pytest.raises(UnknownJob):
        double.options_for(after="none").map([1])
    assert double.options_for(queue="bulk").map([]) == []


def test_a_job_that_waits_is_cancelled_and_never_runs(make_tasks: MakeTasks) -> None:
    """By whoever has the job, or by its id."""
    tasks = make_tasks(threads=1)
    gate = Gate()
    ran: list[int] = []
    hold = tasks.task("hold")(gate.__call__)

    @tasks.task()
    def note(n: int) -> None:
        ran.append(n)

    holding = hold.submit()
    assert gate.began.acquire(timeout=_SOON)
    first, second, third = note.submit(1), note.submit(2), note.submit(3)
    assert first.cancel()
    assert tasks.cancel(second.id)
    assert not holding.cancel()
    gate.open.set()
    assert third.result(_SOON) is None
    assert ran == [3]
    eventually(first.done)
    assert first.cancelled()
    with pytest.raises(CancelledError):
        second.result(_SOON)
    assert first.status().state is JobState.CANCELLED
    assert not third.cancel()


def test_a_queue_that_is_full_refuses_and_a_client_gets_503(
    make_tasks: MakeTasks, app: Dewar
) -> None:
    """What was accepted before is untouched, and there is room again when it has run."""
    tasks = make_tasks(threads=1)
    gate = Gate()
    hold = tasks.task("hold", max_queue=2)(gate.__call__)

    @app.post("/work")
    def view() -> tuple[str, int]:
        hold.submit()
        return "accepted", 202

    jobs = [hold.submit()]
    assert gate.began.acquire(timeout=_SOON)
    eventually(lambda: jobs[0].status().state is JobState.RUNNING)
    jobs += [hold.submit(), hold.submit()]
    with pytest.raises(QueueFull, match="2 jobs waiting"):
        hold.submit()
    answer = app.test_client().post("/work")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    gate.open.set()
    assert [job.result(_SOON) for job in jobs] == ["through"] * 3
    assert hold.submit().result(_SOON) == "through"


def test_many_jobs_are_accepted_at_once(make_tasks: MakeTasks) -> None:
    """As `map` takes arguments; what does not fit into the queue is refused, and says what did."""
    tasks = make_tasks()

    @tasks.task(max_queue=100)
    def add(a: int, b: int) -> int:
        return a + b

    jobs = add.map(range(50), range(50, 100))
    assert [job.result(_SOON) for job in jobs] == [50 + 2 * n for n in range(50)]
    assert add.map([], []) == []
    with pytest.raises(TypeError):
        add.map([1, 2])
    with pytest.raises(QueueFull) as caught:
        add.map(range(500), range(500))
    accepted: Any = caught.value.accepted
    assert 100 <= len(accepted) < 500
    for job in accepted:
        job.result(_SOON)


def test_jobs_are_futures(make_tasks: MakeTasks) -> None:
    """`wait` and `as_completed` take them, and callbacks are called once, off the writer's way."""
    tasks = make_tasks()

    @tasks.task()
    def square(n: int) -> int:
        return n * n

    jobs = [square.submit(n) for n in range(10)]
    done, left = wait(jobs, timeout=_SOON)
    assert len(done) == 10
    assert not left
    assert sorted(job.result() for job in as_completed(jobs, timeout=_SOON)) == [
        n * n for n in range(10)
    ]
    called = threading.Event()
    results: list[Any] = []

    def more(job: Any) -> None:
        # It submits another and waits for it: no thread that is needed for that may be held.
        results.append(square.submit(job.result()).result(_SOON))
        called.set()

    square.submit(3).add_done_callback(more)
    assert called.wait(_SOON)
    assert results == [81]


def test_a_task_that_submits_a_task(make_tasks: MakeTasks) -> None:
    """A job may hand work on; it has a job of its own."""
    tasks = make_tasks(threads=2)

    @tasks.task()
    def inner(n: int) -> int:
        return n + 1

    @tasks.task()
    def outer(n: int) -> int:
        assert current_job.task == "outer"
        return int(inner.submit(n).result(_SOON)) + 1

    assert outer.submit(1).result(_SOON) == 3


def test_an_unknown_id_and_an_unknown_task(make_tasks: MakeTasks) -> None:
    """Both are told with what there is."""
    tasks = make_tasks()

    @tasks.task()
    def known() -> None:
        pass

    with pytest.raises(UnknownJob, match="no job 'nothing'"):
        tasks.get("nothing")
    with pytest.raises(UnknownTask, match="known"):
        tasks.find("unknown")


def test_a_job_is_found_again_by_another_tasks_on_the_same_ledger(
    make_tasks: MakeTasks, app: Dewar
) -> None:
    """Its result can be waited for, wherever it runs."""
    tasks = make_tasks()
    gate = Gate()
    tasks.task("hold")(gate.__call__)
    other = Tasks(
        ledger=Path(app.instance_path) / f"{app.name}.tasks.sqlite3", run_jobs=False, poll=0.02
    )
    try:
        job = tasks.find("hold").submit()
        assert gate.began.acquire(timeout=_SOON)
        seen = other.get(job.id)
        assert not seen.done()
        eventually(seen.running)
        gate.open.set()
        assert seen.result(_SOON) == "through"
        assert other.get(job.id).done()
    finally:
        other.stop(_SOON)


def test_a_job_that_can_not_begin_fails_by_itself(make_tasks: MakeTasks, app: Dewar) -> None:
    """What is wrong with its task or its context is its error, and holds up no other job."""
    tasks = make_tasks()

    @tasks.task(idempotent=False)
    def one() -> int:
        return 1

    one.submit().result(_SOON)
    call = tasks.runtime.source.call

    def broken(record: Any, attempt: int) -> Any:
        raise LookupError("no such app")

    tasks.runtime.source.call = broken  # type: ignore[method-assign]
    with pytest.raises(LookupError, match="no such app"):
        one.submit().result(_SOON)
    tasks.runtime.source.call = call  # type: ignore[method-assign]
    assert one.submit().result(_SOON) == 1


def test_jobs_that_one_process_accepts_another_runs(app: Dewar, tmp_path: Path) -> None:
    """A web process may leave the work to others."""
    where = tmp_path / "jobs.sqlite3"
    front = Tasks(ledger=where, run_jobs=False, poll=0.02)
    back = Tasks(ledger=where, poll=0.02)

    def add(a: int, b: int) -> int:
        return a + b

    submit = front.task()(add).submit
    back.task()(add)
    try:
        job = submit(1, 2)
        assert job.status().state is JobState.QUEUED
        back.start()
        assert job.result(_SOON) == 3
        waiting = [submit(n, 1) for n in range(300)]
        assert [job.result(_SOON) for job in waiting] == [n + 1 for n in range(300)]
    finally:
        front.stop(_SOON)
        back.stop(_SOON)


def test_jobs_that_run_again_at_once_all_end(make_tasks: MakeTasks) -> None:
    """The next attempt may be claimed while another thread still lets go of the one before."""
    tasks = make_tasks(threads=4)

    @tasks.task(retries=3, backoff=[0, 0, 0])
    def insist(n: int) -> int:
        if current_job.attempt < 4:
            raise ValueError
        return n

    def submit(number: int) -> list[int]:
        return [insist.submit(number).result(_SOON) for _ in range(40)]

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(submit, range(6))) == [[number] * 40 for number in range(6)]


@pytest.mark.parametrize("whole", [False, True])
def test_a_job_is_cancelled_as_soon_as_it_waits_for_its_retry(
    make_tasks: MakeTasks, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """Alone or in a workflow, also before the process has let go of the attempt that failed."""
    tasks = make_tasks()
    fail = tasks.task("fail", retries=9, backoff=600.0)(lambda: 1 / 0)
    tasks.start()
    written, gate, write = threading.Event(), threading.Event(), tasks.ledger.write

    def write_slowly(batch: Any, describe: Any) -> Any:
        result = write(batch, describe)
        if any(isinstance(one, Outcome) for one in batch):
            written.set()
            assert gate.wait(_SOON)
        return result

    monkeypatch.setattr(tasks.ledger, "write", write_slowly)
    made = group(fail.s()).submit() if whole else fail.submit()
    try:
        assert written.wait(_SOON)
        assert made.status().state is JobState.QUEUED
        assert made.cancel()
    finally:
        gate.set()
    job = made.jobs[0] if isinstance(made, Workflow) else made
    with pytest.raises(CancelledError):
        job.result(_SOON)
    assert job.status().state is JobState.CANCELLED


def test_a_job_that_waits_in_another_process_is_cancelled(tmp_path: Path) -> None:
    """It never begins there, also where that process has taken it already."""
    where = tmp_path / "jobs.sqlite3"
    back = Tasks(ledger=where, threads=1, poll=0.02)
    front = Tasks(ledger=where, run_jobs=False, poll=0.02)
    gate = Gate()
    ran: list[int] = []
    hold = back.task("hold")(gate.__call__)

    @back.task()
    def note() -> None:
        ran.append(1)

    try:
        hold.submit()
        assert gate.began.acquire(timeout=_SOON)
        job = note.submit()
        assert front.cancel(job.id)
        eventually(job.done)
        assert job.cancelled()
        gate.open.set()
        note.submit().result(_SOON)
        assert ran == [1]
    finally:
        front.stop(_SOON)
        back.stop(_SOON)


def test_a_stop_gives_back_what_has_not_begun(tmp_path: Path) -> None:
    """Another process runs it; what runs is waited for."""
    where = tmp_path / "jobs.sqlite3"
    first = Tasks(ledger=where, threads=1, poll=0.02)
    second = Tasks(ledger=where, threads=1, poll=0.02)
    gate = Gate()
    for tasks in (first, second):
        tasks.task("hold")(gate.__call__)
        tasks.task("add")(lambda a, b: a + b)
    try:
        held = first.find("hold").submit()
        assert gate.began.acquire(timeout=_SOON)
        waiting = first.find("add").submit(1, 2)
        stopping = threading.Thread(target=lambda: first.stop(_SOON))
        stopping.start()
        assert second.get(waiting.id).result(_SOON) == 3
        eventually(lambda: second.status(held.id).state is JobState.RUNNING)
        gate.open.set()
        stopping.join(_SOON)
        assert second.get(held.id).result(_SOON) == "through"
    finally:
        gate.open.set()
        second.stop(_SOON)


@pytest.mark.parametrize(("idempotent", "consequence"), [(True, "runs again"), (False, "is lost")])
def test_a_job_that_outlasts_the_stop_is_named_and_recorded_when_it_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, idempotent: bool, consequence: str
) -> None:
    """The stop returns at its time; as long as the process lives the outcome is written."""
    tasks = Tasks(ledger=tmp_path / "jobs.sqlite3", threads=1, poll=0.02)
    gate = Gate()
    job = tasks.task("hold", idempotent=idempotent)(gate.__call__).submit()
    assert gate.began.acquire(timeout=_SOON)
    eventually(lambda: job.status().state is JobState.RUNNING)
    assert not tasks.stop(0.05)
    assert f"The job {job.id} of hold still runs" in caplog.text
    assert consequence in caplog.text
    ledger = tasks.open_ledger()
    assert ledger.get(job.id).state is JobState.RUNNING  # type: ignore[union-attr]
    gate.open.set()
    assert job.result(_SOON) == "through"
    assert ledger.get(job.id).state is JobState.DONE  # type: ignore[union-attr]
    eventually(lambda: not owners(ledger), "the process has left")
    ledger.close()
    assert tasks.stop(0.0)


def test_after_a_stop_the_next_job_begins_anew(make_tasks: MakeTasks) -> None:
    """A process that is served again, or a test that goes on, has its tasks."""
    tasks = make_tasks()

    @tasks.task()
    def one() -> int:
        return 1

    assert one.submit().result(_SOON) == 1
    assert tasks.stop(_SOON)
    assert one.submit().result(_SOON) == 1


def test_jobs_begin_and_end_with_the_app(make_tasks: MakeTasks, app: Dewar) -> None:
    """The server tells the app, and what was left in the ledger is run before any request."""
    tasks = make_tasks()

    @tasks.task()
    def one() -> int:
        return 1

    front = Tasks(
        ledger=Path(app.instance_path) / f"{app.name}.tasks.sqlite3", run_jobs=False, poll=0.02
    )
    Path(app.instance_path).mkdir(parents=True)
    job = front.task("one")(lambda: 0).submit()
    try:
        app.begin_serving()
        assert job.result(_SOON) == 1
        app.end_serving(_SOON)
    finally:
        front.stop(_SOON)


@pytest.mark.parametrize(
    "declare",
    [
        lambda tasks: tasks.task(lambda: None),
        lambda tasks: tasks.task(timeout=0)(lambda: None),
        lambda tasks: tasks.task(retries=-1)(lambda: None),
        lambda tasks: tasks.task()(lambda callback: None),
        lambda tasks: [tasks.task("twice")(lambda: None) for _ in range(2)],
    ],
)
def test_a_declaration_that_can_not_be_is_refused(
    make_tasks: MakeTasks, declare: Callable[[Tasks], object]
) -> None:
    """Without brackets, with a reserved parameter, with a name that is taken."""
    with pytest.raises(TaskSetupError):
        declare(make_tasks())


def test_a_timeout_needs_an_engine_that_can_stop(make_tasks: MakeTasks) -> None:
    """A thread cannot be; the error names the engine and the repair, and nothing is accepted."""
    tasks = make_tasks()

    @tasks.task(timeout=1)
    def slow() -> None:
        pass

    with pytest.raises(NotSupported, match="processes=2"):
        slow.submit()


def test_a_parameter_that_submit_later_needs_is_said_apart(make_tasks: MakeTasks) -> None:
    """The schedule is then given by `options_for`."""
    tasks = make_tasks()

    @tasks.task()
    def remind(at: str) -> str:
        return at

    with pytest.raises(TaskSetupError, match="options_for"):
        remind.submit_later(at=datetime.now(UTC))
    assert remind.options_for(delay=0).submit(at="noon").result(_SOON) == "noon"


def test_an_app_has_one_tasks(make_tasks: MakeTasks, app: Dewar) -> None:
    """Others are refused, for jobs would not be found, and so are the same ones again."""
    tasks = make_tasks()
    with pytest.raises(TaskSetupError, match="one Tasks"):
        Tasks(app)
    with pytest.raises(TaskSetupError, match="attach it once"):
        tasks.init_app(app)


class Nameless:
    """Callable, and without a name."""

    def __call__(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("function", [partial(print, 1), Nameless(), Nameless])
def test_only_a_function_is_a_task(make_tasks: MakeTasks, function: Any) -> None:
    """Another process would not find anything else by its name, so it is refused with a repair."""
    with pytest.raises(TaskSetupError, match="Write a function that calls it"):
        make_tasks().task("named")(function)


@pytest.mark.parametrize(
    "given",
    [
        *({"name": name} for name in ("", "a\0", "a\n", "\udc80", 7)),
        *({"timeout": value} for value in (0, -1, float("nan"), float("inf"), "1", True)),
        *({"max_queue": value} for value in (-1, 1.5, "1", True)),
        {"retries": "3"},
        {"backoff": [float("nan")]},
    ],
)
def test_a_declaration_that_can_not_work_is_refused(
    make_tasks: MakeTasks, given: dict[str, Any]
) -> None:
    """The error names the argument, and the name is not taken."""
    tasks = make_tasks()
    with pytest.raises(TaskSetupError, match=next(iter(given))):
        tasks.task(**given)(_nothing)
    assert tasks.names() == []


def _nothing() -> None:
    """Do nothing."""


def test_where_the_app_is_found_is_given_beside_the_app(app: Dewar) -> None:
    """The setting has the name of the argument, and either may be a keyword."""
    assert Tasks(app, app="shop:create_app()").settings().app == "shop:create_app()"
    other = Dewar("other")
    assert Tasks(app=other).app is other
