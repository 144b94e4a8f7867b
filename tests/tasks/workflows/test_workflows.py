"""Chains, groups and chords, as a program uses them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dewar import chain, chord, group
from dewar.tasks.errors import (
    DependencyFailed,
    Duplicate,
    JobFailed,
    QueueFull,
    TaskSetupError,
    UnknownJob,
)
from dewar.tasks.ledger.records import JobState
from dewar.tasks.progress import current_job
from dewar.tasks.submission import Submission
from dewar.tasks.tasks import Tasks
from dewar.tasks.workflows import plan
from polling import eventually

MakeTasks = Callable[..., Tasks]
_SOON = 30.0


@pytest.fixture
def make_tasks(tmp_path: Path) -> Iterator[MakeTasks]:
    """Makes tasks that share a ledger, as those of several processes do."""
    made: list[Tasks] = []

    def make(**settings: Any) -> Tasks:
        kept = {"ledger": tmp_path / "jobs.sqlite", "poll": 0.02, "threads": 2}
        tasks = Tasks(**{**kept, **settings})
        made.append(tasks)
        return tasks

    yield make
    for tasks in made:
        tasks.stop(_SOON)


class Program:
    """Some tasks, and what they have done."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self.open = threading.Event()
        self.began = threading.Semaphore(0)
        self.calls: list[Any] = []
        self.add = tasks.task("add")(self._add)
        self.total = tasks.task("total")(self._total)
        self.fail = tasks.task("fail")(self._fail)
        self.hold = tasks.task("hold")(self._hold)
        self.note = tasks.task("note")(self._note)

    def _add(self, a: int, b: int = 1) -> int:
        return a + b

    def _total(self, values: list[int]) -> int:
        return sum(values)

    def _fail(self, *args: Any) -> None:
        raise ValueError(f"not with {args}")

    def _hold(self, *_args: Any) -> str:
        current_job.progress(0.5)
        self.began.release()
        assert self.open.wait(_SOON)
        current_job.raise_if_cancelled()
        return "through"

    def _note(self, *args: Any, **kwargs: Any) -> str:
        self.calls.append((args, kwargs))
        return "noted"


@pytest.fixture
def program(make_tasks: MakeTasks) -> Iterator[Program]:
    found = Program(make_tasks())
    yield found
    found.open.set()


def test_a_step_of_a_chain_gets_the_result_before(program: Program) -> None:
    """As its first argument, before those that were given; the workflow has the last result."""
    add = program.add
    workflow = chain(add.s(1), add.s(10), add.s(b=100)).submit()
    assert workflow.result(_SOON) == 112
    assert [job.result(_SOON) for job in workflow.jobs] == [2, 12, 112]
    status = workflow.status()
    assert (status.state, status.result) == (JobState.DONE, 112)
    assert workflow.done()


def test_an_immutable_call_gets_none(program: Program) -> None:
    """Its arguments are those that were given."""
    chain(program.add.s(1), program.note.si(7, key="x")).submit().result(_SOON)
    assert program.calls == [((7,), {"key": "x"})]


def test_a_group_has_a_list_of_results(program: Program) -> None:
    """In the order of its steps, which may be chains and groups."""
    add = program.add
    workflow = group(add.s(1), chain(add.s(2), add.s(3)), group(add.s(4), add.s(5))).submit()
    assert workflow.result(_SOON) == [2, 6, [5, 6]]
    assert workflow.status().result is None
    assert group(add.s(number) for number in range(3)).submit().result(_SOON) == [1, 2, 3]


def test_a_chord_runs_its_body_after_the_header(program: Program) -> None:
    """With the list of the header's results; a chain with a group in it is the same."""
    add, total = program.add, program.total
    header = [add.s(number) for number in range(10)]
    assert chord(header, total.s()).submit().result(_SOON) == 55
    assert chain(group(header), total.s(), add.s(5)).submit().result(_SOON) == 60
    for alone in (add.s(1), chain(add.s(1)), group(add.s(1))):
        assert chord(alone, total.s()).submit().result(_SOON) == 2
    wide = chain(add.s(1), group(add.s(1), add.s(2)), group(total.s(), total.s()))
    assert wide.submit().result(_SOON) == [7, 7]


