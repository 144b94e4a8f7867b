"""``dewar tasks move``: the jobs of a real app, in another database."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dewar import Dewar, Tasks
from dewar.cli.group import ScriptInfo
from dewar.cli.tasks_group import tasks_group

_SOON = 30.0


def shop(where: Path, **settings: bool) -> tuple[Dewar, Tasks]:
    app = Dewar("shop")
    app.config["TASKS_LEDGER"] = str(where)
    tasks = Tasks(app, **settings)
    tasks.task("double")(lambda number: 2 * number)
    return app, tasks


def move(app: Dewar, *args: str) -> Result:
    return CliRunner().invoke(
        tasks_group, ["move", *args], obj=ScriptInfo(create_app=lambda: app), prog_name="tasks"
    )


def test_the_jobs_run_in_the_new_ledger(tmp_path: Path) -> None:
    """Those that waited when the app was stopped, and the command says what comes next."""
    app, tasks = shop(tmp_path / "old.sqlite", run_jobs=False)
    ids = [tasks.find("double").submit(number).id for number in range(5)]
    tasks.stop(_SOON)
    run = move(app, "--to", str(tmp_path / "new.sqlite"))
    assert run.exit_code == 0, run.output
    assert "dewar_jobs: 5 rows\n" in run.output
    assert "set TASKS_LEDGER" in run.output
    _, moved = shop(tmp_path / "new.sqlite")
    assert [moved.get(id).result(_SOON) for id in ids] == [0, 2, 4, 6, 8]
    moved.stop(_SOON)


def test_an_app_that_runs_is_named(tmp_path: Path) -> None:
    """In one line, and it goes on."""
    app, tasks = shop(tmp_path / "old.sqlite")
    tasks.start()
    run = move(app, "--to", str(tmp_path / "new.sqlite"))
    assert run.exit_code == 1
    assert run.output.startswith("Error: Processes use the ledger")
    assert tasks.find("double").submit(4).result(_SOON) == 8
    tasks.stop(_SOON)


@pytest.mark.parametrize("to", ["mysql://host/name", "sqlite://", "nonsense://"])
def test_a_place_that_cannot_be_is_refused(tmp_path: Path, to: str) -> None:
    """And the old ledger is as it was."""
    app, tasks = shop(tmp_path / "old.sqlite")
    job = tasks.find("double").submit(4)
    assert job.result(_SOON) == 8
    tasks.stop(_SOON)
    run = move(app, "--to", to)
    assert run.exit_code == 1
    assert run.output.startswith("Error: ")
    assert tasks.get(job.id).result(_SOON) == 8
    tasks.stop(_SOON)
