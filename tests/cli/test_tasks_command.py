"""``dewar tasks``: jobs in a real ledger, from a terminal."""

import contextlib
import inspect
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from dewar import Dewar
from dewar.cli.group import ScriptInfo
from dewar.cli.tasks_group import tasks_group
from dewar.tasks.ledger.ids import new_id
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.notifications import NoNotifications
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import AttemptStart, JobState, NewJob, Outcome, ProgressUpdate
from dewar.tasks.ledger.schema import workflows
from dewar.tasks.serialization.task_address import EXTENSION
from dewar.tasks.settings import TasksSettings
from dewar.tasks.webhooks.outbox import Outbox
from polling import eventually

Run = Callable[..., Result]
ERROR = json.dumps({"type": "shop:NoInk", "text": "no ink", "traceback": "Traceback: line 7"})


class StoredTasks:
    """The tasks of an app that is not served: a ledger, and what was asked to run."""

    json = json

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[Any] = []
        self.closed = 0
        #: What happens, one after the other, whenever a command asks whether something changed.
        self.story: list[Callable[[], Any]] = []
        self.stops = True
        self.store = open_ledger(path)

    def names(self) -> list[str]:
        return ["send", "resize"]

    def maybe_task(self, name: str) -> Any:
        def send(user: str, password: str = "", **more: object) -> None: ...

        signature = inspect.signature(send)
        return SimpleNamespace(signature=signature) if name in self.names() else None

    def settings(self) -> TasksSettings:
        return TasksSettings(poll=0.001)

    def open_ledger(self) -> Any:
        tasks = self

        class Store(Ledger):
            notifications = NoNotifications()

            def changes(self) -> int:
                if tasks.story:
                    tasks.story.pop(0)()
                return super().changes()

            def close(self) -> None:
                tasks.closed += 1
                super().close()

        return Store(open_ledger(self.path).database)

    def start(self) -> None:
        self.asked.append("start")

    def stop(self, timeout: float | None = None) -> bool:
        self.asked.append("stop")
        return self.stops

    # What a test makes of it.

    def put(self, task: str = "resize", state: JobState = JobState.QUEUED, **said: Any) -> str:
        """Put a job into the ledger and return its id."""
        # Ids of one millisecond sort either way; so each job has one of its own.
        self.last = max(time.time(), getattr(self, "last", 0.0) + 0.001)
        now = said.pop("at", None) or self.last
        id = new_id(now)
        new = NewJob(id=id, task=task, arguments="[[1], {}]", created=now, due=now, **said)
        self.store.write([new])
        self.move(id, state)
        return id

    def move(self, id: str, state: JobState, at: float = 0.0) -> None:
        """Have a job begin, and end in a state."""
        at = at or max(time.time(), self.last)
        if state is JobState.QUEUED:
            return
        begin = AttemptStart(id=id, owner="me", attempt=1, at=at)
        with contextlib.suppress(IndexError):
            self.store.claim("me", 10, at, self.names())
        end = {JobState.DONE: {"result": "7"}, JobState.FAILED: {"error": ERROR}}.get(state, {})
        self.store.write([begin])
        if state is not JobState.RUNNING:
            self.store.write([Outcome(id=id, owner="me", attempt=1, state=state, at=at, **end)])

    def state(self, id: str) -> JobState:
        job = self.store.get(id)
        assert job is not None
        return job.state


@pytest.fixture
def tasks(tmp_path: Path) -> Iterator[StoredTasks]:
    tasks = StoredTasks(tmp_path / "jobs.sqlite")
    yield tasks
    tasks.store.close()


@pytest.fixture
def app(tasks: StoredTasks) -> Dewar:
    app = Dewar("shop")
    app.extensions[EXTENSION] = tasks
    return app


@pytest.fixture
def run(app: Dewar) -> Run:
    """Run ``dewar tasks`` for the app."""

    def invoke(*args: str, **kwargs: Any) -> Result:
        info = ScriptInfo(create_app=lambda: app)
        return CliRunner().invoke(tasks_group, args, obj=info, prog_name="dewar tasks", **kwargs)

    return invoke


def interrupt() -> None:
    raise KeyboardInterrupt


