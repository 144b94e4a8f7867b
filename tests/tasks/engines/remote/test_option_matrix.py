"""The table of what each option of tasks does on each engine: each cell, with real workers."""

import contextlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

import matrixapp
from deploymenttools import free_port
from dewar.tasks.errors import JobTimeout, NotSupported, SoftTimeLimitExceeded, TaskSetupError
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import JobState
from dewar.tasks.ledger.schedule_table import ScheduleRow, ScheduleTable
from fartools import CeleryWorker, Redis, dask_cluster, lines
from polling import eventually

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "task-engines.md"
ENGINES = ("threads", "processes", "dask", "celery")
#: On a busy machine two new processes take a while, and each test starts two.
LIMIT = 120.0
Begin = Callable[..., None]


def table() -> dict[str, dict[str, str]]:
    """Return the cells, by option and engine."""
    found = PAGE.read_text(encoding="utf-8").partition("## What each option of a task does")[2]
    rows = re.findall(r"^\| `(\w+)`.*?\|(.*)\|$", found.partition("\n## ")[0], re.MULTILINE)
    return {
        name: dict(zip(ENGINES, cells.replace(" ", "").split("|"), strict=True))
        for name, cells in rows
    }


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """The settings of an engine, whose workers are started for this module."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "dask":
        with dask_cluster(folder) as url:
            yield {"TASKS_ENGINE": url}
    elif request.param == "celery":
        with (
            Redis(folder, free_port(), keeps=False) as redis,
            CeleryWorker(folder, redis.url, allow="matrixapp"),
        ):
            yield {"TASKS_ENGINE": redis.url}
    else:
        yield {f"TASKS_{request.param.upper()}": 2}


@pytest.fixture
def begin(engine: dict[str, Any], tmp_path: Path) -> Iterator[Begin]:
    """Begins to run jobs on the engine, on a new ledger, with more settings."""
    before = dict(matrixapp.app.config)

    def begin(**settings: Any) -> None:
        ledger = tmp_path / "jobs.sqlite3"
        matrixapp.app.config.update({"TASKS_LEDGER": ledger, **engine, **settings})
        matrixapp.tasks.start()

    yield begin
    (tmp_path / "go").touch()
    matrixapp.tasks.stop(LIMIT)
    matrixapp.app.config.clear()
    matrixapp.app.config.update(before)


@pytest.fixture
def is_yes(request: pytest.FixtureRequest) -> bool:
    """Whether the table says that the engine has the option that the test is named for."""
    option = request.node.originalname.removeprefix("test_option_")
    return table()[option][request.node.callspec.params["engine"]] == "yes"


def in_folder(gate: Path, count: int) -> list[str]:
    """Return the names of the jobs that have begun, when there are as many."""
    eventually(lambda: len(lines(gate / "began")) >= count, "the jobs", LIMIT)
    return lines(gate / "began")


def test_the_table_has_each_option_and_only_those() -> None:
    """Each has a test, and a cell is yes or no."""
    options = {name.removeprefix("test_option_") for name in globals() if "test_option_" in name}
    assert table().keys() == options
    assert {cell for row in table().values() for cell in row.values()} == {"yes", "no"}


def test_option_queue(begin: Begin, is_yes: bool, tmp_path: Path) -> None:
    """The process serves one queue, and the other waits."""
    begin(TASKS_QUEUES=["mail"])
    other = matrixapp.plain.submit(str(tmp_path), "other")
    matrixapp.plain.options_for(queue="mail").submit(str(tmp_path), "mail")
    assert (in_folder(tmp_path, 1) == ["mail"]) is is_yes
    assert other.status().state is JobState.QUEUED


def test_option_priority(begin: Begin, is_yes: bool, tmp_path: Path) -> None:
    """The last goes before others, but for what is claimed already; or it is refused."""
    begin()
    gate = str(tmp_path)
    urgent = matrixapp.plain.options_for(priority=5)
    if not is_yes:
        with pytest.raises(NotSupported, match=r"priority.*queue='urgent'"):
            urgent.submit(gate, "urgent")
        return
    jobs = [matrixapp.plain.submit(gate, "first") for _ in range(2)]
    in_folder(tmp_path, 2)
    jobs += [matrixapp.plain.submit(gate, "low") for _ in range(12)]
    jobs.append(urgent.submit(gate, "urgent"))
    (tmp_path / "go").touch()
    assert [job.result(LIMIT) for job in jobs]
    assert lines(tmp_path / "began").index("urgent") < 8


def test_option_rate(begin: Begin, is_yes: bool, tmp_path: Path) -> None:
    """One of two begins in an hour."""
    begin()
    (tmp_path / "go").touch()
    jobs = [matrixapp.rated.submit(str(tmp_path), number) for number in range(2)]
    assert (jobs[0].result(LIMIT) == 0) is is_yes
    assert matrixapp.pid.submit().result(LIMIT)
    assert jobs[1].status().state is JobState.QUEUED


def test_option_max_running(begin: Begin, is_yes: bool, tmp_path: Path) -> None:
    """The second waits although there is room, and begins at the end of the first."""
    begin()
    jobs = [matrixapp.single.submit(str(tmp_path), number) for number in range(2)]
    assert (in_folder(tmp_path, 1) == ["0"]) is is_yes
    assert matrixapp.pid.submit().result(LIMIT)
    assert jobs[1].status().state is JobState.QUEUED
    (tmp_path / "go").touch()
    assert [job.result(LIMIT) for job in jobs] == [0, 1]


def test_option_unique(begin: Begin, is_yes: bool, tmp_path: Path) -> None:
    """While one has not ended, there is no second one."""
    begin()
    first = matrixapp.unique.submit(str(tmp_path), "one")
    assert (matrixapp.unique.submit(str(tmp_path), "one") is first) is is_yes
    (tmp_path / "go").touch()
    assert first.result(LIMIT) == "one"
    assert matrixapp.unique.submit(str(tmp_path), "one") is not first


def test_option_delay(begin: Begin, is_yes: bool) -> None:
    """It does not begin before."""
    begin()
    job = matrixapp.pid.options_for(delay=0.3).submit()
    assert job.result(LIMIT)
    record = matrixapp.tasks.ledger.get(job.id)
    assert record is not None
    assert (record.started >= record.created + 0.3) is is_yes


def test_option_every(begin: Begin, is_yes: bool, tmp_path: Path) -> None:
    """A due time that was missed, by an interval and by cron, has a job, which gets the time."""
    ledger = open_ledger(tmp_path / "jobs.sqlite3")
    schedules = matrixapp.tasks.schedules()
    for name, schedule in schedules.items():
        due, rule = schedule.rule.after(0.0), str(schedule.rule)
        row = ScheduleRow(name=name, rule=rule, next_due=due, moved=due, declared=due, renewed=due)
        ScheduleTable(ledger.database).add(row)
    ledger.close()
    begin()
    for name, schedule in schedules.items():
        (record,) = eventually(lambda name=name: matrixapp.tasks.ledger.list(task=name))
        due_time = matrixapp.tasks.get(record.id).result(LIMIT)
        assert (schedule.rule.after(due_time.timestamp() - 1) == due_time.timestamp()) is is_yes
        assert str(due_time.tzinfo) == getattr(schedule.rule, "time_zone", "UTC")


def test_option_after(begin: Begin, is_yes: bool, tmp_path: Path) -> None:
    """It begins after the one before, and gets its result."""
    begin()
    first = matrixapp.plain.submit(str(tmp_path), "first")
    second = matrixapp.echo.submit([first])
    in_folder(tmp_path, 1)
    assert second.status().state is JobState.QUEUED
    (tmp_path / "go").touch()
    assert (second.result(LIMIT) == ["first"]) is is_yes


def test_option_retries(begin: Begin, is_yes: bool) -> None:
    """After an error, by the rules of the task."""
    begin()
    assert (matrixapp.third_time.submit().result(LIMIT) == 3) is is_yes


def test_option_connection(begin: Begin, is_yes: bool, tmp_path: Path) -> None:
    """It runs after the commit of the program's own transaction."""
    begin()
    engine = create_engine(f"sqlite:///{tmp_path / 'jobs.sqlite3'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))
        job = matrixapp.pid.submit(connection=connection)
    assert bool(job.result(LIMIT)) is is_yes
    engine.dispose()


def test_option_soft_timeout(begin: Begin, is_yes: bool) -> None:
    """The function gets an exception, and may end well; or it has not begun by then."""
    begin()
    with contextlib.suppress(SoftTimeLimitExceeded):
        assert (matrixapp.soft.submit().result(LIMIT) == "cleaned up") is is_yes


def test_option_timeout(begin: Begin, is_yes: bool) -> None:
    """It is stopped; or the submission is refused."""
    begin()
    if is_yes:
        with pytest.raises(JobTimeout):
            matrixapp.hard.submit().result(LIMIT)
    else:
        with pytest.raises(NotSupported, match="processes=2"):
            matrixapp.hard.submit()


def test_option_stop(begin: Begin, is_yes: bool, tmp_path: Path) -> None:
    """A running job is asked to end or stopped; or that is refused and it goes on."""
    begin()
    if not is_yes:
        job = matrixapp.plain.submit(str(tmp_path), "on")
        in_folder(tmp_path, 1)
        with pytest.raises(NotSupported, match="stop"):
            job.stop()
        (tmp_path / "go").touch()
        assert job.result(LIMIT) == "on"
        return
    job = matrixapp.until_cancelled.submit(str(tmp_path))
    eventually((tmp_path / "began").exists)
    assert job.stop()
    try:
        assert job.result(LIMIT) == "told"
    except CancelledError:
        assert job.status().state is JobState.CANCELLED


@pytest.mark.parametrize(
    "limit", [{"max_jobs_per_worker": 1}, {"max_memory_per_worker": "1M"}], ids=["jobs", "memory"]
)
def test_option_max_jobs_per_worker(
    begin: Begin, is_yes: bool, engine: dict[str, Any], limit: dict[str, Any]
) -> None:
    """Each job has a process of its own; or the setting is refused with the right place for it."""
    settings = {f"TASKS_{name.upper()}": value for name, value in limit.items()}
    if is_yes:
        begin(**settings)
        assert len({matrixapp.pid.submit().result(LIMIT) for _ in range(2)}) == 2
    else:
        where = "where the workers start" if "TASKS_ENGINE" in engine else "processes=2"
        with pytest.raises((NotSupported, SoftTimeLimitExceeded, TaskSetupError), match=where):
            begin(**settings)
