"""Queues, priorities, limits and unique jobs, as a program uses them."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dewar import Dewar
from dewar.tasks.errors import Duplicate, QueueFull, TaskSetupError
from dewar.tasks.ledger.records import JobState
from dewar.tasks.progress import current_job
from dewar.tasks.tasks import Tasks
from polling import eventually

MakeTasks = Callable[..., Tasks]
_SOON = 20.0


@pytest.fixture
def make_tasks(tmp_path: Path) -> Iterator[MakeTasks]:
    """Makes tasks that share a ledger, as those of several processes do."""
    made: list[Tasks] = []

    def make(**settings: Any) -> Tasks:
        tasks = Tasks(ledger=tmp_path / "jobs.sqlite", **{"poll": 0.02, "threads": 2, **settings})
        made.append(tasks)
        return tasks

    yield make
    for tasks in made:
        tasks.stop(_SOON)


class Gate:
    """Holds jobs until the test lets them go, and knows how many there are."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.open = threading.Event()
        self.running = self.most = 0
        self._lock = threading.Lock()

    def hold(self, *_args: object, **_kwargs: object) -> str:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.began.release()
        assert self.open.wait(_SOON)
        with self._lock:
            self.running -= 1
        return "through"

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.began.acquire(timeout=_SOON)


# Queues and priorities.


def test_a_job_is_in_the_queue_of_its_task_or_its_own(make_tasks: MakeTasks) -> None:
    """So are its priority and its status."""
    tasks = make_tasks(run_jobs=False)
    send = tasks.task("send", queue="mail", priority=5)(lambda: None)
    plain = tasks.task("plain")(lambda: None)

    def place(job: Any) -> tuple[str, int]:
        return job.status().queue, job.status().priority

    assert place(send.submit()) == ("mail", 5)
    assert place(send.options_for(queue="bulk", priority=-1).submit()) == ("bulk", -1)
    assert place(send.submit_later(delay=5)) == ("mail", 5)
    assert place(plain.submit()) == ("default", 0)
    many = tasks.task("many", queue="mail", priority=5)(lambda number: None)
    assert {place(job) for job in many.map(range(3))} == {("mail", 5)}


def test_a_process_runs_the_queues_that_it_serves(make_tasks: MakeTasks) -> None:
    """What it submits to others is left to them, in whichever way it is submitted."""
    mailer, other = make_tasks(queues=["mail"]), make_tasks(queues=["default", "bulk"])
    ran: list[tuple[str, Any]] = []
    for name, tasks in (("mailer", mailer), ("other", other)):

        @tasks.task("note")
        def note_here(value: Any, name: str = name) -> Any:
            ran.append((name, value))
            return value

    note = mailer.find("note")
    mailer.start()
    other.start()
    jobs = [
        note.options_for(queue="mail").submit("m"),
        note.submit("d"),
        *note.map(["d1", "d2"]),
        note.options_for(queue="bulk").submit("b"),
    ]
    assert [job.result(_SOON) for job in jobs] == ["m", "d", "d1", "d2", "b"]
    assert {value: name for name, value in ran} == {
        "m": "mailer",
        **dict.fromkeys(["d", "d1", "d2", "b"], "other"),
    }


def test_waiting_jobs_run_by_their_priority(make_tasks: MakeTasks) -> None:
    """Those that were submitted first have no advantage."""
    tasks, order, gate = make_tasks(threads=1, prefetch=2), [], Gate()
    hold = tasks.task("hold")(gate.hold)

    @tasks.task()
    def note(value: int) -> None:
        order.append(value)

    jobs = [hold.submit()]
    gate.wait()
    jobs += [note.options_for(priority=-5).submit(1) for _ in range(6)]
    jobs += [note.options_for(priority=5).submit(2) for _ in range(6)]
    gate.open.set()
    for job in jobs:
        job.result(_SOON)
    assert sorted(order) == [1] * 6 + [2] * 6
    # One may have been claimed before there were others, and one is the eighth.
    assert order[:8].count(1) <= 2