def ids(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return re.findall(r"^([0-9a-v]{36}) ", result.stdout, re.MULTILINE)


# list


def test_the_newest_jobs_come_first(run: Run, tasks: StoredTasks) -> None:
    """One in a line below the names of the columns, without colours or boxes in a pipe."""
    put = [tasks.put(at=1000.0 + n) for n in range(3)]
    result = run("list")
    assert ids(result) == put[::-1]
    assert result.stdout.splitlines()[0].startswith("ID ")
    assert result.stdout.isascii()
    assert "\x1b" not in result.stdout
    assert tasks.closed == 1


def test_jobs_are_chosen_by_state_and_task(run: Run, tasks: StoredTasks) -> None:
    """And by their number."""
    failed = tasks.put(state=JobState.FAILED)
    done = tasks.put(state=JobState.DONE)
    other = tasks.put("send")
    assert ids(run("list", "--state", "failed")) == [failed]
    assert ids(run("list", "--task", "send")) == [other]
    assert ids(run("list", "--task", "resize")) == [done, failed]
    assert ids(run("list", "-n", "1")) == [other]


def test_no_jobs_are_no_error(run: Run) -> None:
    """Nothing goes to the pipe, and a word to the terminal."""
    result = run("list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "There are no such jobs.\n"


def test_jobs_are_printed_as_json(run: Run, tasks: StoredTasks) -> None:
    """An object a line; none is no line."""
    tasks.put(state=JobState.DONE)
    tasks.put("send")
    shown = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert [job["task"] for job in shown] == ["send", "resize"]
    assert (shown[1]["result"], shown[1]["arguments"]) == (7, [[1], {}])
    assert run("list", "--json", "--task", "x").stdout == ""


@pytest.mark.parametrize(
    "args", [["list", "--state", "x"], ["list", "-n", "0"], ["purge"], ["cancel"], ["x"]]
)
def test_a_wrong_call_ends_with_2(run: Run, args: list[str]) -> None:
    """And says how to call it."""
    result = run(*args)
    assert result.exit_code == 2
    assert "Usage: dewar tasks" in result.stderr


def test_what_changes_is_shown_until_it_is_interrupted(run: Run, tasks: StoredTasks) -> None:
    """In a pipe each change is a line; Ctrl-C is how it ends, and no error."""
    job = tasks.put()
    tasks.story = [
        lambda: None,
        lambda: tasks.move(job, JobState.RUNNING),
        lambda: None,
        lambda: tasks.put("send"),
        interrupt,
    ]
    result = run("list", "--watch")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [(line[1], line[-2]) for line in lines] == [
        ("queued", "resize"),
        ("running", "resize"),
        ("queued", "send"),
    ]


# show


def test_all_there_is_of_a_job_is_shown(run: Run, tasks: StoredTasks) -> None:
    """With the traceback of its error."""
    job = tasks.put(state=JobState.FAILED)
    result = run("show", job)
    assert result.exit_code == 0
    assert "state      failed\n" in result.stdout
    assert "error      shop:NoInk: no ink\n\nTraceback: line 7\n" in result.stdout
    assert json.loads(run("show", job, "--json").stdout)["error"]["type"] == "shop:NoInk"


@pytest.mark.parametrize(
    ("state", "code"), [(JobState.DONE, 0), (JobState.FAILED, 1), (JobState.LOST, 1)]
)
def test_a_job_is_followed_to_its_end(
    run: Run, tasks: StoredTasks, state: JobState, code: int
) -> None:
    """Each change in a line, then all there is; the exit code says whether it is done."""
    job = tasks.put()
    update = ProgressUpdate(id=job, fraction=0.5, message="half")
    tasks.story = [
        lambda: None,
        lambda: tasks.move(job, JobState.RUNNING),
        lambda: tasks.store.write([update]),
        lambda: tasks.store.write([Outcome(id=job, owner="me", attempt=1, state=state, at=1.0)]),
    ]
    result = run("show", job, "--follow")
    assert result.exit_code == code
    states = re.findall(rf"^{job}  (\w+) +(\S+)", result.stdout, re.MULTILINE)
    assert states == [("queued", "-"), ("running", "-"), ("running", "50%"), (state.value, "50%")]
    assert f"\nstate      {state.value}\n" in result.stdout


def test_a_job_that_has_ended_is_followed_at_once(run: Run, tasks: StoredTasks) -> None:
    """As JSON it is one line."""
    job = tasks.put(state=JobState.CANCELLED)
    result = run("show", "-f", "--json", job)
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 1)
    assert json.loads(result.stdout)["state"] == "cancelled"


def test_a_follower_that_is_interrupted_has_no_answer(run: Run, tasks: StoredTasks) -> None:
    """It ends with 1: nobody knows whether the job will be done."""
    tasks.story = [lambda: None, interrupt]
    assert run("show", tasks.put(), "--follow").exit_code == 1


# cancel, retry, purge


def test_jobs_that_wait_are_cancelled(run: Run, tasks: StoredTasks) -> None:
    """As many as are named."""
    put = [tasks.put(), tasks.put()]
    result = run("cancel", *put)
    assert (result.exit_code, result.stdout) == (0, "".join(f"Cancelled {job}.\n" for job in put))
    assert {tasks.state(job) for job in put} == {JobState.CANCELLED}


def test_jobs_that_run_are_cancelled_on_demand(run: Run, tasks: StoredTasks) -> None:
    """Their process is told; without the word for it they run on."""
    job = tasks.put(state=JobState.RUNNING)
    result = run("cancel", job)
    assert (result.exit_code, "--running" in result.stderr) == (1, True)
    assert list(tasks.store.stop_requests("me")) == []
    result = run("cancel", "--running", job)
    assert (result.exit_code, f"the process that runs {job}" in result.stdout) == (0, True)
    assert job in str(tasks.store.stop_requests("me"))


def test_each_job_is_dealt_with_though_one_is_refused(run: Run, tasks: StoredTasks) -> None:
    """The refused are told apart, and the exit code is 1."""
    done, waiting = tasks.put(state=JobState.DONE), tasks.put()
    result = run("cancel", "b" * 36, done, waiting)
    assert (result.exit_code, result.stdout) == (1, f"Cancelled {waiting}.\n")
    unknown, ended = result.stderr.splitlines()
    assert unknown.startswith("Error: There is no job 'bbbb")
    assert ended == f"Error: The job {done} has ended: it is done."


def test_a_workflow_is_shown_and_cancelled(run: Run, tasks: StoredTasks) -> None:
    """By its id: how far it is, and each of its jobs."""
    first = tasks.put(state=JobState.RUNNING, workflow="w_1")
    second = tasks.put(workflow="w_1", after=[first])
    with tasks.store.database.writing() as connection:
        row = {"id": "w_1", "created": 1.0, "ends": json.dumps(second)}
        connection.execute(workflows.insert(), row)
    shown = run("show", "w_1").stdout.splitlines()
    assert shown[0] == "w_1  running  0%  (1 queued, 1 running)"
    assert [line.split()[:2] for line in shown[1:]] == [[first, "running"], [second, "queued"]]
    assert "state      queued (waits for other jobs)\n" in run("show", second).stdout
    assert "workflow   w_1\n" in run("show", second).stdout
    told = run("cancel", "w_1", "--running").stdout
    assert told == "Cancelled 1 jobs of w_1; told 1 of 1 to stop.\n"
    assert tasks.state(second) is JobState.CANCELLED
    assert first in str(tasks.store.stop_requests("me"))


def test_the_callback_of_a_cancelled_job_is_made(run: Run, tasks: StoredTasks) -> None:
    """It is in the outbox, as if a process that runs jobs had cancelled it."""
    job = tasks.put(callback="https://example.com/")
    assert run("cancel", job).exit_code == 0
    [delivery] = Outbox(tasks.store.database).of_job(job)
    assert json.loads(delivery.body)["state"] == "cancelled"
    assert "posted     pending, 0 attempts\n" in run("show", job).stdout


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.LOST])
def test_what_ended_badly_runs_again(run: Run, tasks: StoredTasks, state: JobState) -> None:
    """It waits, for whichever process takes it."""
    job = tasks.put(state=state)
    result = run("retry", job)
    assert (result.exit_code, result.stdout) == (0, f"{job} waits to run again.\n")
    assert tasks.state(job) is JobState.QUEUED


