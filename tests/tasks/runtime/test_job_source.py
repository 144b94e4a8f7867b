"""What one process does for an app's tasks, apart from running them."""

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from dewar import Dewar
from dewar.tasks.ledger.records import JobRecord, NewJob
from dewar.tasks.settings import TasksSettings
from dewar.tasks.tasks import Tasks

NAME = "an_app_that_is_found"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dewar:
    """An app that another process would find as ``module:app``."""
    module = types.ModuleType(NAME)
    monkeypatch.setitem(sys.modules, NAME, module)
    app = module.app = Dewar(NAME, static_folder=None, root_path=str(tmp_path))  # type: ignore[attr-defined]
    return app


@pytest.fixture
def tasks(app: Dewar, tmp_path: Path) -> Iterator[Tasks]:
    """Its tasks, which run in another process; none is started before the first job."""
    tasks = Tasks(app, ledger=tmp_path / "jobs.sqlite3", processes=1)
    yield tasks
    tasks.stop(5)


def test_where_a_task_is_found_is_worked_out_once(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not again for each job: it reads the whole configuration, and looks through a module."""

    def add() -> None: ...

    task = tasks.task()(add)
    record = JobRecord.of(NewJob(id="j1", task="add", arguments="[[],{}]", created=1.0, due=1.0))
    source, directory = tasks.runtime.source, tasks.runtime.directory
    read: list[object] = []
    make = TasksSettings.__post_init__
    monkeypatch.setattr(
        TasksSettings, "__post_init__", lambda settings: (read.append(settings), make(settings))
    )
    calls = [source.call(record, attempt) for attempt in range(1, 6)]
    contexts = [call.context.portable() for call in calls if call.context is not None]
    assert [call.args[0] for call in calls] == [directory.address_of(task).as_dict()] * 5
    assert [one["app"] for one in contexts if one is not None] == [f"{NAME}:app"] * 5
    assert len(read) <= 3  # for the address, for the path, and for the line before