def test_a_process_that_always_gets_new_jobs_runs_those_that_wait(make_tasks: MakeTasks) -> None:
    """Half of its room is for them, though it could claim each new one at once."""
    tasks, ran = make_tasks(threads=4, prefetch=8), []
    began, go, is_over = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    @tasks.task()
    def chain() -> None:
        if not is_over.is_set():
            chain.submit()
        began.release()
        assert go.acquire(timeout=_SOON)

    wait = tasks.task("wait")(lambda: ran.append("wait"))
    first = [chain.submit() for _ in range(8)]
    for _ in range(4):
        assert began.acquire(timeout=_SOON)
    waiting = wait.submit()
    ended = 0
    while not ran and ended < 30:
        go.release()
        ended += 1
        eventually(lambda ended=ended: tasks.ledger.counts()[JobState.DONE] >= ended)
        assert began.acquire(timeout=_SOON)
    is_over.set()
    go.release(1000)
    assert waiting.result(_SOON) is None
    assert first[-1].result(_SOON) is None
    assert ended < 30


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"queue": ""}, "queue='mail'"),
        ({"queue": "a,b"}, "queue='mail'"),
        ({"queue": "a b"}, "queue='mail'"),
        ({"queue": "x" * 101}, "queue='mail'"),
        ({"queue": None}, "queue='mail'"),
        ({"priority": 101}, "from -100 to 100"),
        ({"priority": 1.0}, "from -100 to 100"),
        ({"priority": True}, "from -100 to 100"),
        ({"rate": "10"}, "rate='10/m'"),
        ({"max_running": 0}, "from 1 on"),
        ({"max_running": 1.5}, "from 1 on"),
        ({"unique": "key"}, "unique="),
        ({"on_duplicate": "drop"}, "'return'"),
    ],
)
def test_an_option_that_cannot_be_is_refused(
    make_tasks: MakeTasks, options: dict[str, Any], says: str
) -> None:
    """Where the task is declared, with the repair."""
    with pytest.raises(TaskSetupError) as caught:
        make_tasks().task("any", **options)(lambda: None)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"queue": ""}, {"priority": 1e9}, {"unique_key": 1.5}, {"delay": "soon"}]
)
def test_an_option_of_a_job_that_cannot_be_is_refused(
    make_tasks: MakeTasks, options: dict[str, Any]
) -> None:
    """Before anything is accepted."""
    task = make_tasks(run_jobs=False).task("any")(lambda: None)
    with pytest.raises(TaskSetupError):
        task.options_for(**options)


# Limits.


def test_no_more_jobs_run_than_may(make_tasks: MakeTasks) -> None:
    """In all processes together, and all of them run in the end."""
    gate = Gate()
    both = [make_tasks(threads=4), make_tasks(threads=4)]
    for tasks in both:
        tasks.task("hold", max_running=3)(gate.hold)
        tasks.start()
    jobs = [job for tasks in both for job in tasks.find("hold").map(range(6))]
    gate.wait(3)
    waiting = [job for job in jobs if job.status().state is JobState.QUEUED]
    assert len(waiting) >= 9
    gate.open.set()
    assert [job.result(_SOON) for job in jobs] == ["through"] * 12
    assert gate.most == 3


def test_other_jobs_pass_those_that_may_not_run(make_tasks: MakeTasks) -> None:
    """Behind a hundred of them."""
    tasks, gate = make_tasks(threads=2), Gate()
    hold = tasks.task("hold", max_running=1, priority=50)(gate.hold)
    plain = tasks.task("plain")(lambda: "plain")
    held = hold.map(range(100))
    gate.wait()
    assert [plain.submit().result(_SOON) for _ in range(5)] == ["plain"] * 5
    assert gate.most == 1
    for job in held[1:]:
        job.cancel()
    gate.open.set()
    assert held[0].result(_SOON) == "through"


def test_a_rate_spreads_the_begins(make_tasks: MakeTasks) -> None:
    """Over all processes. They come at their times, not at the next poll."""
    begins: list[float] = []
    both = [make_tasks(poll=5.0), make_tasks(poll=5.0)]
    for tasks in both:
        tasks.task("paced", rate="20/s")(lambda: begins.append(time.monotonic()))
        tasks.start()
    began = time.monotonic()
    jobs = [tasks.find("paced").submit() for _ in range(5) for tasks in both]
    for job in jobs:
        job.result(_SOON)
    assert time.monotonic() - began >= 9 * 0.05 - 0.01
    assert len(begins) == 10


