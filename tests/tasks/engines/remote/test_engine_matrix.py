"""The table of what each engine supports: it is true, and each of its cells has a test."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from dewar.tasks.engines.celery.engine import open as open_celery
from dewar.tasks.engines.celery.settings import CelerySettings
from dewar.tasks.engines.dask.engine import open as open_dask
from dewar.tasks.engines.dask.settings import DaskSettings
from dewar.tasks.engines.interface import Ability, JobEngine
from dewar.tasks.engines.processes.engine import ProcessEngine
from dewar.tasks.engines.threads import ThreadEngine
from enginecontract import EngineContract

ROOT = Path(__file__).parents[4]
HERE = Path(__file__).parent
PAGE = ROOT / "docs" / "reference" / "task-engines.md"

#: Each engine of the table, with the module of its tests.
MODULES = {
    "threads": "test_local_engines.py",
    "processes": "test_local_engines.py",
    "dask": "test_dask_engine.py",
    "celery+redis": "test_celery_redis_engine.py",
    "celery+amqp": "test_celery_amqp_engine.py",
}
#: What happens to jobs whose broker restarts is tested for each broker by itself.
RESTARTS = {
    "dask": ("test_dask_engine.py", "test_jobs_of_a_scheduler_that_dies_are_lost_and_say_so"),
    "celery+redis": (
        "test_celery_survival.py",
        "test_redis_that_keeps_nothing_loses_jobs_and_they",
    ),
    "celery+amqp": ("test_celery_survival.py", "test_rabbitmq_keeps_jobs_over_a_restart"),
}


def make(name: str) -> JobEngine:
    """Return an engine. It does not connect before its first job."""
    if name == "threads":
        return ThreadEngine(1)
    if name == "processes":
        return ProcessEngine(1)
    return open_dask("dask://h") if name == "dask" else open_celery(f"{name}://h")


def table() -> tuple[list[str], dict[str, list[str]]]:
    """Return the names of the columns, and the cells by engine."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = "## What each engine supports", "## What each option of a task does"
    text = text[text.index(begin) : text.index(end)]
    head = re.search(r"^\| engine \|(.*)\|$", text, re.MULTILINE)
    assert head is not None
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", text, re.MULTILINE)
    return head[1].replace(" ", "").split("|"), {
        name: cells.replace(" ", "").split("|") for name, cells in rows
    }


def test_the_table_has_each_engine_and_each_ability() -> None:
    """None is missing, and there are no others."""
    columns, rows = table()
    assert columns == [ability.name for ability in Ability]
    assert rows.keys() == MODULES.keys()


@pytest.mark.parametrize("name", MODULES)
def test_the_table_says_what_the_engine_says(name: str) -> None:
    """A cell is yes if the engine has the ability, and no otherwise."""
    columns, rows = table()
    engine = make(name)
    said = {column for column, cell in zip(columns, rows[name], strict=True) if cell == "yes"}
    assert said == {ability.name for ability in engine.abilities}
    assert set(rows[name]) <= {"yes", "no"}
    engine.shutdown(wait=True, cancel_futures=True)


@pytest.mark.parametrize("ability", Ability)
@pytest.mark.parametrize("name", MODULES)
def test_each_cell_has_its_test(name: str, ability: Ability) -> None:
    """The tests of each engine inherit one for each ability: that it has it, or that it refuses."""
    if ability is Ability.SURVIVE_BROKER:
        if name in RESTARTS:
            module, test = RESTARTS[name]
            assert f"def {test}" in (HERE / module).read_text(encoding="utf-8")
        return
    assert hasattr(EngineContract, f"test_{ability.name.lower()}")
    text = (HERE / MODULES[name]).read_text(encoding="utf-8")
    assert re.search(r"^class Test\w+\(\w*Contract\):", text, re.MULTILINE)


def test_each_setting_of_a_url_is_listed_with_its_default() -> None:
    """On the pages about Dask and Celery."""
    for page, settings in (("dask", DaskSettings), ("celery", CelerySettings)):
        text = (ROOT / "docs" / "how-to" / f"run-tasks-on-{page}.md").read_text(encoding="utf-8")
        for field in fields(settings):
            if isinstance(field.default, float | str):
                shown = f"`{field.default:g}`" if page == "dask" else f"`{field.default}`"
                assert f"| `{field.name}` | {shown} |" in text, field.name