def test_results_keep_their_types(program: Program) -> None:
    """They travel as other arguments do, wherever they stand."""
    echo = program.tasks.task("echo")(_echo)
    assert chain(echo.s((1, {2})), echo.s()).submit().result(_SOON) == [[(1, {2})]]
    text = '{"$result": "not an id"} \\ "'
    assert chain(echo.s(text), echo.s()).submit().result(_SOON) == [[text]]
    first = echo.submit(b"x")
    last = echo.options_for(after=first).submit({"a": [first]}, 7)
    assert last.result(_SOON) == [{"a": [[b"x"]]}, 7]


def _echo(*args: Any) -> list[Any]:
    return list(args)


def test_a_failure_stops_the_chain(program: Program) -> None:
    """The workflow raises what its job raised; the jobs after that one are cancelled."""
    workflow = chain(program.add.s(1), program.fail.s(), program.note.s()).submit()
    with pytest.raises(ValueError, match=r"not with \(2,\)"):
        workflow.result(_SOON)
    status = workflow.status()
    assert status.state is JobState.FAILED
    assert status.jobs[JobState.CANCELLED] == 1
    assert status.error is not None
    assert status.error["type"] == "builtins:ValueError"
    _, failed, last = workflow.jobs
    assert last.cancelled()
    error = last.status().error
    assert error is not None
    assert failed.id in error["text"]
    with pytest.raises(CancelledError, match=failed.id):
        last.result(_SOON)
    assert program.calls == []


def test_a_step_that_continues_gets_the_failure(program: Program) -> None:
    """As a `JobFailed` in the place of the result; the workflow is done if its end is."""
    workflow = chord([program.add.s(1), program.fail.s()], program.note.s(), on_failure="continue")
    handle = workflow.submit()
    assert handle.result(_SOON) == "noted"
    (((value, failure),), _) = program.calls[0]
    assert value == 2
    assert isinstance(failure, JobFailed)
    assert failure.type == "builtins:ValueError"
    assert handle.status().state is JobState.DONE


def test_one_step_may_continue(program: Program) -> None:
    """Its own option goes before that of the chain."""
    steps = program.fail.s(), program.note.options_for(on_failure="continue").s()
    assert chain(*steps, on_failure="stop").submit().result(_SOON) == "noted"


def test_a_job_waits_for_jobs(program: Program) -> None:
    """With `after`, and for those among its arguments."""
    first = program.hold.submit()
    second = program.note.options_for(after=[first]).submit("x")
    third = program.add.options_for(after=second).submit(program.add.submit(1), 5)
    assert second.status().state is JobState.QUEUED
    assert program.calls == []
    program.open.set()
    assert third.result(_SOON) == 7
    assert program.calls == [(("x",), {})]


def test_a_job_among_the_arguments_is_waited_for(program: Program) -> None:
    """However the job is submitted; a text or a dict that looks like a result is none."""
    first = program.hold.submit()
    lookalikes = {"$result": first.id}, f'{{"$result": "{first.id}"}}'
    jobs = [
        program.note.submit(first, kept=[first, {"in": first}]),
        *program.note.map([first], [1]),
        program.note.submit_later(first, delay=0),
        program.note.options_for(priority=1).submit(first),
        chain(program.note.s(first)).submit(),
        program.note.submit(group(program.add.si(1), program.add.si(2)).submit()),
        program.note.submit(*lookalikes),
    ]
    program.began.acquire()
    jobs[-1].result(_SOON)
    assert jobs[0].status().state is JobState.QUEUED
    program.open.set()
    for job in jobs:
        job.result(_SOON)
    calls = {repr(call) for call in program.calls}
    assert calls == {
        repr((("through",), {"kept": ["through", {"in": "through"}]})),
        repr((("through", 1), {})),
        repr((("through",), {})),
        repr((([2, 3],), {})),
        repr((lookalikes, {})),
    }


def test_a_step_is_followed_by_a_bar(program: Program) -> None:
    """As in Celery. A chain that grows one by one is as flat as one that is written at once."""
    steps = program.add.s(0)
    assert (group(steps, steps) | program.total.s() | program.add.s(5)).submit().result(_SOON) == 7
    for _ in range(2000):
        steps = steps | program.add.s()
    assert len(steps.steps) == 2001
    failing = chain(program.fail.s(), program.note.s(), on_failure="continue")
    assert (failing | program.note.s()).submit().result(_SOON) == "noted"