def test_a_workflow_runs_again_where_it_failed(run: Run, tasks: StoredTasks) -> None:
    """Its jobs that failed or are lost; what these have stopped waits for them by itself."""
    states = [JobState.DONE, JobState.FAILED, JobState.LOST, JobState.CANCELLED]
    jobs = [tasks.put(state=state, workflow="w_1") for state in states]
    with tasks.store.database.writing() as connection:
        row = {"id": "w_1", "created": 1.0, "ends": json.dumps(jobs)}
        connection.execute(workflows.insert(), row)
    result = run("retry", "w_1")
    assert sorted(line.split()[0] for line in result.stdout.splitlines()) == sorted(jobs[1:3])
    assert "No job of the workflow w_1 failed" in run("retry", "w_1").stderr


@pytest.mark.parametrize("state", [JobState.DONE, JobState.RUNNING, JobState.QUEUED])
def test_other_jobs_do_not_run_again(run: Run, tasks: StoredTasks, state: JobState) -> None:
    """What is done stays done."""
    job = tasks.put(state=state)
    result = run("retry", job)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"is {state.value}. Only jobs that failed" in result.stderr
    assert tasks.state(job) is state


def test_old_jobs_are_deleted_when_that_is_confirmed(run: Run, tasks: StoredTasks) -> None:
    """Only what has ended, and before the moment."""
    old, waiting = tasks.put(at=1e9), tasks.put(at=1e9 + 1)
    tasks.move(old, JobState.DONE, at=1e9 + 5)
    new = tasks.put(state=JobState.DONE)
    result = run("purge", "--before", "1d", input="n\n")
    assert (result.exit_code, "before 20" in result.stdout) == (1, True)
    assert tasks.state(old) is JobState.DONE
    assert "Deleted 1 jobs." in run("purge", "--before", "1d", input="y\n").stdout
    assert tasks.store.get(old) is None
    assert {tasks.state(waiting), tasks.state(new)} == {JobState.QUEUED, JobState.DONE}
    assert run("purge", "--yes", "--before", "2001-01-01").output == "Deleted 0 jobs.\n"


