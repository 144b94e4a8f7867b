"""What a program imports without the libraries of an extra says which extra to install."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click import Option

from dewar.cli.tasks_command import TASKS_COMMANDS

LIBRARIES = ["celery", "cronsim", "distributed", "psycopg", "rich", "sqlalchemy", "urllib3"]
# A name of None in `sys.modules` is one that cannot be imported.
WITHOUT = f"import sys; sys.modules.update(dict.fromkeys({LIBRARIES})); "


def run_without_libraries(statement: str) -> str:
    """Return what a Python without the libraries prints as its error."""
    command = [sys.executable, "-c", WITHOUT + statement]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stderr.strip().rpartition("\n")[2]


@pytest.mark.parametrize(
    ("statement", "extra"),
    [
        ("from dewar import Tasks", "tasks"),
        ("import dewar.tasks.tasks", "tasks"),
        ("import dewar.tasks.ledger.opening", "tasks"),
        ("import dewar.tasks.webhooks.outbox", "tasks"),
        ("import dewar.tasks.engines.celery.application", "celery"),
        ("import dewar.tasks.engines.celery.engine", "celery"),
        ("import dewar.tasks.engines.celery.worker", "celery"),
        ("from dewar import TaskPool; TaskPool(engine='celery+redis://host/0')", "celery"),
        ("from dewar import TaskPool; TaskPool(engine='dask://host:8786')", "distributed"),
    ],
)
def test_what_needs_a_library_names_the_extra(statement: str, extra: str) -> None:
    """Whatever a program imports first."""
    error = run_without_libraries(statement)
    assert re.search(rf"MissingExtra: .* pip install 'dewar-web\[{extra}\]'$", error), error


@pytest.mark.parametrize("name", sorted(each.name or "" for each in TASKS_COMMANDS))
def test_each_command_says_that_an_app_has_no_tasks(write: Callable[..., Path], name: str) -> None:
    """Such an app may well be installed without the libraries."""
    write("app.py", "from dewar import Dewar\napp = Dewar('bare')\n")
    (command,) = (each for each in TASKS_COMMANDS if each.name == name)
    required = [param for param in command.params if param.required]
    given = [(param.opts[0], "1d") if isinstance(param, Option) else ("x",) for param in required]
    words = ["dewar", "tasks", name, *(word for words in given for word in words)]
    if name == "retry":
        words += ["--task", "x", "--yes"]
    error = run_without_libraries(f"from dewar.__main__ import main; sys.argv = {words}; main()")
    assert error == "Error: The app 'bare' has no tasks: tasks = Tasks(app)."


@pytest.mark.parametrize(
    "statement",
    [
        "from dewar import TaskPool, current_job, tasks_blueprint",
        "from dewar.tasks.webhooks import new_secret, verify",
        "import dewar.tasks.errors, dewar.tasks.ledger.ids, dewar.tasks.ledger.records",
        "import dewar.__main__",
    ],
)
def test_the_rest_needs_no_library(statement: str) -> None:
    """A pool without a ledger, a receiver of callbacks, the command."""
    assert run_without_libraries(statement) == ""