def test_a_retry_keeps_to_the_limits(make_tasks: MakeTasks) -> None:
    """It is claimed again, as every job of the task."""
    tasks, gate = make_tasks(threads=4), Gate()

    @tasks.task(max_running=1, retries=1, backoff=0)
    def fail_once() -> str:
        gate.hold()
        if current_job.attempt == 1:
            raise ValueError
        return "again"

    gate.open.set()
    jobs = [fail_once.submit() for _ in range(5)]
    assert [job.result(_SOON) for job in jobs] == ["again"] * 5
    assert gate.most == 1


# Unique jobs.


def test_the_job_that_is_there_is_returned(make_tasks: MakeTasks) -> None:
    """With the same arguments, in each process; when it has ended there is a new one."""
    gate = Gate()
    here, there = make_tasks(), make_tasks(run_jobs=False)
    for tasks in (here, there):
        tasks.task("index", unique=True)(gate.hold)
    first = here.find("index").submit(1, deep=True)
    gate.wait()
    assert here.find("index").submit(1, deep=True) is first
    elsewhere = there.find("index").submit(1, deep=True)
    assert elsewhere.id == first.id
    other = here.find("index").submit(2)
    assert other.id != first.id
    gate.open.set()
    assert [job.result(_SOON) for job in (first, elsewhere, other)] == ["through"] * 3
    assert here.find("index").submit(1, deep=True).id != first.id


def test_a_key_may_be_of_some_arguments(make_tasks: MakeTasks) -> None:
    """Or of none: then the job is not unique. A key of one job goes before that of its task."""
    tasks = make_tasks(run_jobs=False)
    task = tasks.task("index", unique=lambda path, **_: path)(lambda path, deep=False: None)
    plain = tasks.task("plain")(lambda path: None)
    assert task.submit("a").id == task.submit("a", deep=True).id
    assert task.submit("a").id != task.submit("b").id
    assert task.submit(None).id != task.submit(None).id
    assert task.options_for(unique_key="x").submit("c").id != task.submit("c").id
    assert plain.submit("a").id != plain.submit("a").id
    keyed = plain.options_for(unique_key=7)
    assert keyed.submit("a").id == keyed.submit("b").id


def test_a_batch_has_the_job_of_each_call(make_tasks: MakeTasks) -> None:
    """Equal calls have one, and so have calls whose job waits already."""
    tasks = make_tasks(run_jobs=False)
    task = tasks.task("index", unique=True)(lambda number: None)
    known = task.submit(1)
    jobs = task.map([1, 2, 2, 3])
    assert jobs[0].id == known.id
    assert jobs[1] is jobs[2]
    assert len({job.id for job in jobs}) == 3
    assert tasks.ledger.counts()[JobState.QUEUED] == 3


def test_a_duplicate_is_refused(make_tasks: MakeTasks) -> None:
    """The error has the job that is there, and the jobs of a batch that were accepted."""
    tasks = make_tasks(run_jobs=False)
    task = tasks.task("index", unique=True, on_duplicate="refuse")(lambda number: None)
    known = task.submit(1)
    with pytest.raises(Duplicate) as caught:
        task.submit(1)
    assert (caught.value.id, caught.value.task) == (known.id, "index")
    with pytest.raises(Duplicate) as caught:
        task.map([1, 2, 3])
    assert len(caught.value.accepted) == 2
    assert tasks.ledger.counts()[JobState.QUEUED] == 3


def test_a_client_is_told_of_a_conflict(tmp_path: Path) -> None:
    """409, without the id of a job that may be another client's."""
    app = Dewar(__name__, instance_path=str(tmp_path))
    tasks = Tasks(app, run_jobs=False)
    index = tasks.task("index", unique=True, on_duplicate="refuse")(lambda: None)

    @app.post("/index")
    def start() -> tuple[str, int]:
        return index.submit().id, 202

    client = app.test_client()
    id = client.post("/index").text
    answer = client.post("/index")
    assert answer.status_code == 409
    assert answer.json == {"error": "A job of the task index with the same key has not ended."}
    assert id not in answer.text
    tasks.stop(_SOON)