# What goes wrong


@pytest.mark.parametrize("args", [["show"], ["show", "--follow"], ["retry"], ["cancel"]])
def test_an_unknown_job_is_an_error_in_a_line(run: Run, args: list[str]) -> None:
    """No traceback, and no repr of a key."""
    result = run(*args, "nothing")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: There is no job 'nothing' in the ledger; it may have been purged.\n"
    )


def test_an_app_without_tasks_is_told_so(run: Run, app: Dewar) -> None:
    """With how to have them."""
    del app.extensions[EXTENSION]
    result = run("list")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: The app 'shop' has no tasks: tasks = Tasks(app).\n",
    )


def test_a_ledger_that_fails_is_an_error_in_a_line(
    run: Run, tasks: StoredTasks, tmp_path: Path
) -> None:
    """For instance one whose file is none."""
    tasks.path = tmp_path / "text"
    tasks.path.write_text("no database" * 1000)
    result = run("list")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_no_command_but_one_begins_to_work(run: Run, tasks: StoredTasks) -> None:
    """Looking at jobs runs none."""
    job = tasks.put()
    for args in (
        ["list"],
        ["show", job],
        ["cancel", job],
        ["retry", job],
        ["purge", "--before", "1d"],
    ):
        run(*args, input="n\n")
    assert tasks.asked == []


# work


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_works_until_it_is_told_to_stop(
    run: Run, tasks: StoredTasks, app: Dewar, number: int
) -> None:
    """It says so in one line, ends in order with 0, and leaves the handlers as they were."""
    before = signal.getsignal(number)
    tasks.start = lambda: (tasks.asked.append("start"), os.kill(os.getpid(), number))  # type: ignore[method-assign, assign, return-value]
    result = run("work")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"Process {os.getpid()} runs jobs of resize, send.\n"
    assert tasks.asked == ["start", "stop"]
    assert signal.getsignal(number) is before
    assert app.config["TASKS_RUN_JOBS"] is True


WAITS = ["wait", "wait", "work_command"]