def test_a_job_waits_for_a_workflow(program: Program) -> None:
    """For the jobs that it ends with; as an argument it is its result."""
    workflow = group(program.add.s(1), program.add.s(2)).submit()
    assert program.total.options_for(after=[workflow]).submit(workflow).result(_SOON) == 5


def test_a_job_submits_what_waits(program: Program) -> None:
    """A workflow and a job after others can be submitted in a job."""

    def submit() -> str:
        return chain(program.add.s(1), program.add.s(1)).submit().id

    id = program.tasks.task("submit")(submit).submit().result(_SOON)
    assert program.tasks.get_workflow(id).result(_SOON) == 3


def test_a_workflow_is_found_by_its_id(program: Program, make_tasks: MakeTasks) -> None:
    """In another process, too, while it runs and when it has ended."""
    workflow = chain(program.add.s(1), program.hold.s(), program.note.s()).submit()
    assert program.began.acquire(timeout=_SOON)
    other = make_tasks(run_jobs=False)
    found = other.get_workflow(workflow.id)
    assert found.status().state is JobState.RUNNING
    assert [job.id for job in found.jobs] == [job.id for job in workflow.jobs]
    program.open.set()
    assert found.result(_SOON) == "noted"
    with pytest.raises(UnknownJob):
        other.get_workflow("w_nothing")


def test_a_workflow_tells_its_progress(program: Program) -> None:
    """Its ended jobs, and the share of those that run."""
    workflow = chain(program.add.s(1), program.hold.s(), program.note.s(), program.note.s())
    handle = workflow.submit()
    assert program.began.acquire(timeout=_SOON)

    def told() -> tuple[float, str]:
        progress = handle.status().progress
        assert progress is not None
        return progress.fraction, progress.message

    eventually(lambda: told() == (0.375, "1 of 4 jobs done"))


def test_a_workflow_is_cancelled_as_a_whole(program: Program) -> None:
    """What waits does not run; what runs goes on, unless it is stopped."""
    workflow = chain(program.hold.s(), program.note.s(), program.note.s()).submit()
    assert program.began.acquire(timeout=_SOON)
    assert workflow.cancel()
    assert not workflow.cancel()
    with pytest.raises(CancelledError):
        workflow.result(_SOON)
    assert not workflow.done()
    assert workflow.stop()
    program.open.set()
    with pytest.raises(CancelledError):
        workflow.jobs[0].result(_SOON)
    assert workflow.status().state is JobState.CANCELLED
    assert program.calls == []


def test_a_function_is_called_at_the_end(program: Program) -> None:
    """Once, when all jobs have ended, however they did."""
    ended = threading.Event()
    seen: list[Any] = []

    def note(workflow: Any) -> None:
        seen.append(workflow.status().state)
        ended.set()

    chain(program.add.s(1), program.fail.s(), program.note.s()).submit().add_done_callback(note)
    assert ended.wait(_SOON)
    assert seen == [JobState.FAILED]


def test_a_retry_by_hand_continues_a_stopped_chain(program: Program) -> None:
    """The steps that were cancelled wait again for the one that is run again."""
    fails = [True]

    def may_fail(value: int) -> int:
        if fails.pop() if fails else False:
            raise ValueError(value)
        return value * 10

    task = program.tasks.task("may_fail")(may_fail)
    workflow = chain(program.add.s(1), task.s(), program.add.s(3)).submit()
    with pytest.raises(ValueError, match="2"):
        workflow.result(_SOON)
    assert program.tasks.ledger.retry(workflow.jobs[1].id, 0.0)
    assert program.tasks.get_workflow(workflow.id).result(_SOON) == 23


def test_a_stopped_job_that_is_retried_alone_says_what_it_needs(program: Program) -> None:
    """It fails, because the result that is its argument is not there."""
    workflow = chain(program.fail.s(), program.note.s()).submit()
    with pytest.raises(ValueError, match="not with"):
        workflow.result(_SOON)
    last = workflow.jobs[1]
    assert program.tasks.ledger.retry(last.id, 0.0)
    with pytest.raises(DependencyFailed, match="dewar tasks retry"):
        program.tasks.get(last.id).result(_SOON)