def test_a_waiting_job_is_replaced(make_tasks: MakeTasks) -> None:
    """It ends as cancelled, for who waits for it too, and the new one runs with its arguments."""
    tasks, gate, ran = make_tasks(threads=1), Gate(), []
    hold = tasks.task("hold")(gate.hold)
    index = tasks.task("index", unique=lambda page, text: page, on_duplicate="replace")(
        lambda page, text: ran.append(text)
    )
    held = hold.submit()
    gate.wait()
    jobs = [index.submit("home", text) for text in ("first", "second", "third")]
    later = [index.options_for(delay=0.01).submit("about", text) for text in ("x", "y")]
    eventually(jobs[0].cancelled)
    eventually(jobs[1].cancelled)
    eventually(later[0].cancelled)
    gate.open.set()
    held.result(_SOON)
    assert jobs[2].result(_SOON) is None
    assert later[1].result(_SOON) is None
    assert sorted(ran) == ["third", "y"]
    assert [job.status().state for job in jobs[:2]] == [JobState.CANCELLED] * 2


def test_a_running_job_is_not_replaced(make_tasks: MakeTasks) -> None:
    """From its first line on the new one is refused, with the id of the one that runs."""
    tasks, gate = make_tasks(), Gate()
    index = tasks.task("index", unique=True, on_duplicate="replace")(gate.hold)
    first = index.submit()
    gate.wait()
    with pytest.raises(Duplicate) as caught:
        index.submit()
    assert caught.value.id == first.id
    gate.open.set()
    assert first.result(_SOON) == "through"


def test_of_jobs_that_replace_each_other_one_runs(make_tasks: MakeTasks) -> None:
    """Whatever two processes submit and run at the same time, none is cancelled and runs."""
    ran: list[str] = []
    running: set[int] = set()
    lock = threading.Lock()

    def save(page: int) -> None:
        with lock:
            assert page not in running
            running.add(page)
            ran.append(current_job.id)
        with lock:
            running.remove(page)

    both = [make_tasks(), make_tasks()]
    for tasks in both:
        tasks.task("save", unique=True, on_duplicate="replace")(save)
        tasks.start()

    def submit(number: int) -> list[Any]:
        found = []
        for _ in range(50):
            with suppress(Duplicate):
                found.append(both[number % 2].find("save").submit(0))
        return found

    with ThreadPoolExecutor(4) as threads:
        jobs = [job for found in threads.map(submit, range(4)) for job in found]
    wait(jobs, _SOON)
    assert sorted(ran) == sorted(job.id for job in jobs if not job.cancelled())


def test_a_full_queue_is_told_as_before(make_tasks: MakeTasks) -> None:
    """A unique job that does not fit is no duplicate."""
    tasks = make_tasks(run_jobs=False)
    task = tasks.task("index", unique=True, max_queue=1)(lambda number: None)
    first = task.submit(1)
    assert task.submit(1) == first
    with pytest.raises(QueueFull):
        task.submit(2)


def test_of_many_threads_one_gets_its_job_accepted(make_tasks: MakeTasks) -> None:
    """All others get the same one; no note of them is left behind."""
    tasks = make_tasks(run_jobs=False)
    task = tasks.task("index", unique=True)(lambda number: None)
    tasks.start()
    for number in range(200):
        barrier = threading.Barrier(4)
        found: list[str] = []

        def submit(number: int = number, barrier: Any = barrier, found: Any = found) -> None:
            barrier.wait(_SOON)
            found.append(task.submit(number).id)

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_SOON)
        assert len(found) == 4
        assert len(set(found)) == 1
    assert tasks.ledger.counts()[JobState.QUEUED] == 200
    assert tasks.runtime._duplicates == {}


def test_the_key_is_no_part_of_what_a_client_sees(make_tasks: MakeTasks) -> None:
    """It may have other people's names in it."""
    tasks = make_tasks(run_jobs=False)
    job = tasks.task("index")(lambda: None).options_for(unique_key="user/7").submit()
    assert "user/7" not in json.dumps(job.status().as_dict())