def callers(frame: FrameType | None) -> list[str]:
    """Return the names of the functions that run, the innermost first."""
    return [] if frame is None else [frame.f_code.co_name, *callers(frame.f_back)]


def test_a_signal_that_another_thread_gets_stops_it_too(run: Run, tasks: StoredTasks) -> None:
    """The system chooses the thread, and the main one waits at that time."""
    main = threading.main_thread().ident
    assert main is not None

    def signal_here() -> None:
        eventually(lambda: callers(sys._current_frames()[main])[:3] == WAITS)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    tasks.start = lambda: threading.Thread(target=signal_here).start()  # type: ignore[method-assign]
    result = run("work")
    assert (result.exit_code, result.stderr) == (0, "")


def test_who_gives_jobs_up_says_so(
    run: Run, tasks: StoredTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs that could not be waited for are an error, and the process does not wait for them."""
    monkeypatch.setattr(os, "_exit", sys.exit)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    tasks.stops = False
    tasks.start = lambda: os.kill(os.getpid(), signal.SIGTERM)  # type: ignore[method-assign]
    result = run("work")
    assert (result.exit_code, "ran too long" in result.stderr) == (1, True)


def test_a_process_that_works_serves_its_metrics(run: Run, tasks: StoredTasks) -> None:
    """At the address that it is told, while it works; one that cannot be is refused."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    pages: list[bytes] = []

    def scrape() -> None:
        with urlopen(f"http://{address}/metrics") as answer:
            pages.append(answer.read())
        os.kill(os.getpid(), signal.SIGTERM)

    tasks.start = scrape  # type: ignore[method-assign]
    result = run("work", "--metrics", address)
    assert (result.exit_code, result.stderr) == (0, "")
    assert b"dewar_build_info" in pages[0]
    with pytest.raises(URLError):
        urlopen(f"http://{address}/metrics")
    refused = run("work", "--metrics", "nowhere")
    assert refused.exit_code == 1
    assert "nowhere" in refused.stderr


def test_a_process_serves_the_queues_that_it_is_told(
    run: Run, app: Dewar, tasks: StoredTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instead of those of the configuration; a name that is none is refused."""
    tasks.start = lambda: os.kill(os.getpid(), signal.SIGTERM)  # type: ignore[method-assign]
    app.config["TASKS_QUEUES"] = ["other"]
    monkeypatch.setattr(
        tasks,
        "settings",
        lambda: TasksSettings.of({}, {"TASKS_QUEUES": app.config["TASKS_QUEUES"]}),
    )
    result = run("work", "--queues", "mail, default")
    assert (result.exit_code, app.config["TASKS_QUEUES"]) == (0, ["mail", "default"])
    refused = run("work", "--queues", "mail,,")
    assert refused.exit_code == 1
    assert "queue=''" in refused.stderr


def test_queues_that_the_code_names_are_not_overridden(
    run: Run, tasks: StoredTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command says where to set them."""
    monkeypatch.setattr(tasks, "settings", lambda: TasksSettings(queues=["bulk"]))
    result = run("work", "--queues", "mail")
    assert result.exit_code == 1
    assert "TASKS_QUEUES = [...]" in result.stderr
    assert "start" not in tasks.asked


def test_the_jobs_of_a_queue_are_listed(run: Run, tasks: StoredTasks) -> None:
    """With the queue of each job."""
    mail, plain = tasks.put(queue="mail"), tasks.put()
    result = run("list", "--queue", "mail")
    assert mail in result.stdout
    assert plain not in result.stdout
    assert run("list").stdout.split().count("default") == 1
    assert json.loads(run("list", "--queue", "default", "--json").stdout)["queue"] == "default"


def test_a_job_is_not_repeated_beside_one_with_its_key(run: Run, tasks: StoredTasks) -> None:
    """The others of the call are."""
    failed = tasks.put(state=JobState.FAILED, unique_key="k")
    other = tasks.put(state=JobState.FAILED)
    tasks.put(unique_key="k")
    result = run("retry", failed, other)
    assert result.exit_code == 1
    assert "with the same key has not ended" in result.stderr
    assert (tasks.state(failed), tasks.state(other)) == (JobState.FAILED, JobState.QUEUED)


def test_tasks_that_never_work_are_told_so(run: Run, tasks: StoredTasks) -> None:
    """The configuration can be overridden, what the code says cannot."""
    tasks.settings = lambda: TasksSettings(run_jobs=False)  # type: ignore[method-assign]
    result = run("work")
    assert (result.exit_code, "TASKS_RUN_JOBS" in result.stderr, tasks.asked) == (1, True, [])


PRESS = """
from dewar import Dewar, Tasks

app = Dewar("press", instance_path={folder!r})
app.config["TASKS_RUN_JOBS"] = False
tasks = Tasks(app, poll=0.02)

@tasks.task("print")
def print_pages(pages):
    return pages + 1
"""


def test_processes_that_serve_leave_the_work_to_one_that_works(
    write: Callable[[str, str], Path], folder: Path
) -> None:
    """A job is submitted here, run in another process, and looked at from a third."""
    write("press.py", PRESS.format(folder=str(folder)))
    command = [sys.executable, "-m", "dewar", "--app", "press", "tasks"]
    submit = "import press; print(press.print_pages.submit(6).id); press.tasks.stop()"
    job = _output([sys.executable, "-c", submit], folder).strip()
    assert job in _output([*command, "list", "--state", "queued"], folder)
    with subprocess.Popen(
        [*command, "work"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as worker:
        try:
            shown = json.loads(
                _output([*command, "show", "--follow", "--json", job], folder).splitlines()[-1]
            )
            worker.terminate()
            output, errors = worker.communicate(timeout=30)
        finally:
            worker.kill()
    assert (shown["state"], shown["result"]) == ("done", 7)
    assert (worker.returncode, errors) == (0, "")
    assert output == f"Process {worker.pid} runs jobs of print.\n"


HOLD = """
import threading
from dewar import Dewar, Tasks

app = Dewar("hold", instance_path={folder!r})
app.config.update(TASKS_RUN_JOBS=False, TASKS_SHUTDOWN_TIMEOUT=0.1)
tasks = Tasks(app, poll=0.02)

@tasks.task(idempotent=False)
def hold():
    print("began", flush=True)
    threading.Event().wait()
"""


def test_a_job_that_outlasts_its_time_ends_with_the_process(
    write: Callable[[str, str], Path], folder: Path
) -> None:
    """The process names it, and ends; the next one finds it lost, because it never ended."""
    write("hold.py", HOLD.format(folder=str(folder)))
    command = [sys.executable, "-m", "dewar", "--app", "hold", "tasks"]
    submit = "import hold; print(hold.hold.submit().id); hold.tasks.stop()"
    job = _output([sys.executable, "-c", submit], folder).strip()
    with subprocess.Popen(
        [*command, "work"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as worker:
        try:
            assert worker.stdout is not None
            assert "began\n" in iter(worker.stdout.readline, "")
            worker.terminate()
            _, errors = worker.communicate(timeout=30)
        finally:
            worker.kill()
    assert worker.returncode == 1
    assert f"The job {job} of hold still runs after 0.1 seconds" in errors
    assert _states(command, folder) == ["running"]
    # A process that only accepts jobs recovers those of dead ones too.
    _output([sys.executable, "-c", "import hold; hold.tasks.start()"], folder, errors="lost: 1")
    assert _states(command, folder) == ["lost"]


def _states(command: list[str], folder: Path) -> list[str]:
    lines = _output([*command, "list", "--json"], folder).splitlines()
    return [json.loads(line)["state"] for line in lines]


def _output(command: list[str], folder: Path, errors: str = "") -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, errors in done.stderr) == (0, True)
    assert errors or not done.stderr
    return done.stdout


STUBBORN = """
import signal
import threading

from dewar.cli.tasks_work import until_stop_signal

with until_stop_signal() as told:
    print("ready", flush=True)
    told.wait()
    print("told", flush=True)
    threading.Event().wait()
"""


def test_a_second_signal_ends_at_once(folder: Path) -> None:
    """Nobody has to wait for jobs who does not want to."""
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "told\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == -signal.SIGTERM
        finally:
            process.kill()


def test_a_list_shows_arguments_shortened_and_without_credentials(
    run: Run, tasks: StoredTasks
) -> None:
    """By the names of parameters, also of those that were given by place."""
    arguments = json.dumps([["ann", "hunter2"], {"token": "t", "text": "x" * 200}])
    now = time.time()
    tasks.store.write(
        [NewJob(id=new_id(now), task="send", arguments=arguments, created=now, due=now)]
    )
    line = run("list").stdout.splitlines()[1]
    assert line.endswith("…")
    assert 'send              ("ann", ***, token=***, text="xxx' in line
    assert len(line) < 200


def test_jobs_are_found_by_time_and_error(run: Run, tasks: StoredTasks) -> None:
    """Since a time and before one, and by a part of the error in any case."""
    old = tasks.put(at=time.time() - 7200)
    failed = tasks.put(state=JobState.FAILED)

    def found(*args: str) -> list[str]:
        shown = run("list", "--json", *args).stdout.splitlines()
        return [json.loads(line)["id"] for line in shown]

    assert found("--since", "1h") == [failed]
    assert found("--until", "1h") == [old]
    assert found("--error", "NO INK") == [failed]
    assert found("--error", "no%ink") == []


def test_many_jobs_run_again_after_a_question(run: Run, tasks: StoredTasks) -> None:
    """Those that are meant, however many; failed ones if no state is named."""
    failed = [tasks.put(state=JobState.FAILED) for _ in range(3)]
    other = tasks.put("send", state=JobState.FAILED)
    asked = run("retry", "--task", "resize", input="n\n")
    assert asked.exit_code == 1
    assert "Run 3 failed jobs again?" in asked.stderr
    assert tasks.state(failed[0]) is JobState.FAILED
    result = run("retry", "--task", "resize", "--yes", "--json")
    assert result.exit_code == 0
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert {line["id"] for line in told} == set(failed)
    assert all(line["retried"] for line in told)
    assert {tasks.state(id) for id in failed} == {JobState.QUEUED}
    assert tasks.state(other) is JobState.FAILED
    assert "no such jobs" in run("retry", "--state", "lost", "--yes").stderr


@pytest.mark.parametrize("args", [[], ["some-id", "--task", "resize"]])
def test_jobs_are_named_or_described(run: Run, args: list[str]) -> None:
    """Neither all jobs by mistake, nor two ways at once."""
    result = run("retry", *args)
    assert result.exit_code == 2
    assert "either their ids, or --state" in result.stderr


def test_queues_are_shown_again_and_again(
    run: Run, tasks: StoredTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until Ctrl-C, after each wait for a change."""
    waits: list[Callable[[], object]] = [lambda: tasks.put("send"), interrupt]
    monkeypatch.setattr(
        "dewar.cli.tasks_queues.change_waiter", lambda ctx, store: lambda: waits.pop(0)()
    )
    tasks.put("resize")
    result = run("queues", "--watch", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    shown = [json.loads(line)["task"] for line in result.stdout.splitlines()]
    assert shown == ["resize", "resize", "send"]


def test_queues_are_shown_with_what_waits_and_runs(run: Run, tasks: StoredTasks) -> None:
    """By queue and task: how many, how old the oldest is, and when the next is due."""
    assert "No jobs wait or run" in run("queues").stderr
    now = time.time()
    tasks.put(at=now - 90)
    tasks.put(state=JobState.DONE)
    tasks.store.write(
        [
            NewJob(id=new_id(now), task="send", arguments="[[],{}]", created=now, due=now + 3600,
                   queue="mail", limited=True)
        ]
    )  # fmt: skip
    head, first, second = run("queues").stdout.splitlines()
    assert head.split() == ["WAITING", "LATER", "RUNNING", "OLDEST", "NEXT", "QUEUE", "TASK"]
    assert first.split()[:3] == ["1", "0", "0"]
    assert first.split()[3].startswith("1m3")
    assert first.split()[-2:] == ["default", "resize"]
    assert second.split()[:4] == ["0", "1", "0", "-"]
    assert second.split()[-2:] == ["mail", "send"]
    shown = [json.loads(line) for line in run("queues", "--json").stdout.splitlines()]
    assert [(one["queue"], one["waiting"], one["later"]) for one in shown] == [
        ("default", 1, 0),
        ("mail", 0, 1),
    ]
    assert 89 < shown[0]["oldest_seconds"] < 120