def test_a_workflow_is_accepted_whole(make_tasks: MakeTasks) -> None:
    """If a queue is full, or a job has the key of another one, nothing of it is."""
    tasks = make_tasks(run_jobs=False)
    small = tasks.task("small", max_queue=1)(_echo)
    unique = tasks.task("unique", unique=True)(_echo)
    unique.submit(1)
    with pytest.raises(QueueFull):
        group(small.s(1), small.s(2)).submit()
    with pytest.raises(Duplicate):
        group(small.s(1), unique.s(1)).submit()
    assert tasks.ledger.counts()[JobState.QUEUED] == 1
    group(small.s(1), unique.s(2)).submit()
    # Those that wait for others take no place.
    chain(unique.s(3), small.s(), small.s()).submit()


def test_each_option_of_a_step_counts(make_tasks: MakeTasks) -> None:
    """As for a job that is submitted alone; `connection` is refused."""
    program = Program(make_tasks(run_jobs=False))
    before = program.add.submit(1)
    given = {
        "delay": 3600,
        "queue": "mail",
        "priority": 7,
        "unique_key": "one",
        "after": [before],
        "on_failure": "continue",
    }
    (job,) = chain(program.add.options_for(**given).s(1)).submit().jobs
    record = program.tasks.ledger.get(job.id)
    assert record is not None
    assert (record.queue, record.priority, record.unique_key) == ("mail", 7, "one")
    assert record.due > record.created + 3000
    assert record.is_blocked
    known = {field.name for field in fields(Submission)}
    tested = {"due", "queue", "priority", "unique_key", "after", "continues"}
    elsewhere = {"callback", "connection", "workflow"}
    assert known == tested | elsewhere


def test_mistakes_are_named(
    make_tasks: MakeTasks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At the call that makes them."""
    program = Program(make_tasks(run_jobs=False))
    other = make_tasks(run_jobs=False, ledger=tmp_path / "other.sqlite").task("elsewhere")(_echo)
    add = program.add
    with pytest.raises(TaskSetupError, match=r"task\.s\(1\)"):
        chain(add.s(1), 2)
    with pytest.raises(TaskSetupError, match="needs a step"):
        group()
    with pytest.raises(TaskSetupError, match="'stop'"):
        chain(add.s(1), on_failure="ignore")
    with pytest.raises(TaskSetupError, match="another Tasks"):
        chain(add.s(1), other.s()).submit()
    with pytest.raises(TypeError):
        chain(add.s(1), add.s(1, 2, 3)).submit()
    with pytest.raises(TaskSetupError, match="after="):
        add.options_for(after=[add.s(1)])
    with pytest.raises(UnknownJob):
        add.options_for(after=["nothing"]).submit(1)
    with pytest.raises(UnknownJob):
        chain(add.options_for(after=["nothing"]).s(1)).submit()
    elsewhere = other.submit()
    with pytest.raises(UnknownJob):
        add.map([elsewhere], [1])
    with pytest.raises(TypeError, match=r"add\.options_for\(after=\.\.\.\)\.submit"):
        add.submit(1, after=[elsewhere])  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"argument 'c'$"):
        add.submit(1, c=2)  # type: ignore[call-arg]
    with pytest.raises(UnknownJob, match=r"tasks\.get_workflow\(id\)"):
        program.tasks.get("w_1")
    with pytest.raises(UnknownJob, match=r"tasks\.get\(id\)"):
        program.tasks.get_workflow("1")
    monkeypatch.setattr(plan, "MOST_DEPENDENCIES", 8)
    with pytest.raises(TaskSetupError, match="between two large groups"):
        chain(group(add.s(1) for _ in range(3)), group(add.si(1) for _ in range(3))).submit()
    assert program.tasks.ledger.counts()[JobState.QUEUED] == 0


def test_things_say_what_they_are(program: Program) -> None:
    """Calls that are not submitted look like the code that makes them."""
    steps = chain(program.add.s(1, b=2), group(program.note.si()))
    assert repr(steps) == "chain(add.s(1, b=2), group(note.si()))"
    workflow = steps.submit()
    assert repr(workflow) == f"<Workflow {workflow.id}>"
