"""The ledgers of several apps in one PostgreSQL database."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine

from dewar import Dewar
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.tasks import Tasks

_SOON = 30.0
#: Nothing in a test may wait for a poll.
_NEVER = 3600.0
MakeApp = Callable[..., Tasks]


@pytest.fixture
def make_app(empty_postgresql_url: str) -> Iterator[MakeApp]:
    """Makes the tasks of an app, one of which returns the name of the app."""
    made: list[Tasks] = []

    def make(name: str, **settings: Any) -> Tasks:
        app = Dewar(name)
        app.config.update(TASKS_LEDGER=empty_postgresql_url, TASKS_POLL=_NEVER)
        tasks = Tasks(app, **{"threads": 1, **settings})
        made.append(tasks)

        @tasks.task("who", max_queue=1000)
        def who() -> str:
            return name

        return tasks

    yield make
    for tasks in made:
        tasks.stop(_SOON)


def test_each_app_runs_its_own_jobs(make_app: MakeApp) -> None:
    """Although they have tasks of one name, in one process."""
    apps = [make_app("shop", schema="shop_jobs"), make_app("blog", schema="blog_jobs")]
    apps.append(make_app("plain"))
    jobs = [tasks.find("who").submit() for tasks in apps * 5]
    assert [job.result(_SOON) for job in jobs] == ["shop", "blog", "plain"] * 5
    assert [len(tasks.ledger.list()) for tasks in apps] == [5, 5, 5]
    repeated = make_app("shop", schema="shop_jobs").open_ledger()
    assert len(repeated.list()) == 5
    repeated.close()


def test_the_processes_of_an_app_are_told(make_app: MakeApp, empty_postgresql_url: str) -> None:
    """And those of other apps are not: a notice has a channel for each schema."""
    sender = make_app("shop", schema="shop_jobs")
    seller = make_app("shop", schema="shop_jobs", run_jobs=False)
    with psycopg.connect(empty_postgresql_url, autocommit=True) as other:
        other.execute("LISTEN dewar_jobs")
        other.execute("LISTEN dewar_ended")
        sender.start()
        job = seller.find("who").submit()
        assert job.result(_SOON) == "shop"
        engine = create_engine(empty_postgresql_url.replace("://", "+psycopg://"))
        with engine.begin() as connection:
            job = seller.find("who").submit(connection=connection)
        engine.dispose()
        assert job.result(_SOON) == "shop"
        assert list(other.notifies(timeout=0)) == []


def test_apps_of_one_ledger_are_told_of_schemas(make_app: MakeApp) -> None:
    """Two apps in one process with tasks of one name would run each other's jobs."""
    make_app("shop").start()
    with pytest.raises(TaskSetupError, match="TASKS_SCHEMA"):
        make_app("blog").start()


def test_a_schema_may_be_there_already(empty_postgresql_url: str) -> None:
    """Then a user without the right to create one can use it."""
    with psycopg.connect(empty_postgresql_url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS dewar_test_clerk")
        admin.execute("CREATE ROLE dewar_test_clerk LOGIN")
        admin.execute("CREATE SCHEMA clerks AUTHORIZATION dewar_test_clerk")
        try:
            url = empty_postgresql_url.replace("postgres@", "dewar_test_clerk@")
            open_ledger(url, schema="clerks").close()
            with pytest.raises(TaskSetupError, match="permission denied"):
                open_ledger(url, schema="others")
        finally:
            admin.execute("DROP OWNED BY dewar_test_clerk CASCADE")
            admin.execute("DROP ROLE dewar_test_clerk")


@pytest.mark.parametrize("name", ["Shop", "a b", "x" * 41, 'a"; DROP TABLE x; --', ""])
def test_a_name_that_cannot_be_is_refused(empty_postgresql_url: str, name: str) -> None:
    """With one that can."""
    with pytest.raises(TaskSetupError, match="shop_jobs"):
        open_ledger(empty_postgresql_url, schema=name)


def test_a_file_has_no_schemas(tmp_path: Path) -> None:
    """So each app has a file of its own."""
    with pytest.raises(TaskSetupError, match="a file of its own"):
        open_ledger(tmp_path / "jobs.sqlite", schema="shop")


def test_a_ledger_is_never_in_memory() -> None:
    """Nor without a name."""
    for where in ("", "sqlite://", ":memory:", "sqlite:///:memory:"):
        with pytest.raises(TaskSetupError, match="cannot be in memory"):
            open_ledger(where)
